"""Native histograms with everything that makes them hard: exponential and custom buckets, other resolutions and bounds
halfway, resets, stale markers, gauges, floats before histograms in one series; exemplars; and counters that tell when they
started to count."""

import collections
import math
import random

import data

Native = collections.namedtuple("Native", "labels samples histograms exemplars")

BOUNDS = [0.1, 0.5, 1.0, 2.5]
OTHER_BOUNDS = [0.1, 1.0, 10.0]


def all_series(end_ms):
    """The same for the same `end_ms`, at the times of `data.all_series`."""
    out = []
    for job in ("api", "web"):
        for instance in ("a:1", "b:1", "c:1"):
            base = {"job": job, "instance": instance}
            dice = random.Random(f"native {job}/{instance}")
            offset = dice.randrange(0, 5_000)
            at = [end_ms - data.STEPS * data.STEP_MS + i * data.STEP_MS + offset for i in range(data.STEPS + 1)]
            out += [latency(base, at, dice), signed(base, at, dice), custom(base, at, dice), floats(base, at, dice), mixed(base, at, dice)]
    return out


class Counter:
    """Observations counted into buckets."""

    def __init__(self, schema, custom=(), zero_threshold=0.0):
        self.schema, self.custom, self.zero_threshold = schema, list(custom), zero_threshold
        self.clear()

    def clear(self):
        self.zero, self.sum = 0, 0.0
        self.positive, self.negative = collections.Counter(), collections.Counter()

    def observe(self, value):
        self.sum += value
        if self.custom:
            self.positive[sum(bound < value for bound in self.custom)] += 1
        elif abs(value) <= self.zero_threshold:
            self.zero += 1
        else:
            # Bucket i ends with 2^(i / 2^schema).
            buckets = self.positive if value > 0 else self.negative
            buckets[math.ceil(math.log2(abs(value)) * 2.0 ** self.schema)] += 1

    def histogram(self, hint="unknown", times=None):
        """As `wire.histogram` takes it; with `times` a histogram of floats, the counts multiplied."""
        counted = lambda count: count if times is None else count * times
        return {
            "schema": -53 if self.custom else self.schema, "custom": list(self.custom), "hint": hint, "is_float": times is not None,
            "zero_threshold": self.zero_threshold, "zero": counted(self.zero), "sum_bits": data.bits(counted(self.sum)),
            "positive": {index: counted(count) for index, count in self.positive.items()},
            "negative": {index: counted(count) for index, count in self.negative.items()},
        }


def stale(schema=0):
    """The marker that ends a series of histograms."""
    return {"schema": schema, "custom": [], "hint": "unknown", "is_float": False, "zero_threshold": 0.0, "zero": 0,
            "sum_bits": data.STALE, "positive": {}, "negative": {}}


def latency(base, at, dice):
    """A counter with resets, gaps, and at `b` another resolution halfway; at `c` it ends and comes again."""
    counter, histograms, exemplars = Counter(3, zero_threshold=1e-3), [], []
    for i, ms in enumerate(at):
        if dice.random() < 0.006:
            counter.clear()
        if base["instance"] == "b:1" and i == 240:
            counter = Counter(1, zero_threshold=1e-2)
        for _ in range(dice.randrange(8)):
            counter.observe(0.0 if dice.random() < 0.02 else dice.lognormvariate(-2, 1.5))
        if base["instance"] == "c:1" and 200 <= i < 260:
            if i == 200:
                histograms.append((ms, stale(3)))
            continue
        if dice.random() < 0.03:
            continue
        histograms.append((ms, counter.histogram()))
        if dice.random() < 0.1:
            exemplars.append(({"trace_id": f"{dice.getrandbits(64):016x}", "ville": "Köln"}, round(dice.expovariate(5), 3), ms))
    return Native(base | {"__name__": "native_latency_seconds"}, [], histograms, exemplars)


def signed(base, at, dice):
    """A gauge with buckets on both sides of zero."""
    histograms = []
    for ms in at:
        counter = Counter(0, zero_threshold=0.01)
        for _ in range(dice.randrange(1, 20)):
            counter.observe(dice.gauss(0, 3))
        histograms.append((ms, counter.histogram("gauge")))
    return Native(base | {"__name__": "native_balance"}, [], histograms, [])


def custom(base, at, dice):
    """Bounds of its own; at `b` others from the middle on."""
    counter, histograms = Counter(0, BOUNDS), []
    for i, ms in enumerate(at):
        if base["instance"] == "b:1" and i == 300:
            counter = Counter(0, OTHER_BOUNDS)
        if dice.random() < 0.004:
            counter.clear()
        for _ in range(dice.randrange(6)):
            counter.observe(dice.expovariate(1.0))
        histograms.append((ms, counter.histogram()))
    return Native(base | {"__name__": "native_custom_seconds"}, [], histograms, [])


def floats(base, at, dice):
    """Counts that are no whole numbers, as recording rules leave them."""
    counter, histograms = Counter(2), []
    for ms in at:
        for _ in range(dice.randrange(5)):
            counter.observe(dice.lognormvariate(0, 1))
        histograms.append((ms, counter.histogram(times=0.25)))
    return Native(base | {"__name__": "native_rate", "kind": "float"}, [], histograms, [])


def mixed(base, at, dice):
    """Plain numbers first, histograms later, and once in between."""
    counter, samples, histograms = Counter(0), [], []
    # Of equal values topk may take any.
    more = dice.random()
    for i, ms in enumerate(at):
        counter.observe(dice.expovariate(1.0))
        if i < 220 or i == 300:
            samples.append((ms, data.bits(i + more)))
        else:
            histograms.append((ms, counter.histogram()))
    return Native(base | {"__name__": "mixed_seconds"}, samples, histograms, [])


def started_series(end_ms):
    """Labels, samples and histograms of series with times of their start, as a third part of each sample."""
    out = []
    for job in ("api", "web"):
        for instance in ("a:1", "b:1"):
            base = {"job": job, "instance": instance}
            dice = random.Random(f"started {job}/{instance}")
            at = [end_ms - data.STEPS * data.STEP_MS + i * data.STEP_MS + dice.randrange(0, 3_000) for i in range(data.STEPS + 1)]
            out.append((base | {"__name__": "started_total"}, started_numbers(at, dice), []))
            out.append((base | {"__name__": "started_each_total"}, started_each(at, dice), []))
            out.append((base | {"__name__": "started_seconds"}, [], started_histograms(at, dice)))
    return out


def started_numbers(at, dice):
    """Starts again now and then, often with more than before, which only the time of the start tells."""
    value, start, samples = 0.0, at[0] - 40_000, []
    for ms in at:
        if dice.random() < 0.02:
            value, start = float(dice.randrange(0, 5_000)), ms - dice.randrange(1, 9_000)
        value += dice.randrange(0, 50)
        if dice.random() > 0.03:
            samples.append((ms, data.bits(value), start))
    return samples


def started_each(at, dice):
    """Every sample starts where the one before ended, as sums of differences do."""
    return [(ms, data.bits(float(dice.randrange(0, 100))), before) for before, ms in zip([at[0] - 15_000, *at], at)]


def started_histograms(at, dice):
    # Pushed by OTLP, of which Prometheus takes this threshold whatever is sent.
    counter, start, histograms = Counter(3, zero_threshold=1e-128), at[0] - 40_000, []
    for ms in at:
        if dice.random() < 0.02:
            counter.clear()
            start = ms - dice.randrange(1, 9_000)
            for _ in range(dice.randrange(200)):
                counter.observe(dice.lognormvariate(-2, 1.5))
        for _ in range(dice.randrange(8)):
            counter.observe(dice.lognormvariate(-2, 1.5))
        histograms.append((ms, counter.histogram(), start))
    return histograms

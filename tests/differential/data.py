"""What both systems are given: two hours of samples every 15 seconds, with everything that makes PromQL hard."""

import math
import random
import struct

STALE = 0x7FF0000000000002
STEP_MS = 15_000
STEPS = 480


def bits(value):
    return struct.unpack("<Q", struct.pack("<d", value))[0]


def all_series(end_ms):
    """Pairs of labels and samples (milliseconds, value bits), the same for the same `end_ms`."""
    start_ms = end_ms - STEPS * STEP_MS
    times = [start_ms + i * STEP_MS for i in range(STEPS + 1)]
    out = []
    for job in ("api", "web"):
        for instance in ("a:1", "b:1", "c:1"):
            dice = random.Random(f"{job}/{instance}")
            base = {"job": job, "instance": instance}
            offset = dice.randrange(0, 5_000)
            at = [ms + offset for ms in times]
            out.append((base | {"__name__": "up"}, [(ms, bits(float(dice.random() > 0.05))) for ms in at]))
            out += counters(base, at, dice)
            out += gauges(base, at, dice)
            out += histograms(base, at, dice)
    out.append(({"__name__": "build_info", "job": "api", "version": "1.2.3"}, [(ms, bits(1.0)) for ms in times]))
    out.append(({"__name__": "build_info", "job": "web", "version": "2.0"}, [(ms, bits(1.0)) for ms in times]))
    out.append(({"__name__": "late"}, [(ms, bits(float(i))) for i, ms in enumerate(times) if i > 400]))
    out.append(({"__name__": "once"}, [(times[200], bits(7.5))]))
    out.append(({"__name__": "météo.température", "ville": "Köln", "job": "web"}, [(ms, bits(math.sin(ms / 1e6))) for ms in times]))
    return out


def counters(base, at, dice):
    out = []
    for code in ("200", "404", "500"):
        value, samples = float(dice.randrange(1000)), []
        for i, ms in enumerate(at):
            value += dice.choice([0, 1, 1, 2, 5, 40]) if code != "500" else float(dice.random() < 0.02)
            if dice.random() < 0.004:
                value = float(dice.randrange(3))
            if dice.random() < 0.02:
                continue
            samples.append((ms, bits(value)))
        out.append((base | {"__name__": "requests_total", "code": code}, samples))
    seconds, samples = 0.0, []
    for ms in at:
        seconds = round(seconds + dice.random() * 15, 2)
        samples.append((ms, bits(seconds)))
    out.append((base | {"__name__": "cpu_seconds_total", "mode": "user"}, samples))
    return out


def gauges(base, at, dice):
    level, memory, gaps, special = 0.0, [], [], []
    odd = [math.nan, math.inf, -math.inf, 0.0, -0.0, 1e-310, 1.7e308]
    for i, ms in enumerate(at):
        level += dice.gauss(0, 10)
        memory.append((ms, bits(level * 4096)))
        if not 100 < i < 140 and not 300 < i < 303:
            gaps.append((ms, bits(level)))
        elif i == 101:
            gaps.append((ms, STALE))
        special.append((ms, bits(dice.choice(odd) if dice.random() < 0.1 else level)))
    return [
        (base | {"__name__": "memory_bytes"}, memory),
        (base | {"__name__": "temperature", "room": f"r{dice.randrange(2)}"}, gaps),
        (base | {"__name__": "special"}, special),
    ]


def histograms(base, at, dice):
    bounds = ["0.1", "0.5", "1", "2.5", "+Inf"]
    counts, total, out = [0.0] * len(bounds), 0.0, {le: [] for le in bounds}
    sums = []
    for ms in at:
        for _ in range(dice.randrange(6)):
            value = dice.expovariate(1.0)
            total += value
            for i, le in enumerate(bounds):
                if le == "+Inf" or value <= float(le):
                    counts[i] += 1
        for le, count in zip(bounds, counts):
            out[le].append((ms, bits(count)))
        sums.append((ms, bits(total)))
    name = "latency_seconds"
    series = [(base | {"__name__": f"{name}_bucket", "le": le}, samples) for le, samples in out.items()]
    series.append((base | {"__name__": f"{name}_sum"}, sums))
    series.append((base | {"__name__": f"{name}_count"}, out["+Inf"]))
    return series

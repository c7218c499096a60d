"""Learns from a recorded node_exporter how each series of a host moves; `promql_data` (an example of the crate `store`)
walks many hosts on from that.

Comes in: a recording of `size.py`. Goes out: a list of series with their kind, pace, how often they change and in which
steps, and an application's classic histograms, which a node_exporter does not have. Knows nothing of hosts and times:
label values hold `{host}` where a host's name belongs."""

import math
import statistics

import size

# Largest share of digits a walk keeps: times in nanoseconds are printed with nine.
DECIMALS_MAX = 9
BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
# Handler, requests a second, median of their duration in seconds.
HANDLERS = [("/", 20, 0.012), ("/login", 0.7, 0.18), ("/api/items", 9, 0.04), ("/api/search", 1.5, 0.6)]
TARGET_SERIES = ["up", "scrape_duration_seconds", "scrape_samples_scraped", "scrape_samples_post_metric_relabeling", "scrape_series_added"]


def learn(path):
    """The model of one host as `promql_data` reads it."""
    pages = list(size.frames(path))
    if len(pages) < 20:
        raise SystemExit(f"`{path}` holds {len(pages)} pages; at least 20 are needed")
    columns, kinds = {}, {}
    for _, page in pages:
        for line in page.split("\n"):
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split(" ")
                kinds[name] = kind
            elif line and line[0] != "#":
                text, value = line.rsplit(" ", 1)
                columns.setdefault(text, []).append(value)
    seconds = pages[-1][0] - pages[0][0]
    nodename = next((size.labels_of(text, 0)["nodename"] for text in columns if text.startswith("node_uname_info{")), None)
    series = []
    for text, texts in columns.items():
        # Only what was there all the time.
        if len(texts) != len(pages):
            continue
        labels = size.labels_of(text, 0) | {"instance": "{host}:9100"}
        labels = {name: "{host}" if value == nodename else value for name, value in labels.items()}
        series.append(moved(labels, texts, seconds, kinds))
    for job, port in (("node", 9100), ("app", 8080)):
        for name in TARGET_SERIES:
            labels = {"__name__": name, "job": job, "instance": f"{{host}}:{port}"}
            is_duration = name == "scrape_duration_seconds"
            series.append(model(labels, "gauge", 0.02, often=2.0, mean=0.02, spread=0.004, decimals=9) if is_duration
                          else model(labels, "constant", 1.0 if name == "up" else 500.0))
    series += requests()
    return {"series": series, "histograms": histograms()}


def model(labels, walk, first, pace=0.0, often=0.0, mean=0.0, spread=0.0, decimals=0, multiple=1.0):
    return {"labels": labels, "walk": walk, "first": first, "pace": pace, "often": often, "mean": mean, "spread": spread,
            "per_unit": 10.0 ** decimals, "multiple": multiple}


def moved(labels, texts, seconds, kinds):
    values = [float(text) for text in texts]
    changes = sum(a != b for a, b in zip(values, values[1:]))
    if not changes or not all(map(math.isfinite, values)):
        return model(labels, "constant", values[0] if math.isfinite(values[0]) else 0.0)
    name = labels["__name__"]
    if name == "node_time_seconds":
        return model(labels, "clock", values[0], decimals=6)
    decimals = max(map(decimals_of, texts))
    # Memory moves in pages, processor time in hundredths.
    multiple = float(math.gcd(*(round((value - values[0]) * 10 ** decimals) for value in values))) or 1.0
    often = changes / seconds
    # What changes in nearly every page changes all the time.
    if changes > 0.9 * len(values):
        often = 10.0
    is_counter = is_counter_of(name, labels, kinds) and values == sorted(values)
    if is_counter:
        return model(labels, "counter", values[0], pace=(values[-1] - values[0]) / seconds, often=often, decimals=decimals, multiple=multiple)
    return model(labels, "gauge", values[0], often=often, mean=statistics.fmean(values), spread=statistics.pstdev(values),
                 decimals=decimals, multiple=multiple)


def is_counter_of(name, labels, kinds):
    base = next((name.removesuffix(end) for end in ("_bucket", "_sum", "_count") if name.removesuffix(end) in kinds), name)
    return kinds.get(name) == "counter" or (kinds.get(base) in ("histogram", "summary") and "quantile" not in labels)


def decimals_of(text):
    """Digits behind the point, once an exponent is written out."""
    mantissa, _, exponent = text.partition("e")
    return min(DECIMALS_MAX, max(0, len(mantissa.partition(".")[2]) - int(exponent or 0)))


def requests():
    out = []
    for handler, per_second, _ in HANDLERS:
        for code, share in (("200", 0.97), ("404", 0.02), ("500", 0.01)):
            labels = {"__name__": "http_requests_total", "job": "app", "instance": "{host}:8080", "handler": handler, "code": code}
            pace = per_second * share
            out.append(model(labels, "counter", 1000.0 * share, pace=pace, often=pace))
    return out


def histograms():
    labels = {"__name__": "http_request_duration_seconds", "job": "app", "instance": "{host}:8080"}
    return [{"labels": labels | {"handler": handler}, "bounds": BOUNDS, "per_second": per_second, "median": median}
            for handler, per_second, median in HANDLERS]

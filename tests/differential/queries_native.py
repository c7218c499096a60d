"""Queries over native histograms: every function that knows them, every one that has to leave them out, every operator."""

RANGES = [
    "native_latency_seconds[5m]", "native_latency_seconds{instance=\"b:1\"}[10m]", "native_balance[2m]", "native_custom_seconds[7m]",
    "native_rate[3m] offset 4m", "mixed_seconds[10m]", "native_latency_seconds{instance=\"c:1\"}[1h]", "native_custom_seconds{instance=\"b:1\"}[10m] @ end()",
    "rate(native_latency_seconds[2m])[10m:1m]",
]
RANGE_FUNCTIONS = [
    "rate", "increase", "delta", "irate", "idelta", "sum_over_time", "avg_over_time", "count_over_time", "last_over_time", "first_over_time",
    "present_over_time", "absent_over_time", "changes", "resets", "min_over_time", "max_over_time", "stddev_over_time", "deriv", "mad_over_time",
    "ts_of_last_over_time", "ts_of_first_over_time",
]
VECTORS = [
    "native_latency_seconds", "native_balance", "native_custom_seconds", "native_rate", "mixed_seconds", "rate(native_latency_seconds[5m])",
    "rate(native_custom_seconds[5m])", "sum by (job) (native_balance)", "{__name__=~\"native_latency_seconds|build_info\"}",
]
VECTOR_FUNCTIONS = [
    "histogram_count", "histogram_sum", "histogram_avg", "histogram_stddev", "histogram_stdvar", "histogram_quantile(0.9, {})",
    "histogram_quantile(0, {})", "histogram_quantile(1, {})", "histogram_quantile(0.001, {})", "histogram_quantile(-1, {})",
    "histogram_quantile(1.5, {})", "histogram_quantile(NaN, {})", "histogram_fraction(0, 0.2, {})", "histogram_fraction(-1, 1, {})",
    "histogram_fraction(-Inf, +Inf, {})", "histogram_fraction(0.3, 0.1, {})", "histogram_fraction(NaN, 1, {})", "histogram_fraction(0.1, 0.5, {})",
    "histogram_quantiles({}, \"q\", 0.1, 0.5, 0.99)", "abs", "floor", "clamp_max({}, 1)", "round", "sgn", "timestamp", "absent", "scalar", "sort", "sort_desc",
    "label_replace({}, \"host\", \"$1\", \"instance\", \"(.*):.*\")", "label_join({}, \"both\", \"/\", \"job\", \"instance\")", "sort_by_label({}, \"instance\")",
    "day_of_week", "-{}", "+{}",
]
AGGREGATIONS = ["sum", "avg", "count", "group", "min", "max", "stddev", "stdvar", "topk by (job) (2, {})", "bottomk(1, {})", "quantile(0.5, {})", "count_values(\"v\", {})"]
GROUPINGS = ["", " by (job)", " without (instance)"]
PAIRS = [
    ("native_latency_seconds", "2"), ("3", "native_balance"), ("native_latency_seconds", "native_latency_seconds offset 1m"),
    ("native_custom_seconds", "native_custom_seconds offset 10m"), ("native_balance", "on (job, instance) native_latency_seconds"),
    ("native_latency_seconds", "on (job, instance) up"), ("native_custom_seconds", "ignoring (kind) native_rate"), ("mixed_seconds", "0.5"),
    ("mixed_seconds", "mixed_seconds offset 30m"),
]
OPERATORS = ["+", "-", "*", "/", "%", "^", "atan2", "==", "!=", ">", "<=", "== bool", "</", ">/"]
SETS = [
    "native_latency_seconds and on (job, instance) up", "native_latency_seconds or up", "native_balance unless on (instance) up{job=\"api\"}",
    "up or on (job) native_custom_seconds", "native_rate and on (job, instance) native_rate > 0", "native_latency_seconds == native_latency_seconds",
    "native_latency_seconds != native_latency_seconds offset 5m", "native_latency_seconds * on (job) group_left (version) build_info",
    "build_info * on (job) group_right () native_balance", "native_latency_seconds / ignoring () group_left () native_latency_seconds",
    "histogram_count(native_latency_seconds) / on (job, instance) latency_seconds_count", "native_latency_seconds + fill (0) native_latency_seconds{job=\"api\"}",
]
OTHERS = [
    "histogram_quantile(0.95, sum by (job) (rate(native_latency_seconds[5m])))", "histogram_quantile(0.5, sum(rate(native_custom_seconds[10m])))",
    "histogram_quantile(0.9, sum(native_balance))", "histogram_quantile(0.9, {__name__=~\"native_latency_seconds|latency_seconds_bucket\"})",
    "histogram_fraction(0, 0.1, sum(rate(native_latency_seconds[5m])))", "histogram_avg(sum by (job) (increase(native_latency_seconds[20m])))",
    "sum(histogram_count(rate(native_latency_seconds[5m])))", "sum by (job) (histogram_sum(native_custom_seconds))", "sum(native_latency_seconds) + sum(native_balance)",
    "sum(native_latency_seconds) + sum(native_custom_seconds)", "sum({__name__=~\"native_(latency|custom)_seconds\"})", "avg({__name__=~\"native_latency_seconds|up\"})",
    "sum(mixed_seconds)", "avg_over_time(mixed_seconds[1h])", "rate(mixed_seconds[1h])", "increase(mixed_seconds[30m])", "count_over_time(mixed_seconds[1h:5m])",
    "sum_over_time(native_latency_seconds[20m:2m])", "max_over_time(histogram_quantile(0.9, rate(native_latency_seconds[2m]))[20m:1m])",
    "rate(native_latency_seconds[5m]) * 300", "increase(native_latency_seconds[5m]) - rate(native_latency_seconds[5m]) * 300",
    "avg(rate(native_latency_seconds[5m])) / 2", "-sum(native_balance)", "native_latency_seconds @ start()", "rate(native_latency_seconds[5m] @ end())",
    "rate(native_latency_seconds[5m] offset -1m)", "native_latency_seconds offset 1h", "histogram_stddev(sum(native_balance))", "histogram_stdvar(avg(native_custom_seconds))",
    "limitk(100, native_balance)", "limit_ratio(1, native_balance)", "topk(3, histogram_count(native_latency_seconds))", "count_values(\"count\", histogram_count(native_balance))",
    "quantile_over_time(0.5, native_latency_seconds[5m])", "predict_linear(native_latency_seconds[5m], 60)", "double_exponential_smoothing(native_latency_seconds[5m], 0.3, 0.3)",
    "clamp(native_latency_seconds, 0, 1)", "vector(scalar(native_latency_seconds{instance=\"a:1\",job=\"api\"}))", "info(native_latency_seconds, {__name__=\"build_info\"})",
    "rate(native_latency_seconds[5m] anchored)", "increase(native_latency_seconds[5m] smoothed)", "native_latency_seconds smoothed",
    "resets(native_latency_seconds[2h])", "changes(native_latency_seconds[2h])", "resets(native_custom_seconds{instance=\"b:1\"}[2h])", "resets(native_balance[1h])",
    "rate(native_balance[5m])", "delta(native_latency_seconds[5m])", "irate(native_balance[1m])", "idelta(native_latency_seconds[1m])",
    "native_latency_seconds </ 0.1", "native_latency_seconds >/ 0.05", "native_balance </ 0", "native_balance >/ -1 </ 1", "native_custom_seconds </ 0.5", "native_custom_seconds >/ 0.7",
    "histogram_count(native_balance >/ 0) / histogram_count(native_balance)", "histogram_quantile(0.5, native_balance </ 0)", "0.1 </ native_latency_seconds", "up </ 1",
    "absent(native_latency_seconds{job=\"api\"})", "absent_over_time(native_latency_seconds{instance=\"c:1\"}[5m])", "present_over_time(native_latency_seconds{instance=\"c:1\"}[5m])",
    "count(native_latency_seconds)", "group by (job) (native_latency_seconds)", "count by (__name__) ({__name__=~\"native_.*\"})",
    "histogram_quantile(scalar(sum(up)) / 10, native_latency_seconds)", "histogram_quantile(0.9, native_latency_seconds, 1)", "histogram_count(1)", "histogram_quantile(native_balance, 1)",
    "start_timestamp(native_latency_seconds)", "timestamp(native_latency_seconds)", "native_latency_seconds > bool 1", "native_latency_seconds and native_custom_seconds",
]


# Over counters that tell when they started.
STARTED_RANGES = [
    "started_total[5m]", "started_total[1m]", "started_total[2h]", "started_each_total[5m]", "started_each_total[50s]", "started_seconds[5m]", "started_seconds[1h]",
    "started_total{instance=\"a:1\"}[7m] offset 3m", "started_total[10m] @ end()", "started_total[10m:1m]",
]
STARTED = [
    "start_timestamp(started_total)", "start_timestamp(started_each_total)", "start_timestamp(started_seconds)", "start_timestamp(up)", "start_timestamp(-started_total)",
    "timestamp(started_total) - start_timestamp(started_total)", "max_over_time(start_timestamp(started_total)[10m:1m])", "start_timestamp(started_total offset 5m)",
    "sum by (job) (rate(started_total[5m]))", "histogram_quantile(0.9, rate(started_seconds[5m]))", "sum(increase(started_seconds[10m]))", "started_seconds", "started_total",
    "rate(started_total[5m] anchored)", "increase(started_total[5m] smoothed)",
]


def filled(function, argument):
    return function.replace("{}", argument) if "{}" in function else f"{function}({argument})"


def generated():
    """All queries, without repetitions, in a fixed order."""
    out = [f"{function}({selector})" for function in RANGE_FUNCTIONS for selector in RANGES]
    out += VECTORS
    out += [filled(function, vector) for function in VECTOR_FUNCTIONS for vector in VECTORS]
    for aggregation in AGGREGATIONS:
        groupings = [""] if "{}" in aggregation else GROUPINGS
        out += [aggregation.replace("{}", vector) if "{}" in aggregation else f"{aggregation}{grouping} ({vector})"
                for grouping in groupings for vector in VECTORS]
    out += [f"{left} {operator} {right}" for left, right in PAIRS for operator in OPERATORS]
    out += SETS + OTHERS + STARTED
    out += [f"{function}({selector})" for function in ("rate", "increase", "irate", "resets", "changes", "delta") for selector in STARTED_RANGES]
    return list(dict.fromkeys(out))


EXEMPLARS = [
    "native_latency_seconds", "native_latency_seconds{job=\"api\"}", "histogram_quantile(0.9, rate(native_latency_seconds{instance=\"a:1\"}[5m]))",
    "rate(native_latency_seconds[5m]) + on (job) group_left () up", "up", "{__name__=~\"native_.*\", job!=\"api\"}", "sum(",
]

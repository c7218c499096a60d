"""Queries over the data: every function, aggregation, operator and form of matching, by combination."""

RANGE_FUNCTIONS = [
    "rate", "irate", "increase", "delta", "idelta", "deriv", "changes", "resets", "avg_over_time", "min_over_time",
    "max_over_time", "sum_over_time", "count_over_time", "last_over_time", "first_over_time", "present_over_time",
    "stddev_over_time", "stdvar_over_time", "mad_over_time", "absent_over_time", "ts_of_min_over_time",
    "ts_of_max_over_time", "ts_of_last_over_time", "ts_of_first_over_time",
]
RANGE_SELECTORS = [
    "requests_total[5m]", "requests_total{code=\"500\"}[37s]", "cpu_seconds_total[1m] offset 3m", "memory_bytes[17m]",
    "temperature[2m]", "special[3m]", "late[10m]", "once[1h]", "nothing[5m]", "memory_bytes[5m:30s]",
    "rate(requests_total[2m])[10m:1m] offset -1m", "memory_bytes[5m] @ end()",
]
VECTORS = [
    "memory_bytes", "requests_total", "special", "temperature", "once", "late offset 5m", "memory_bytes @ start()",
    "rate(cpu_seconds_total[5m])", "-memory_bytes", "{__name__=~\"up|late\"}", "{\"météo.température\"}",
]
MATH = [
    "abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sgn", "sin", "cos", "tan", "asin", "acos", "atan",
    "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "deg", "rad", "round", "timestamp", "absent", "scalar", "sort",
    "sort_desc", "minute", "hour", "day_of_week", "day_of_month", "day_of_year", "days_in_month", "month", "year",
]
AGGREGATIONS = ["sum", "avg", "min", "max", "count", "group", "stddev", "stdvar"]
GROUPINGS = ["", " by (job)", " by (instance, missing)", " without (instance)", " without ()", " by (__name__)"]
ARITHMETIC = ["+", "-", "*", "/", "%", "^", "atan2"]
COMPARISONS = ["==", "!=", ">", "<", ">=", "<="]

OTHERS = [
    "1", "\"text\"", "pi()", "time()", "vector(1)", "1 + 2 * 3 ^ 2 ^ 0.5 % 4", "-2 ^ 2", "1 / 0", "0 / 0", "NaN == NaN", "1 == bool 1",
    "predict_linear(memory_bytes[10m], 3600)", "predict_linear(special[10m], 60)", "double_exponential_smoothing(memory_bytes[10m], 0.3, 0.7)",
    "quantile_over_time(0.9, memory_bytes[10m])", "quantile_over_time(-1, memory_bytes[10m])", "quantile_over_time(2, special[5m])",
    "clamp(memory_bytes, -1e5, 1e5)", "clamp(memory_bytes, 5, 1)", "clamp_min(memory_bytes, 0)", "clamp_max(special, 0)",
    "round(memory_bytes, 1000)", "round(memory_bytes, 0.3)", "histogram_quantile(0.9, rate(latency_seconds_bucket[5m]))",
    "histogram_quantile(0.5, sum by (le, job) (rate(latency_seconds_bucket[10m])))", "histogram_quantile(-1, latency_seconds_bucket)",
    "histogram_quantile(0.9, memory_bytes)", "histogram_fraction(0.2, 1, rate(latency_seconds_bucket[5m]))",
    "label_replace(up, \"host\", \"$1\", \"instance\", \"(.*):.*\")", "label_replace(up, \"job\", \"\", \"job\", \"web\")",
    "label_replace(up, \"~\", \"\", \"\", \"(\")", "label_join(up, \"both\", \"-\", \"job\", \"instance\")", "label_join(up, \"instance\", \"\")",
    "sort_by_label(up, \"instance\", \"job\")", "sort_by_label_desc(up, \"instance\")",
    "topk(2, memory_bytes)", "bottomk(2, memory_bytes)", "topk by (job) (1, requests_total)", "topk(0, up)", "topk(NaN, up)", "bottomk(3, special)",
    "quantile(0.3, memory_bytes)", "quantile by (job) (0.5, special)", "quantile(2, up)", "count_values(\"v\", up)", "count_values without (job) (\"job\", requests_total)",
    "limitk(2, memory_bytes)", "limit_ratio(0.5, requests_total)", "limit_ratio(-0.5, requests_total)",
    "memory_bytes + on (job, instance) up", "memory_bytes * on (job) group_left (version) build_info", "build_info * on (job) group_right (instance) memory_bytes",
    "requests_total / ignoring (code) group_left () sum without (code) (requests_total)", "requests_total + up", "requests_total and on (job) build_info",
    "memory_bytes unless up == 1", "up or memory_bytes", "up or on () vector(3)", "memory_bytes and memory_bytes > 0", "requests_total{code=\"200\"} > bool ignoring (code) requests_total{code=\"404\"}",
    "requests_total > ignoring (code) requests_total", "memory_bytes > 0 > bool 1000", "up == on (instance) up", "up * up{job=\"api\"}", "up{job=\"api\"} - on (instance) up{job=\"web\"}",
    "sum(rate(requests_total{code=~\"5..\"}[5m])) / sum(rate(requests_total[5m]))", "avg_over_time((rate(requests_total[1m]) > 0)[10m:30s])",
    "max_over_time(sum by (job) (rate(requests_total[1m]))[30m:])", "absent(nothing{job=\"x\",instance=~\"y\"})", "absent_over_time(once[5m])",
    "sum_over_time(requests_total[1h:5m] offset 10m)", "requests_total offset 1h", "requests_total @ 0", "timestamp(timestamp(up))", "{job=~\".*\", instance!=\"a:1\", __name__=\"up\"}",
    "{__name__=~\"latency_.*\", le!~\"0.*\"}", "count({__name__=~\".+\"})", "count by (__name__) ({job=\"api\"})", "info(memory_bytes, {__name__=\"build_info\"})",
    "rate(requests_total[step() + 1m])", "sum(min_over_time(memory_bytes[5m])) - min(sum_over_time(memory_bytes[5m]))", "scalar(sum(up)) + 1", "vector(scalar(up{instance=\"a:1\",job=\"api\"}))",
    "day_of_week(vector(1136239445))", "hour()", "month(special)", "changes(up[1h])", "rate(requests_total[5m:15s])", "irate(cpu_seconds_total[30s])", "increase(requests_total[1h])",
    "sum(", "foo bar", "rate(up)", "sum(up) by (job) by (x)", "up[5m]", "1 and 2", "\"a\" + 1", "topk(\"a\", up)", "unknown(up)", "up offset", "{}", "{job=\"\"}", "up{job=~\"(\"}", "up[0s]", "rate(up[5m]) offset", "label_replace(up)",
    "1_000 + 0x1F", "up{job=\"api\",}", "sum by (job,) (up)", "up @ 1e3", "up offset -5m", "5m * 2", "up and ignoring (job) group_left up",
]


def generated():
    """All queries, without repetitions, in a fixed order."""
    out = [f"{function}({selector})" for function in RANGE_FUNCTIONS for selector in RANGE_SELECTORS]
    out += VECTORS
    out += [f"{function}({vector})" for function in MATH for vector in VECTORS]
    out += [f"{op}{grouping} ({vector})" for op in AGGREGATIONS for grouping in GROUPINGS for vector in VECTORS]
    pairs = [("memory_bytes", "2"), ("0.5", "special"), ("memory_bytes", "up"), ("special", "memory_bytes"),
             ("requests_total", "requests_total offset 1m"), ("cpu_seconds_total", "ignoring (mode) up")]
    for left, right in pairs:
        modifier, right = (right.rsplit(" ", 1) if "ignoring" in right else ("ignoring (room, code)", right)) if " up" in right else ("", right)
        out += [f"{left} {op} {modifier} {right}" for op in ARITHMETIC + COMPARISONS]
        out += [f"{left} {op} bool {modifier} {right}" for op in COMPARISONS]
    out += OTHERS
    return list(dict.fromkeys(out))

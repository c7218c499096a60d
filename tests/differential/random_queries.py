"""Nested expressions drawn by seeded chance over the same data, and how to make one that fails smaller.

An expression is a tree of `Node`s, so that every part of it is a query of its own: where a tree's answers differ, the
smallest part whose answers differ too tells why. Query `i` of a seed is the same however many are drawn."""

import collections
import random

# `parts` go where the text has `{}`, braces of its own are doubled; `kind` is "vector", "scalar" or "matrix".
Node = collections.namedtuple("Node", "kind text parts")

# Times stand as differences: deviations of times alone are rounding noise, which depends on the order of series.
GAUGES = ["memory_bytes", "temperature", "up", "late", "{{__name__=~\"memory_.*\", instance!~\"a.*\"}}"]
COUNTERS = ["requests_total", "cpu_seconds_total", "latency_seconds_count", "requests_total{{code=~\"4..|5..\"}}", "latency_seconds_bucket{{le!=\"0.1\"}}"]
LABELS = ["job", "instance", "code", "le", "room"]
DURATIONS = ["37s", "1m", "2m30s", "5m", "17m", "1h"]
OFFSETS = ["", "", "", " offset 1m", " offset 13m", " offset -2m", " @ end()", " @ start()"]
RATES = ["rate", "increase", "irate", "resets", "changes"]
OVER_TIME = ["avg_over_time", "min_over_time", "max_over_time", "sum_over_time", "count_over_time", "last_over_time", "first_over_time", "present_over_time",
             "delta", "idelta", "changes", "stddev_over_time", "mad_over_time", "time() - ts_of_max_over_time({})", "quantile_over_time(0.7, {})", "quantile_over_time(0.25, {})"]
MATH = ["abs({})", "ceil({})", "floor({})", "sgn({})", "round({}, 0.5)", "sqrt(abs({}))", "clamp({}, -100, 1e6)", "clamp_min({}, 0)", "clamp_max({}, 3)", "-{}", "time() - timestamp({})",
        "sort({})", "ln(abs({}) + 1)"]
AGGREGATIONS = ["sum", "avg", "min", "max", "count", "group", "stddev"]
ARITHMETIC = ["+", "-", "*", "/", "%"]
COMPARISONS = ["==", "!=", ">", "<", ">=", "<="]
SETS = ["and", "or", "unless"]


def text_of(node):
    return node.text.format(*map(text_of, node.parts)) if node.parts or "{{" in node.text else node.text


def drawn(seed, number):
    dice = random.Random(f"{seed}/{number}")
    return vector(dice, dice.randint(2, 4))


def vector(dice, depth):
    if depth == 0:
        return leaf(dice, GAUGES + COUNTERS)
    ways = [(4, ranged), (3, aggregated), (3, combined), (2, calculated), (1, relabelled), (1, leaf_deep)]
    way = dice.choices([way for _, way in ways], [weight for weight, _ in ways])[0]
    return way(dice, depth)


def leaf_deep(dice, _):
    return leaf(dice, GAUGES + COUNTERS)


def leaf(dice, metrics):
    return Node("vector", dice.choice(metrics) + dice.choice(OFFSETS), ())


def ranged(dice, depth):
    """A function over a range of a selector, or over a subquery."""
    if depth > 1 and dice.random() < 0.4:
        inner = vector(dice, depth - 1)
        resolution = dice.choice(["30s", "1m", "2m", ""])
        # Prometheus 3.14 finds nothing for `f(x[5m] @ end())` in a subquery that reaches into the future.
        offsets = [offset for offset in OFFSETS if "@" not in text_of(inner) or "-" not in offset]
        matrix = Node("matrix", f"({{}})[{dice.choice(DURATIONS[2:])}:{resolution}]{dice.choice(offsets)}", (inner,))
        function = dice.choice(OVER_TIME)
    else:
        is_counter = dice.random() < 0.5
        metric = dice.choice(COUNTERS if is_counter else GAUGES)
        matrix = Node("matrix", f"{metric}[{dice.choice(DURATIONS)}]{dice.choice(OFFSETS)}", ())
        function = dice.choice(RATES if is_counter else OVER_TIME)
    function = function if "{}" in function else function + "({})"
    return Node("vector", function, (matrix,))


def aggregated(dice, depth):
    inner = vector(dice, depth - 1)
    labels = ", ".join(dice.sample(LABELS, dice.randint(0, 3)))
    grouping = dice.choice(["", f" by ({labels})", f" without ({labels})"])
    if dice.random() < 0.15:
        return Node("vector", f"quantile{grouping} ({dice.choice(['0.1', '0.5', '0.9'])}, {{}})", (inner,))
    return Node("vector", f"{dice.choice(AGGREGATIONS)}{grouping} ({{}})", (inner,))


def combined(dice, depth):
    """Two vectors, or a vector and a number, with every form of matching."""
    operator = dice.choice(ARITHMETIC * 2 + COMPARISONS + SETS)
    left = vector(dice, depth - 1)
    compares = operator in COMPARISONS
    if operator not in SETS and dice.random() < 0.4:
        right = scalar(dice, depth - 1)
        swap = dice.random() < 0.3
        text = f"({{}}) {operator}{' bool' if compares and dice.random() < 0.5 else ''} ({{}})"
        return Node("vector", text, (right, left) if swap else (left, right))
    right = vector(dice, depth - 1)
    labels = ", ".join(dice.sample(LABELS, dice.randint(0, 3)))
    matching = dice.choice(["", f" on ({labels})", f" ignoring ({labels})"])
    grouping = ""
    if operator not in SETS:
        matching = (" bool" if compares and dice.random() < 0.3 else "") + matching
        if "(" in matching:
            grouping = dice.choice(["", " group_left ()", " group_right ()", f" group_left ({dice.choice(LABELS)})"])
            listed = grouping.partition("(")[2].rstrip(")")
            # A label cannot be both matched on and brought along.
            if listed and " on " in f" {matching} " and listed in labels:
                grouping = " group_left ()"
    if not matching and operator not in SETS and dice.random() < 0.6:
        # Most pairs match nothing: aggregated alike they do.
        by = dice.choice(LABELS[:2])
        left, right = (Node("vector", f"sum by ({by}) ({{}})", (one,)) for one in (left, right))
    return Node("vector", f"({{}}) {operator}{matching}{grouping} ({{}})", (left, right))


def calculated(dice, depth):
    return Node("vector", dice.choice(MATH), (vector(dice, depth - 1),))


def relabelled(dice, depth):
    text = dice.choice([
        'label_replace({}, "host", "$1", "instance", "(.*):.*")', 'label_join({}, "both", "/", "job", "instance")', 'label_replace({}, "job", "x", "", "")',
        "absent({})", "histogram_quantile(0.9, {})", "vector(scalar({}))",
    ])
    return Node("vector", text, (vector(dice, depth - 1),))


def scalar(dice, depth):
    if depth > 0 and dice.random() < 0.3:
        return Node("scalar", "scalar(sum({}))", (vector(dice, depth - 1),))
    return Node("scalar", dice.choice(["0", "1", "2.5", "-3", "1e3", "time()", "0.1"]), ())


def smaller(node):
    """Parts and simplifications of a tree, smallest first; each is a query."""
    parts = [part for part in descendants(node) if part.kind != "matrix"]
    simpler = []
    for i, part in enumerate(node.parts):
        for other in smaller_part(part):
            simpler.append(node._replace(parts=node.parts[:i] + (other,) + node.parts[i + 1:]))
    return sorted({text_of(one): one for one in parts + simpler if len(text_of(one)) < len(text_of(node))}.values(), key=lambda one: len(text_of(one)))


def smaller_part(part):
    """What may stand in place of `part`."""
    if part.kind == "matrix":
        return [part._replace(parts=(inner,)) for one in part.parts for inner in smaller_part(one)]
    inside = [inner for inner in descendants(part) if inner.kind == part.kind]
    changed = [part._replace(parts=part.parts[:i] + (other,) + part.parts[i + 1:]) for i, one in enumerate(part.parts) for other in smaller_part(one)]
    return inside + changed


def descendants(node):
    for part in node.parts:
        yield part
        yield from descendants(part)

#!/usr/bin/env python3
"""The same data by remote write to this program and to a real Prometheus, the same queries to both, answers compared.

    tests/differential/run.py --atl target/release/atl --prometheus PATH [--only TEXT] [--verbose]
    tests/differential/run.py --seed 7 --queries 2000      # nested expressions drawn by chance instead of the listed ones
    tests/differential/run.py --prometheus-alone           # which queries say nothing about anything

Values must be equal to 1e-9 relative, label sets, result types, error types and the presence of warnings exactly; of
native histograms every bucket. Every query is asked as an instant query at three times and as a range query; then again
after the rows have moved from memory to files, and after these were merged. Exit 1 on any difference that is not in
`DELIBERATE`. Expressions drawn by chance that differ are made smaller until nothing can be left out."""

import argparse
import itertools
import json
import math
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import data
import data_native
import queries
import queries_native
import random_queries
import wire

# Differences that are meant: a text in the query → why.
DELIBERATE = {
    "limitk(": "which series are kept depends on the order they are stored in; any are right",
    "(special)": "dates of numbers that are no time (infinities, 1.7e308) depend on the processor in Go, and its logarithm of "
                 "subnormal numbers is wrong on amd64; here dates of such numbers are NaN and logarithms are right",
    "(memory_bytes[5m:30s])": "a note about a subquery names the place of the argument here, of the whole query there",
    "rate(rate(native_latency_seconds[2m])[10m:1m])": "the same",
    "increase(rate(native_latency_seconds[2m])[10m:1m])": "the same",
    "changes(native_": "histograms that differ in nothing but empty buckets are no change here; there they are one, and chunks decide which "
                       "empty buckets are stored",
    "changes(started_seconds": "the same",
    "histogram_fraction(0, 0.1, sum(rate(native_latency_seconds[5m])))": "see `counts_twice`",
    "histogram_quantile(0, native_balance)": "observations of one sign move the bound of the zero bucket; there a bucket that is stored "
                                             "empty keeps it from that",
    "histogram_quantile(0.001, native_balance)": "the same",
    "histogram_fraction(0, 0.2, native_balance)": "the same",
    "histogram_quantiles(native_balance": "the same",
}

SLICE_MS = 600_000
COMPARES = re.compile(r" (==|!=|>|<|>=|<=) ")

FEATURES = ("promql-experimental-functions,promql-duration-expr,promql-delayed-name-removal,"
            "promql-extended-range-selectors,promql-binop-fill-modifiers,exemplar-storage,st-storage,xor2-encoding,"
            "histograms-st-encoding,use-start-timestamps")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def wait_until_ready(url, process):
    for _ in range(300):
        if process.poll() is not None:
            sys.exit(f"{process.args[0]} ended with {process.returncode}")
        try:
            urllib.request.urlopen(f"{url}/-/ready", timeout=1)
            return
        except OSError:
            time.sleep(0.1)
    sys.exit(f"{process.args[0]} is not ready after 30 s")


class System:
    """A running server in a folder of its own."""

    def __init__(self, name, command, folder, port):
        self.name, self.url, self.command = name, f"http://127.0.0.1:{port}", command
        self.folder = folder
        self.start()

    def start(self):
        log = open(self.folder / f"{self.name}.log", "ab")
        self.process = subprocess.Popen(self.command, cwd=self.folder, stdout=log, stderr=log)
        wait_until_ready(self.url, self.process)

    def stop(self):
        self.process.terminate()
        self.process.wait(60)

    def ask(self, path, **parameters):
        body = urllib.parse.urlencode(parameters).encode()
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", data=body)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            return json.load(error)


def start_atl(binary, folder):
    port = free_port()
    (folder / "atl.yaml").write_text("builtin: { host: false, own_metrics: false }\nstore: { flush_interval: 1h }\n")
    return System("atl", [binary, "serve", "--listen", f"127.0.0.1:{port}"], folder, port)


def start_prometheus(binary, folder):
    port = free_port()
    (folder / "prometheus.yml").write_text("global: { scrape_interval: 1h }\notlp: { translation_strategy: NoTranslation }\n")
    command = [binary, "--config.file=prometheus.yml", "--web.enable-otlp-receiver", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}",
               "--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=10y", f"--enable-feature={FEATURES}"]
    return System("prometheus", command, folder, port)


def load(systems, end_ms, with_native):
    """Time slice by time slice, as scrapes would come: numbers by remote write 1.0, native histograms by 2.0. Samples with a
    time of their start go to Prometheus by OTLP, since its receiver of remote write does not keep it. Series come in the order
    of their labels: what Prometheus has in memory it adds up in the order it came, what it has in blocks in that one."""
    in_order = lambda series: sorted(series, key=lambda one: sorted(one[0].items()))
    everything = in_order(data.all_series(end_ms))
    native = in_order(data_native.all_series(end_ms)) if with_native else []
    started = data_native.started_series(end_ms) if with_native else []
    slices = sorted({ms // SLICE_MS for _, samples in everything for ms, _ in samples})
    total = 0
    for number in slices:
        body, request = b"", wire.Request2()
        for labels, samples in everything:
            part = in_slice(samples, number)
            total += len(part)
            body += wire.series(labels, part) if part else b""
        for one in native:
            total += add_native(request, one, number)
        of_slice = [(labels, in_slice(samples, number), in_slice(histograms, number)) for labels, samples, histograms in started]
        total += sum(len(samples) + len(histograms) for _, samples, histograms in of_slice)
        for system in systems:
            wire.push(f"{system.url}/api/v1/write", body)
            if request.body:
                wire.push(f"{system.url}/api/v1/write", request.message(), wire.VERSION_2)
            if of_slice:
                push_started(system, of_slice)
    return len(everything) + len(native) + len(started), total


def push_started(system, of_slice):
    if system.name == "prometheus":
        wire.push_json(f"{system.url}/api/v1/otlp/v1/metrics", wire.otlp(of_slice))
        return
    request = wire.Request2()
    for labels, samples, histograms in of_slice:
        if samples or histograms:
            request.add(labels, samples, histograms)
    wire.push(f"{system.url}/api/v1/write", request.message(), wire.VERSION_2)


def in_slice(samples, number):
    return [sample for sample in samples if sample[0] // SLICE_MS == number]


def add_native(request, one, number):
    """Puts what a series has in the slice into the request; gives how much that is."""
    marked = [(sample, True) for sample in in_slice(one.histograms, number)] + [(sample, False) for sample in in_slice(one.samples, number)]
    marked.sort(key=lambda pair: pair[0][0])
    exemplars = [exemplar for exemplar in one.exemplars if exemplar[2] // SLICE_MS == number]
    # An entry holds numbers or histograms: where they alternate there are several, in order of time.
    for is_native, run in itertools.groupby(marked, key=lambda pair: pair[1]):
        part = [sample for sample, _ in run]
        request.add(one.labels, () if is_native else part, part if is_native else (), exemplars)
        exemplars = []
    return len(marked)


def close(a, b):
    a, b = float(a.replace("Inf", "inf")), float(b.replace("Inf", "inf"))
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return a == b or abs(a - b) <= 1e-9 * max(abs(a), abs(b))


def points(entry):
    return [entry["value"]] if "value" in entry else entry.get("values", [])


def histograms(entry):
    return [entry["histogram"]] if "histogram" in entry else entry.get("histograms", [])


def counts_twice(one, other):
    """Whether `other`, Prometheus's, has more observations in its buckets than it should. Where histograms of different resolutions
    and zero buckets are added, Prometheus counts those that lie between two bounds of the zero bucket there and in the bucket next
    to it. A zero bucket below zero is not listed by either, so that only the other one tells how many there should be."""
    beyond = [sum(float(bucket[3]) for bucket in some.get("buckets", [])) - float(some["count"]) for some in (one, other)]
    size = 1e-9 * max(1.0, sum(abs(float(bucket[3])) for bucket in other.get("buckets", [])))
    if not all(map(math.isfinite, beyond)) or abs(beyond[0] - beyond[1]) <= size:
        return False
    return abs(beyond[0]) <= size or all(bucket[0] != 3 for bucket in one.get("buckets", []))


def beyond_zero(buckets, others):
    """Without the zero bucket and what lies next to it in one of the two, where observations may be counted twice."""
    ends = lambda buckets: [max(abs(float(bucket[1])), abs(float(bucket[2]))) for bucket in buckets]
    inner = max(min(ends([bucket for bucket in some if bucket[0] != 3]), default=0.0) for some in (buckets, others))
    return [bucket for bucket, end in zip(buckets, ends(buckets)) if end > inner * (1 + 1e-9)]


def compare_histograms(one, other):
    """None where equal, else what differs; both as the API writes them."""
    for part in ("count", "sum"):
        if not close(one[part], other[part]):
            return f"{part}: {one[part]} / {other[part]}"
    a, b = one.get("buckets", []), other.get("buckets", [])
    if counts_twice(one, other):
        a, b = beyond_zero(a, b), beyond_zero(b, a)
    if len(a) != len(b):
        return f"{len(a)} / {len(b)} buckets"
    for left, right in zip(a, b):
        if left[0] != right[0] or not all(close(x, y) for x, y in zip(left[1:], right[1:])):
            return f"bucket {left} / {right}"
    return None


def without_place(note):
    return re.sub(r" \(\d+:\d+\)$", "", note)


def without_names(answer):
    """The answer without names of metrics. A comparison of two vectors brings a name back that a function below it dropped,
    where Prometheus removes names late; where it removes them at once, as it does by default, and here it stays away."""
    entries = answer["data"]["result"] if answer["status"] == "success" else []
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            entry["metric"].pop("__name__", None)
    return answer


def compare(ours, theirs, ordered, with_places=True):
    """None where equal, else what differs. A note about two places of a query is told once by Prometheus, with one of the
    places, and twice by us: without `with_places` only the texts count."""
    if ours.get("status") != theirs.get("status"):
        return f"status: {ours.get('status')} {ours.get('error', '')} / {theirs.get('status')} {theirs.get('error', '')}"
    if ours["status"] == "error":
        if ours["errorType"] != theirs["errorType"]:
            return f"error type: {ours['errorType']} ({ours['error']}) / {theirs['errorType']} ({theirs['error']})"
        return None
    for notes in ("warnings", "infos"):
        one, other = (answer.get(notes, []) for answer in (ours, theirs))
        if not with_places:
            one, other = set(map(without_place, one)), set(map(without_place, other))
        if sorted(one) != sorted(other):
            return f"{notes}: {ours.get(notes)} / {theirs.get(notes)}"
    a, b = ours["data"], theirs["data"]
    if a["resultType"] != b["resultType"]:
        return f"type: {a['resultType']} / {b['resultType']}"
    if a["resultType"] in ("scalar", "string"):
        same = a["result"][1] == b["result"][1] or (a["resultType"] == "scalar" and close(a["result"][1], b["result"][1]))
        return None if same else f"{a['result']} / {b['result']}"
    return compare_series(a["result"], b["result"], ordered)


def compare_series(a, b, ordered):
    key = lambda entry: json.dumps(entry["metric"], sort_keys=True)
    if ordered and all("value" in entry for entry in a + b):
        # Series with equal values may come in any order.
        ranks = lambda entries: [entry["value"][1] for entry in entries]
        if len(a) == len(b) and all(close(x, y) for x, y in zip(ranks(a), ranks(b))):
            ordered = False
    if not ordered:
        a, b = sorted(a, key=key), sorted(b, key=key)
    names_a, names_b = [key(entry) for entry in a], [key(entry) for entry in b]
    if names_a != names_b:
        only_a, only_b = set(names_a) - set(names_b), set(names_b) - set(names_a)
        return f"series: only ours {sorted(only_a)[:3]}, only theirs {sorted(only_b)[:3]}, or another order"
    for one, other in zip(a, b):
        left, right = points(one), points(other)
        if [t for t, _ in left] != [t for t, _ in right]:
            return f"{key(one)}: {len(left)} / {len(right)} points, or at other times"
        for (t, x), (_, y) in zip(left, right):
            if not close(x, y):
                return f"{key(one)} at {t}: {x} / {y}"
        left, right = histograms(one), histograms(other)
        if [t for t, _ in left] != [t for t, _ in right]:
            return f"{key(one)}: {len(left)} / {len(right)} histograms, or at other times"
        for (t, x), (_, y) in zip(left, right):
            difference = compare_histograms(x, y)
            if difference:
                return f"{key(one)} at {t}: {difference}"
    return None


def error_texts_differ(ours, theirs):
    return ours.get("status") == "error" and theirs.get("status") == "error" and ours["error"] != theirs["error"]


def forms(query, end):
    """How a query is asked: path and parameters."""
    out = [("query", {"query": query, "time": f"{end - back:.3f}"}) for back in (0, 1234.5, 3300)]
    return out + [("query_range", {"query": query, "start": end - 6000, "end": end + 300, "step": 61})]


class Comparison:
    """Asks both, keeps Prometheus' answers, and collects what differs."""

    def __init__(self, atl, prometheus, end):
        self.atl, self.prometheus, self.end, self.answers = atl, prometheus, end, {}
        self.start_round()

    def start_round(self):
        self.different, self.texts, self.asked = [], [], 0

    def theirs(self, path, parameters):
        place = (path, json.dumps(parameters))
        if place not in self.answers:
            self.answers[place] = self.prometheus.ask(path, **parameters)
        return self.answers[place]

    def difference(self, query, with_places=True):
        """The first difference of any form: path, time, what differs."""
        for path, parameters in forms(query, self.end):
            self.asked += 1
            ours, theirs = self.atl.ask(path, **parameters), self.theirs(path, parameters)
            if not with_places and COMPARES.search(query):
                ours, theirs = without_names(ours), without_names(theirs)
            ordered = path == "query_range" or query.startswith("sort")
            found = compare(ours, theirs, ordered, with_places)
            if found:
                return path, parameters.get("time"), found
            if error_texts_differ(ours, theirs):
                self.texts.append((query, ours["error"], theirs["error"]))
        return None

    def listed(self, asked):
        for query in asked:
            found = self.difference(query)
            if found and not any(text in query for text in DELIBERATE):
                self.different.append((query, *found))

    def drawn(self, seed, count):
        for number in range(count):
            node = random_queries.drawn(seed, number)
            found = self.difference(random_queries.text_of(node), with_places=False)
            if found:
                node, found = self.smallest(node, found)
                self.different.append((random_queries.text_of(node), *found))

    def smallest(self, node, found):
        for one in random_queries.smaller(node):
            inner = self.difference(random_queries.text_of(one), with_places=False)
            if inner:
                return self.smallest(one, inner)
        return node, found

    def exemplars(self):
        for query in queries_native.EXEMPLARS:
            self.asked += 1
            parameters = {"query": query, "start": self.end - 5000, "end": self.end}
            ours, theirs = self.atl.ask("query_exemplars", **parameters), self.theirs("query_exemplars", parameters)
            found = compare_exemplars(ours, theirs)
            if found:
                self.different.append((query, "query_exemplars", None, found))

    def tell(self, verbose):
        for query, path, at, difference in self.different[: None if verbose else 40]:
            print(f"  {path} {query} @ {at}: {difference}")
        if verbose:
            for query, one, other in dict.fromkeys(self.texts):
                print(f"  error text of {query}: {one!r} / {other!r}")
        print(f"  {self.asked} questions, {len(self.different)} queries differ, {len(set(self.texts))} error texts are worded differently", flush=True)
        return len(self.different)


def compare_exemplars(ours, theirs):
    if ours["status"] != theirs["status"]:
        return f"status: {ours} / {theirs}"
    if ours["status"] == "error":
        return None if ours["errorType"] == theirs["errorType"] else f"error type: {ours} / {theirs}"
    key = lambda one: json.dumps(one["seriesLabels"], sort_keys=True)
    a, b = sorted(ours["data"] or [], key=key), sorted(theirs["data"] or [], key=key)
    if [key(one) for one in a] != [key(one) for one in b]:
        return f"series: {len(a)} / {len(b)}"
    for one, other in zip(a, b):
        if len(one["exemplars"]) != len(other["exemplars"]):
            return f"{key(one)}: {len(one['exemplars'])} / {len(other['exemplars'])} exemplars"
        for x, y in zip(one["exemplars"], other["exemplars"]):
            if x["labels"] != y["labels"] or x["timestamp"] != y["timestamp"] or not close(x["value"], y["value"]):
                return f"{key(one)}: {x} / {y}"
    return None


def run_round(comparison, arguments, asked):
    comparison.start_round()
    if arguments.queries:
        comparison.drawn(arguments.seed, arguments.queries)
    else:
        comparison.listed(asked)
        if not arguments.floats_only and not arguments.only:
            comparison.exemplars()
    return comparison.tell(arguments.verbose)


def compare_rounds(arguments, folders, asked, end_ms):
    """The same three times: from memory, from files after a restart, from merged files. Gives how many queries differed."""
    failed = 0
    atl, prometheus = start_atl(str(pathlib.Path(arguments.atl).resolve()), folders[0]), start_prometheus(arguments.prometheus, folders[1])
    try:
        series, samples = load([atl, prometheus], end_ms, not arguments.floats_only)
        print(f"{series} series, {samples} samples, {arguments.queries or len(asked)} queries")
        comparison = Comparison(atl, prometheus, end_ms / 1000)
        print("from memory:")
        failed += run_round(comparison, arguments, asked)
        atl.stop()
        atl.start()
        print("from files, after a restart:")
        failed += run_round(comparison, arguments, asked)
        subprocess.run([atl.command[0], "store", "compact", "--all", "--store", f"file:{folders[0] / 'atl-data' / 'store'}"], check=True)
        atl.stop()
        atl.start()
        print("from merged files:")
        failed += run_round(comparison, arguments, asked)
    finally:
        atl.stop()
        prometheus.stop()
    return failed


def ask_prometheus_alone(arguments, folder, asked, end_ms):
    """Tells which queries Prometheus refuses or answers with nothing at all: those compare little."""
    prometheus = start_prometheus(arguments.prometheus, folder)
    try:
        series, samples = load([prometheus], end_ms, not arguments.floats_only)
        print(f"{series} series, {samples} samples, {len(asked)} queries")
        refused, empty = [], []
        for query in asked:
            answers = [prometheus.ask(path, **parameters) for path, parameters in forms(query, end_ms / 1000)]
            if answers[-1]["status"] == "error":
                refused.append((query, answers[-1]["error"]))
            elif not any(answer["status"] == "success" and answer["data"]["result"] for answer in answers):
                empty.append(query)
        for query, error in refused:
            print(f"  refused: {query}: {error}")
        for query in empty:
            print(f"  empty: {query}")
        for query in queries_native.EXEMPLARS if not arguments.floats_only else []:
            answer = prometheus.ask("query_exemplars", query=query, start=end_ms / 1000 - 5000, end=end_ms / 1000)
            print(f"  exemplars of {query}: {answer.get('error') or sum(len(one['exemplars']) for one in answer['data'] or [])}")
        print(f"{len(refused)} refused, {len(empty)} empty, {len(asked) - len(refused) - len(empty)} answered")
    finally:
        prometheus.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--atl", default=os.environ.get("ATL_BIN", "target/release/atl"))
    parser.add_argument("--prometheus", default=os.environ.get("ATL_PROMETHEUS", "prometheus"))
    parser.add_argument("--only", help="only queries with this text")
    parser.add_argument("--floats-only", action="store_true", help="no native histograms and exemplars")
    parser.add_argument("--seed", type=int, default=1, help="of the expressions drawn")
    parser.add_argument("--queries", type=int, default=0, help="draw so many expressions instead of the listed queries")
    parser.add_argument("--prometheus-alone", action="store_true", help="ask Prometheus only, and tell which queries say nothing")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    end_ms = int(time.time()) // 60 * 60_000
    if arguments.queries:
        asked = [random_queries.text_of(random_queries.drawn(arguments.seed, number)) for number in range(arguments.queries)]
    else:
        asked = queries.generated() + ([] if arguments.floats_only else queries_native.generated())
    asked = [query for query in asked if not arguments.only or arguments.only in query]
    with tempfile.TemporaryDirectory(prefix="atl-differential-") as folder:
        folders = [pathlib.Path(folder) / name for name in ("atl", "prometheus")]
        for place in folders:
            place.mkdir()
        if arguments.prometheus_alone:
            ask_prometheus_alone(arguments, folders[1], asked, end_ms)
            return 0
        return 1 if compare_rounds(arguments, folders, asked, end_ms) else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""The same data by remote write to this program and to a real Prometheus, the same queries to both, answers compared.

    tests/differential/run.py --atl target/release/atl --prometheus PATH [--only TEXT] [--verbose]

Values must be equal to 1e-9 relative, label sets, result types, error types and the presence of warnings exactly.
Every query is asked as an instant query at three times and as a range query; then again after the rows have moved
from memory to files, and after these were merged. Exit 1 on any difference that is not in `DELIBERATE`."""

import argparse
import json
import math
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import data
import queries
import wire

# Differences that are meant: a text in the query → why.
DELIBERATE = {
    "limitk(": "which series are kept depends on the order they are stored in; any are right",
    "(special)": "dates of numbers that are no time (infinities, 1.7e308) depend on the processor in Go, and its logarithm of "
                 "subnormal numbers is wrong on amd64; here dates of such numbers are NaN and logarithms are right",
    "(memory_bytes[5m:30s])": "a note about a subquery names the place of the argument here, of the whole query there",
}

FEATURES = ("promql-experimental-functions,promql-duration-expr,promql-delayed-name-removal,"
            "promql-extended-range-selectors,promql-binop-fill-modifiers")


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
    (folder / "prometheus.yml").write_text("global: { scrape_interval: 1h }\n")
    command = [binary, "--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}",
               "--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=10y", f"--enable-feature={FEATURES}"]
    return System("prometheus", command, folder, port)


def load(systems, end_ms):
    """Time slice by time slice, as scrapes would come."""
    everything = data.all_series(end_ms)
    slices = sorted({ms // 600_000 for _, samples in everything for ms, _ in samples})
    total = 0
    for number in slices:
        body = b""
        for labels, samples in everything:
            part = [(ms, bits) for ms, bits in samples if ms // 600_000 == number]
            total += len(part)
            body += wire.series(labels, part) if part else b""
        for system in systems:
            wire.push(f"{system.url}/api/v1/write", body)
    return len(everything), total


def close(a, b):
    a, b = float(a.replace("Inf", "inf")), float(b.replace("Inf", "inf"))
    if math.isnan(a) or math.isnan(b):
        return math.isnan(a) and math.isnan(b)
    return a == b or abs(a - b) <= 1e-9 * max(abs(a), abs(b))


def points(entry):
    return [entry["value"]] if "value" in entry else entry.get("values", [])


def compare(ours, theirs, ordered):
    """None where equal, else what differs."""
    if ours.get("status") != theirs.get("status"):
        return f"status: {ours.get('status')} {ours.get('error', '')} / {theirs.get('status')} {theirs.get('error', '')}"
    if ours["status"] == "error":
        if ours["errorType"] != theirs["errorType"]:
            return f"error type: {ours['errorType']} ({ours['error']}) / {theirs['errorType']} ({theirs['error']})"
        return None
    for notes in ("warnings", "infos"):
        if sorted(ours.get(notes, [])) != sorted(theirs.get(notes, [])):
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
    return None


def error_texts_differ(ours, theirs):
    return ours.get("status") == "error" and theirs.get("status") == "error" and ours["error"] != theirs["error"]


def run_all(atl, prometheus, end_ms, only, verbose, cache):
    end = end_ms / 1000
    different, texts, asked = [], [], 0
    for query in queries.generated():
        if only and only not in query:
            continue
        forms = [("query", {"query": query, "time": f"{end - back:.3f}"}) for back in (0, 1234.5, 3300)]
        forms.append(("query_range", {"query": query, "start": end - 6000, "end": end + 300, "step": 61}))
        for path, parameters in forms:
            asked += 1
            ours = atl.ask(path, **parameters)
            place = (path, json.dumps(parameters))
            if place not in cache:
                cache[place] = prometheus.ask(path, **parameters)
            theirs = cache[place]
            ordered = path == "query_range" or query.startswith("sort")
            difference = compare(ours, theirs, ordered)
            if difference and not any(text in query for text in DELIBERATE):
                different.append((query, path, parameters.get("time"), difference))
            elif error_texts_differ(ours, theirs):
                texts.append((query, ours["error"], theirs["error"]))
    for query, path, at, difference in different[: None if verbose else 40]:
        print(f"  {path} {query} @ {at}: {difference}")
    if verbose:
        for query, one, other in dict.fromkeys(texts):
            print(f"  error text of {query}: {one!r} / {other!r}")
    print(f"  {asked} questions, {len(different)} differ, {len(set(texts))} error texts are worded differently")
    return different


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--atl", default=os.environ.get("ATL_BIN", "target/release/atl"))
    parser.add_argument("--prometheus", default=os.environ.get("ATL_PROMETHEUS", "prometheus"))
    parser.add_argument("--only", help="only queries with this text")
    parser.add_argument("--verbose", action="store_true")
    arguments = parser.parse_args()
    end_ms = int(time.time()) // 60 * 60_000
    with tempfile.TemporaryDirectory(prefix="atl-differential-") as folder:
        folders = [pathlib.Path(folder) / name for name in ("atl", "prometheus")]
        for place in folders:
            place.mkdir()
        atl = start_atl(str(pathlib.Path(arguments.atl).resolve()), folders[0])
        prometheus = start_prometheus(arguments.prometheus, folders[1])
        try:
            series, samples = load([atl, prometheus], end_ms)
            print(f"{series} series, {samples} samples, {len(queries.generated())} queries")
            cache, failed = {}, []
            print("from memory:")
            failed += run_all(atl, prometheus, end_ms, arguments.only, arguments.verbose, cache)
            atl.stop()
            atl.start()
            print("from files, after a restart:")
            failed += run_all(atl, prometheus, end_ms, arguments.only, arguments.verbose, cache)
            subprocess.run([atl.command[0], "store", "compact", "--all", "--store", f"file:{folders[0] / 'atl-data' / 'store'}"], check=True)
            atl.stop()
            atl.start()
            print("from merged files:")
            failed += run_all(atl, prometheus, end_ms, arguments.only, arguments.verbose, cache)
        finally:
            atl.stop()
            prometheus.stop()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

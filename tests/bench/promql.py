#!/usr/bin/env python3
"""PromQL side by side: the same recorded samples in this program, in Prometheus and in VictoriaMetrics, the same
queries to all three, one after the other.

    eval "$(tests/run --env)"; tests/bench/promql.py --recording node.rec [--copies 10] [--rounds 5]

Needs what size.py needs, and $ATL_BIN. Answers of ours and Prometheus's are compared before anything is timed: a
query whose answers differ has no score. VictoriaMetrics extrapolates differently by design and is only timed."""

import argparse
import array
import json
import math
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time
import urllib.parse

import size

# What dashboards ask: Node Exporter Full's panels, and some of our own. `I` stands for one host.
QUERIES = [
    ("CPU busy, one host", 'sum by (mode) (rate(node_cpu_seconds_total{instance="I",mode!="idle"}[5m]))'),
    ("CPU busy, all", '100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m])))'),
    ("memory used", 'node_memory_MemTotal_bytes{instance="I"} - node_memory_MemFree_bytes{instance="I"} - node_memory_Cached_bytes{instance="I"}'),
    ("memory share, all", "1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes"),
    ("load", 'node_load1{instance="I"}'),
    ("load over cores", "node_load1 / on (instance) count by (instance) (count by (instance, cpu) (node_cpu_seconds_total))"),
    ("network in", 'irate(node_network_receive_bytes_total{instance="I"}[5m])'),
    ("network, all", "sum(rate(node_network_receive_bytes_total[5m])) + sum(rate(node_network_transmit_bytes_total[5m]))"),
    ("disk busy", 'rate(node_disk_io_time_seconds_total{instance="I"}[5m])'),
    ("filesystems", 'node_filesystem_avail_bytes{fstype!~"tmpfs|rootfs"} / node_filesystem_size_bytes{fstype!~"tmpfs|rootfs"} * 100'),
    ("context switches", 'rate(node_context_switches_total{instance="I"}[5m])'),
    ("topk", "topk(5, rate(node_cpu_seconds_total[5m]))"),
    ("quantile over time", 'quantile_over_time(0.95, node_load1[1h])'),
    ("max of a subquery", "max_over_time(sum by (instance) (rate(node_cpu_seconds_total[5m]))[30m:1m])"),
    ("summary quantiles", 'go_gc_duration_seconds{quantile="0.5"}'),
    ("by name", 'count by (__name__) ({__name__=~"node_memory_.*"})'),
    ("regex over all", 'sum by (instance) ({__name__=~"node_(sockstat|netstat)_.+"})'),
    ("deriv", "deriv(node_memory_MemAvailable_bytes[30m])"),
    ("changes", "sum(changes(node_time_seconds[10m]))"),
    ("label join", 'sum by (where) (label_replace(node_load5, "where", "$1", "instance", "(.*):.*"))'),
    ("absent", 'absent(node_load1{instance="nobody"})'),
    ("predict", "predict_linear(node_filesystem_avail_bytes[1h], 4 * 3600) < 0"),
    ("count", "count({job=\"node\"})"),
    ("increase, a day", "sum by (instance) (increase(node_cpu_seconds_total{mode=\"user\"}[1h]))"),
]


def multiply(series, copies):
    """More hosts with the same samples."""
    out = list(series)
    for copy in range(1, copies):
        for one in series:
            other = size.Series(one.labels | {"instance": f"copy-{copy}-" + one.labels["instance"]})
            other.times, other.values = one.times, one.values
            out.append(other)
    return out


def ask(url, query, start, end, step):
    form = urllib.parse.urlencode({"query": query, "start": start, "end": end, "step": step}).encode()
    begun = time.perf_counter()
    body = size.get(url + "/api/v1/query_range", form)
    return time.perf_counter() - begun, body


def same(ours, theirs):
    rows = lambda body: {json.dumps(s["metric"], sort_keys=True): s["values"] for s in json.loads(body)["data"]["result"]}
    a, b = rows(ours), rows(theirs)
    if a.keys() != b.keys():
        return False
    close = lambda x, y: x == y or math.isclose(float(x), float(y), rel_tol=1e-9)
    return all([t for t, _ in a[key]] == [t for t, _ in b[key]] and all(close(x, y) for (_, x), (_, y) in zip(a[key], b[key])) for key in a)


def servers(folder, binary, prometheus, victoria):
    """Name, command, port, path that answers when ready."""
    ports = [size.free_port() for _ in range(3)]
    (folder / "atl.yaml").write_text("builtin: { host: false, own_metrics: false }\nstore: { retention: { metrics: 0d } }\n")
    (folder / "prometheus.yml").write_text("global: { scrape_interval: 1h }\n")
    out = [("atl", [binary, "serve", "--config", str(folder / "atl.yaml"), "--data-dir", str(folder / "atl"), "--listen", f"127.0.0.1:{ports[0]}"], ports[0], "/-/ready")]
    if prometheus:
        out.append(("prometheus", [prometheus, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'prometheus'}",
                                   f"--web.listen-address=127.0.0.1:{ports[1]}", "--storage.tsdb.retention.time=10y"], ports[1], "/-/ready"))
    if victoria:
        out.append(("victoria", [victoria, f"-storageDataPath={folder / 'victoria'}", f"-httpListenAddr=127.0.0.1:{ports[2]}", "-retentionPeriod=100y",
                                 "-search.disableCache", "-search.latencyOffset=0s"], ports[2], "/health"))
    return out


def measure(options, folder):
    series, pages = size.load(options.recording, options.hosts, options.interval, options.frames)
    series = multiply(series, options.copies)
    count = sum(len(one.times) for one in series)
    start, end = min(one.times[0] for one in series) / 1000, max(one.times[-1] for one in series) / 1000
    host = next(one.labels["instance"] for one in series)
    print(f"{len(series)} series, {(end - start) / 3600:.1f} h, {count} samples; ranges over all of it with a step of {options.step} s, {options.rounds} rounds.\n", flush=True)
    size.ours(series, folder)
    promtool = pathlib.Path(options.prometheus).with_name("promtool") if options.prometheus else None
    if options.promtool:
        promtool = pathlib.Path(options.promtool)
    if promtool:
        size.prometheus(promtool, series, folder)
    if options.victoria:
        size.victoria_metrics(options.victoria, series, folder)
    del series
    times = {}
    commands = servers(folder, options.atl, options.prometheus, options.victoria)
    queries = [(name, query.replace('"I"', json.dumps(host))) for name, query in QUERIES]
    # Cold: the first question after a start. Then warm, in turns.
    running = [(name, size.Server(command, port, path, folder).__enter__()) for name, command, port, path in commands]
    try:
        for label, query in queries:
            bodies = {}
            for name, server in running:
                first, bodies[name] = ask(server.url, query, start, end, options.step)
                times[label, name] = [first]
            if "prometheus" in bodies and not same(bodies["atl"], bodies["prometheus"]):
                print(f"answers differ: {query}", file=sys.stderr)
                times.pop((label, "atl"))
                continue
            for _ in range(options.rounds):
                for name, server in running:
                    times[label, name].append(ask(server.url, query, start, end, options.step)[0])
    finally:
        for _, server in running:
            server.__exit__()
    report(queries, [name for name, _ in running], times)


def report(queries, names, times):
    others = [name for name in names if name != "atl"]
    print("| query | " + " | ".join(f"{name}, ms" for name in names) + " | first, ms | " + " | ".join(f"to {name}" for name in others) + " |")
    print("|---" * (len(names) + len(others) + 2) + "|")
    ratios = {name: [] for name in others}
    for label, _ in queries:
        if (label, "atl") not in times:
            print(f"| {label} | answers differ |")
            continue
        median = {name: statistics.median(times[label, name][1:]) for name in names}
        row = []
        for name in others:
            ratios[name].append(median["atl"] / median[name])
            row.append(f"{ratios[name][-1]:.2f}")
        firsts = " / ".join(f"{times[label, name][0] * 1000:.0f}" for name in names)
        print(f"| {label} | " + " | ".join(f"{median[name] * 1000:.1f}" for name in names) + f" | {firsts} | " + " | ".join(row) + " |")
    for name in others:
        if ratios[name]:
            print(f"\nGeometric mean to {name}: {math.exp(statistics.fmean(map(math.log, ratios[name]))):.2f}; worst {max(ratios[name]):.2f}.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recording", type=pathlib.Path, required=True)
    parser.add_argument("--atl", default=os.environ.get("ATL_BIN", "target/release/atl"))
    parser.add_argument("--prometheus", default=os.environ.get("ATL_PROMETHEUS"))
    parser.add_argument("--promtool", help="where it is not beside prometheus")
    parser.add_argument("--victoria", default=(os.environ.get("ATL_VICTORIA_METRICS") or "").split(":")[0].rpartition("=")[2])
    parser.add_argument("--interval", type=int, default=15)
    parser.add_argument("--hosts", type=int, default=2)
    parser.add_argument("--copies", type=int, default=1)
    parser.add_argument("--frames", type=int, default=0)
    parser.add_argument("--step", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    options.atl = str(pathlib.Path(options.atl).resolve())
    folder = pathlib.Path(tempfile.mkdtemp(prefix="atl-promql-"))
    try:
        measure(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

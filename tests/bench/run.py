#!/usr/bin/env python3
"""Runs atl and Prometheus side by side over the same replayed targets, and prints ratios.

    eval "$(tests/run --env)"; tests/bench/run.py [--minutes 10] [--targets 25] [--interval 15]

Needs only Python's own library, the two servers and a node_exporter to record from. Figures of one run on one machine:
the ratios travel, the absolute numbers do not. README.md says what is measured and how.
"""

import argparse
import json
import math
import os
import pathlib
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")
QUERY_ROUNDS = 15
# How far back Prometheus looks for the last value of a series, seconds.
LOOKBACK = 300


def get(url, data=None, timeout=60):
    with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=timeout) as answer:
        return answer.read()


class Process:
    """A child with its resource use sampled once a second."""

    def __init__(self, name, command, folder, environment=None):
        self.name = name
        self.log = open(folder / f"{name}.log", "wb")
        self.child = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, cwd=folder, env=environment)
        self.resident, self.proportional, self.stopped = [], [], threading.Event()
        self.cpu = 0.0
        self.sampler = threading.Thread(target=self.sample, daemon=True)
        self.sampler.start()

    def sample(self):
        while not self.stopped.wait(1.0):
            try:
                self.cpu = self.cpu_seconds()
                rollup = pathlib.Path(f"/proc/{self.child.pid}/smaps_rollup").read_text()
            except OSError:
                return
            self.resident.append(int(re.search(r"^Rss: +(\d+)", rollup, re.M)[1]) * 1024)
            self.proportional.append(int(re.search(r"^Pss: +(\d+)", rollup, re.M)[1]) * 1024)

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def stop(self):
        self.stopped.set()
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(60)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def wait_for(url, seconds=60):
    deadline = time.time() + seconds
    while True:
        try:
            return get(url, timeout=5)
        except OSError:
            if time.time() > deadline:
                sys.exit(f"`{url}` did not answer within {seconds} s")
            time.sleep(0.05)


def free_port():
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def record(exporter, folder, pages=8, pause=2.0):
    """Pages of a real node_exporter while the machine does something."""
    port = free_port()
    process = Process("node_exporter", [exporter, f"--web.listen-address=127.0.0.1:{port}"], folder)
    url = f"http://127.0.0.1:{port}/metrics"
    wait_for(url)
    texts = []
    for number in range(pages):
        (folder / "noise").write_bytes(os.urandom(4 << 20))
        sum(math.sqrt(value) for value in range(300_000 * (1 + number % 3)))
        texts.append(get(url).decode())
        time.sleep(pause)
    process.stop()
    target = folder / "pages.json"
    target.write_text(json.dumps({"pages": texts, "seconds": pause * (pages - 1)}))
    return target


def scrape_configs(ports, interval):
    targets = ", ".join(f'"127.0.0.1:{port}"' for port in ports)
    return (f"scrape_configs:\n  - job_name: node\n    scrape_interval: {interval}s\n    scrape_timeout: {min(10, interval)}s\n"
            f"    static_configs:\n      - targets: [{targets}]\n")


def start_prometheus(binary, folder, ports, interval):
    folder.mkdir()
    (folder / "prometheus.yml").write_text(scrape_configs(ports, interval))
    port = free_port()
    command = [binary, "--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}",
               "--web.enable-admin-api", "--log.level=warn"]
    began = time.time()
    process = Process("prometheus", command, folder)
    wait_for(f"http://127.0.0.1:{port}/-/ready")
    return process, f"http://127.0.0.1:{port}", time.time() - began


def start_atl(binary, folder, ports, interval):
    folder.mkdir()
    (folder / "atl.yaml").write_text("builtin: { host: false, own_metrics: false }\n" + scrape_configs(ports, interval))
    port = free_port()
    environment = dict(os.environ, RUST_LOG="warn")
    began = time.time()
    process = Process("atl", [binary, "serve", "--config", "atl.yaml", "--listen", f"127.0.0.1:{port}"], folder, environment)
    wait_for(f"http://127.0.0.1:{port}/-/ready")
    return process, f"http://127.0.0.1:{port}", time.time() - began


class Atl:
    """Asks in SQL."""

    def __init__(self, url):
        self.url = url

    def rows(self, statement):
        return json.loads(get(f"{self.url}/api/sql", data=statement.encode()))["rows"]


class Prometheus:
    """Asks in PromQL."""

    def __init__(self, url):
        self.url = url

    def result(self, query, at):
        parameters = urllib.parse.urlencode({"query": query, "time": f"{at:.3f}"})
        return json.loads(get(f"{self.url}/api/v1/query?{parameters}"))["data"]["result"]


def questions(begin, end, instance):
    """Name, PromQL, SQL. Both give (key, number) pairs over the same samples, those of [begin, end]."""
    window = f"[{int(end - begin)}s]"
    between = f"ts BETWEEN to_timestamp_millis({int(begin * 1000)}) AND to_timestamp_millis({int(end * 1000)})"
    return [
        ("last value of 25 series", "instance", "node_load1",
         f"SELECT instance, last_value(value ORDER BY ts) FROM prom.node_load1 WHERE {between} GROUP BY instance"),
        ("one series, all samples summed", None, f'sum_over_time(node_load1{{instance="{instance}"}}{window})',
         f"SELECT '', sum(value) FROM prom.node_load1 WHERE instance = '{instance}' AND {between}"),
        ("average by target", "instance", f"avg by (instance) (avg_over_time(node_load5{window}))",
         f"SELECT instance, avg(value) FROM prom.node_load5 WHERE {between} GROUP BY instance"),
        ("growth of processor time by mode", "mode",
         f"sum by (mode) (max_over_time(node_cpu_seconds_total{window}) - min_over_time(node_cpu_seconds_total{window}))",
         f"SELECT mode, sum(d) FROM (SELECT instance, cpu, mode, max(value) - min(value) AS d FROM prom.node_cpu_seconds_total "
         f"WHERE {between} GROUP BY instance, cpu, mode) GROUP BY mode"),
        ("highest of all file systems by mount point", "mountpoint",
         f"max by (mountpoint) (max_over_time(node_filesystem_avail_bytes{window}))",
         f"SELECT mountpoint, max(value) FROM prom.node_filesystem_avail_bytes WHERE {between} GROUP BY mountpoint"),
        ("all series counted", None, 'count({__name__=~"node_.+"})',
         "SELECT '', count(DISTINCT tsid) FROM metrics WHERE metric LIKE 'node\\_%' "
         f"AND ts BETWEEN to_timestamp_millis({int(end - LOOKBACK) * 1000}) AND to_timestamp_millis({int(end * 1000)})"),
    ]


def same(left, right):
    return left.keys() == right.keys() and all(math.isclose(left[key], right[key], rel_tol=1e-9, abs_tol=1e-12) for key in left)


def time_queries(atl, prometheus, begin, end, instance):
    """Median seconds of each side, asked in turns, answers held against each other first."""
    timings = []
    for name, label, promql, sql in questions(begin, end, instance):
        theirs = {series["metric"].get(label, "") if label else "": float(series["value"][1]) for series in prometheus.result(promql, end)}
        ours = {row[0]: float(row[1]) for row in atl.rows(sql)}
        if not same(ours, theirs):
            differ = [(key, ours.get(key), theirs.get(key)) for key in sorted(ours.keys() | theirs.keys()) if ours.get(key) != theirs.get(key)]
            sys.exit(f"the answers to `{name}` differ (key, atl, Prometheus): {differ[:5]}")
        spent = {"atl": [], "prometheus": []}
        for _ in range(QUERY_ROUNDS):
            for side, ask in (("atl", lambda: atl.rows(sql)), ("prometheus", lambda: prometheus.result(promql, end))):
                began = time.perf_counter()
                ask()
                spent[side].append(time.perf_counter() - began)
        timings.append((name, statistics.median(spent["atl"]), statistics.median(spent["prometheus"])))
    return timings


def appended(prometheus_url):
    """Samples Prometheus says it has stored."""
    text = get(f"{prometheus_url}/metrics").decode()
    return int(sum(float(number) for number in re.findall(r"^prometheus_tsdb_head_samples_appended_total\S* (\S+)", text, re.M)))


def disk_bytes(folder):
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def file_bytes(folder, pattern="*"):
    return sum(path.stat().st_size for path in folder.rglob(pattern) if path.is_file())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--targets", type=int, default=25)
    parser.add_argument("--interval", type=int, default=15)
    options = parser.parse_args()
    programs = {name: os.environ.get(name) for name in ("ATL_BIN", "ATL_PROMETHEUS", "ATL_NODE_EXPORTER")}
    missing = [name for name, path in programs.items() if not path or not os.path.exists(path)]
    if missing:
        sys.exit(f"{', '.join(missing)} not set: run `tests/run --only debian`, then eval \"$(tests/run --env)\"")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="atl-bench-"))
    running = []
    try:
        measure(options, programs, folder, running)
    finally:
        for process in running:
            if process.child.poll() is None:
                process.child.kill()
                process.child.wait()
        shutil.rmtree(folder, ignore_errors=True)


def measure(options, programs, folder, running):
    load_before = os.getloadavg()[0]
    say(f"recording a real node_exporter, then {options.targets} targets every {options.interval} s for {options.minutes:g} minutes")
    pages = record(programs["ATL_NODE_EXPORTER"], folder)
    slots = int(options.minutes * 60 / options.interval) + 20
    arguments = [str(pages), str(options.targets), str(slots), str(options.interval)]
    replay = subprocess.Popen([sys.executable, str(HERE / "replay.py"), *arguments], stdout=subprocess.PIPE)
    try:
        told = json.loads(replay.stdout.readline())
        prometheus, prometheus_url, prometheus_ready = start_prometheus(programs["ATL_PROMETHEUS"], folder / "prometheus", told["ports"], options.interval)
        running.append(prometheus)
        atl, atl_url, atl_ready = start_atl(programs["ATL_BIN"], folder / "atl", told["ports"], options.interval)
        running.append(atl)
        begin = time.time()
        time.sleep(options.minutes * 60)
        end = math.floor(time.time())
        cpu = {"atl": atl.cpu_seconds(), "prometheus": prometheus.cpu_seconds()}
        memory = {process.name: (process.resident[:], process.proportional[:]) for process in (atl, prometheus)}
        # A full scrape later, everything up to `end` is stored on both sides.
        time.sleep(2)
        instance = f"127.0.0.1:{told['ports'][0]}"
        ask_atl, ask_prometheus = Atl(atl_url), Prometheus(prometheus_url)
        samples = {"atl": int(ask_atl.rows("SELECT count(*) FROM metrics")[0][0]), "prometheus": appended(prometheus_url)}
        # Whole slots only: within one, a side may have scraped a target already and the other not yet.
        first = told["started"] + math.ceil((begin - told["started"]) / options.interval + 1) * options.interval
        last = told["started"] + math.floor((end - told["started"]) / options.interval) * options.interval
        timings = time_queries(ask_atl, ask_prometheus, first, last, instance)
    finally:
        replay.kill()
        replay.wait()
    snapshot = json.loads(get(f"{prometheus_url}/api/v1/admin/tsdb/snapshot", data=b""))["data"]["name"]
    blocks = file_bytes(folder / "prometheus" / "data" / "snapshots" / snapshot)
    wal = file_bytes(folder / "prometheus" / "data" / "wal")
    prometheus.stop()
    atl_before = disk_bytes(folder / "atl" / "atl-data")
    atl.stop()
    store = file_bytes(folder / "atl" / "atl-data" / "store")
    parquet = file_bytes(folder / "atl" / "atl-data" / "store", "*.parquet")
    report(options, told, load_before, cpu, memory, samples, timings, (prometheus_ready, atl_ready),
           dict(blocks=blocks, wal=wal, store=store, parquet=parquet, atl_before=atl_before))


def say(text):
    print(text, file=sys.stderr, flush=True)


def report(options, told, load_before, cpu, memory, samples, timings, ready, disk):
    rows = []

    def row(what, atl, prometheus, unit, scale=1.0):
        rows.append((what, f"{atl / scale:.4g} {unit}".strip(), f"{prometheus / scale:.4g} {unit}".strip(), f"{atl / prometheus:.2f}" if prometheus else "-"))

    mebibyte = 1 << 20
    row("samples stored", samples["atl"], samples["prometheus"], "")
    row("CPU time", cpu["atl"], cpu["prometheus"], "s")
    row("CPU time a million samples", cpu["atl"] / samples["atl"] * 1e6, cpu["prometheus"] / samples["prometheus"] * 1e6, "s")
    for name, index, summary in (("resident memory, highest", 0, max), ("resident memory, mean", 0, statistics.mean),
                                 ("proportional memory (PSS), mean", 1, statistics.mean)):
        row(name, summary(memory["atl"][index]), summary(memory["prometheus"][index]), "MiB", mebibyte)
    row("ready after start, empty", ready[1], ready[0], "ms", 0.001)
    row("bytes a sample, finished files (Parquet, all tables; Prometheus blocks)", disk["parquet"] / samples["atl"], disk["blocks"] / samples["prometheus"], "B")
    row("bytes a sample, on disk while running (with write-ahead log)", disk["atl_before"] / samples["atl"], disk["wal"] / samples["prometheus"], "B")
    for name, ours, theirs in timings:
        row(f"query: {name}", ours, theirs, "ms", 0.001)
    mean = math.exp(statistics.mean(math.log(ours / theirs) for _, ours, theirs in timings))
    print(f"{options.targets} targets of {told['series_per_target']} series ({told['bytes_per_page']} bytes a page) every "
          f"{options.interval} s for {options.minutes:g} minutes; {os.cpu_count()} cores, {os.uname().sysname} {os.uname().release}; "
          f"load average before {load_before:.1f}, after {os.getloadavg()[0]:.1f}.\n")
    print("| what | atl | Prometheus | ratio |\n|---|---|---|---|")
    for line in rows:
        print("| " + " | ".join(line) + " |")
    print(f"| queries, geometric mean of the ratios | | | {mean:.2f} |")


if __name__ == "__main__":
    main()

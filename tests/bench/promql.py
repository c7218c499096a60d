#!/usr/bin/env python3
"""PromQL side by side: the same samples of many hosts in this program, in Prometheus and in VictoriaMetrics, the same
questions to all three in turns.

    eval "$(tests/run --env)"
    tests/bench/promql.py --record 4m --keep node.rec --shape 20000x24h --prometheus PATH --victoria PATH
    tests/bench/promql.py --recording node.rec --shape 5000x7d --data FOLDER    # FOLDER keeps what was loaded

Needs Python's own library, cargo, the two other servers (promtool is not needed) and $ATL_BIN or --atl. Answers of ours
and Prometheus's are compared before anything is timed; a wrong answer ends the run without figures. VictoriaMetrics
extrapolates differently by design, so of its answers only the number of series is looked at. README.md says how it is
measured."""

import argparse
import collections
import http.client
import json
import math
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse

import promql_model
import promql_queries
import size

HERE = pathlib.Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")
# Data points of a panel half a screen wide.
POINTS_A_PANEL = 900
# Grafana's steps: up to the first number of seconds the second is taken.
STEPS = [(7.5, 5), (12.5, 10), (17.5, 15), (25, 20), (45, 30), (90, 60), (210, 120), (450, 300), (750, 600), (1050, 900), (1500, 1200)]
RANGES = [("1 h", 3600), ("24 h", 86_400), ("7 d", 7 * 86_400)]
HOST = "host-001"
# What our server gets while it runs, as it keeps so much in memory: seconds.
RECENT = 7200
# Questions that take less than SHORT seconds are asked ROUNDS_OF_SHORT times: of a few rounds the median is mostly chance.
SHORT = 0.002
ROUNDS_OF_SHORT = 25
NAMES = {"atl": "atl", "prometheus": "Prometheus", "victoria": "VictoriaMetrics"}


class System:
    """A server of one of the three kinds over what was loaded into its folder."""

    def __init__(self, name, command, folder, ready):
        self.name, self.folder, self.ready = name, folder, ready
        self.command, self.port = command, size.free_port()
        self.server = self.connection = None

    def start(self, *more):
        address = f"127.0.0.1:{self.port}"
        command = [argument.replace("{address}", address) for argument in self.command] + list(more)
        self.server = size.Server(command, self.port, self.ready, self.folder).__enter__()
        self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=600)

    def stop(self):
        if self.server:
            self.connection.close()
            self.server.__exit__()
            self.server = None

    def ask(self, query, start, end, step):
        """Seconds it took, and the answer."""
        form = urllib.parse.urlencode({"query": query, "start": start, "end": end, "step": step})
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        begun = time.perf_counter()
        self.connection.request("POST", "/api/v1/query_range", form, headers)
        body = self.connection.getresponse().read()
        return time.perf_counter() - begun, body

    def number(self, pattern):
        """Sum of the samples of its own metrics whose line begins so."""
        text = size.get(self.server.url + "/metrics").decode()
        return sum(float(value) for value in re.findall(rf"^{pattern}[^\n]*? ([0-9.e+]+)$", text, re.M))

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.server.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def resident_peak(self):
        status = pathlib.Path(f"/proc/{self.server.child.pid}/status").read_text()
        return int(re.search(r"^VmHWM:\s+(\d+)", status, re.M)[1]) * 1024

    def forget_peak(self):
        """Lets the highest resident memory be that from now on."""
        pathlib.Path(f"/proc/{self.server.child.pid}/clear_refs").write_text("5")

    def drop_cached(self):
        """Takes this server's files out of the page cache, and leaves those of others there."""
        os.sync()
        for path in self.folder.rglob("*"):
            if path.is_file():
                with open(path, "rb") as file:
                    os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def systems(options, folder):
    """The three, as they are asked."""
    out = []
    for name in NAMES:
        (folder / name).mkdir(parents=True, exist_ok=True)
    config = "builtin: { host: false, own_metrics: false }\nstore: { retention: { metrics: 0d } }\n"
    (folder / "atl" / "atl.yaml").write_text(config + "promql: { result_cache: 0 }\n")
    checked = subprocess.run([options.atl, "check", "--config", str(folder / "atl" / "atl.yaml")], capture_output=True)
    if checked.returncode:
        size.say("this atl has no setting `promql.result_cache`: only the moving ranges keep its cache from answering")
        (folder / "atl" / "atl.yaml").write_text(config)
    out.append(System("atl", [options.atl, "serve", "--config", str(folder / "atl" / "atl.yaml"), "--data-dir", str(folder / "running"),
                              "--listen", "{address}"], folder / "atl", "/-/ready"))
    if options.prometheus:
        (folder / "prometheus" / "prometheus.yml").write_text("global: { scrape_interval: 1h }\n")
        out.append(System("prometheus", [options.prometheus, "--config.file=prometheus.yml", "--storage.tsdb.path=data",
                                         "--web.listen-address={address}", "--storage.tsdb.retention.time=10y"], folder / "prometheus", "/-/ready"))
    if options.victoria:
        out.append(System("victoria", [options.victoria, "-storageDataPath=data", "-httpListenAddr={address}", "-retentionPeriod=100y",
                                       "-search.disableCache", "-search.latencyOffset=0s", "-search.maxQueryDuration=120s"],
                          folder / "victoria", "/health"))
    return out


# --- loading ---------------------------------------------------------------------------------------------------------

def generate(options, folder, target, end_ms, from_s, to_s):
    program = os.environ.get("ATL_PROMQL_DATA")
    command = [program] if program else ["cargo", "run", "--quiet", "--release", "-p", "store", "--example", "promql_data", "--"]
    arguments = [folder / "model.json", target, options.hosts, end_ms - options.seconds * 1000, options.seconds, options.interval, from_s, to_s]
    done = subprocess.run([*command, *map(str, arguments)], cwd=HERE, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


def load_atl(system, fill):
    return fill(system.folder)


def running_copy(options, folder, system):
    """A copy of our tables that a server may go on with: where days are merged if asked for."""
    shutil.rmtree(folder / "running", ignore_errors=True)
    shutil.copytree(folder / "atl", folder / "running")
    system.folder = folder / "running"
    if options.merged:
        subprocess.run([options.atl, "store", "compact", "--all", "--store", f"file:{system.folder / 'store'}"], check=True, stdout=subprocess.DEVNULL)


def send_recent(options, folder, system, loaded):
    """The last two hours, which a running server has in memory."""
    from_s = max(0, options.seconds - RECENT)
    report = generate(options, folder, f"{system.server.url}/api/v1/write", loaded["end_ms"], from_s, options.seconds)
    samples = {name: one["samples"] for name, one in loaded["systems"].items()}
    if {samples["atl"] + report["samples"]} != {samples[name] for name in samples if name != "atl"} and len(samples) > 1:
        sys.exit(f"not the same samples in all: {samples}, {report['samples']} of them sent")


def load_prometheus(system, fill):
    system.start("--web.enable-remote-write-receiver", "--web.enable-admin-api")
    report = fill(f"{system.server.url}/api/v1/write")
    stored = system.number(r"prometheus_tsdb_head_samples_appended_total\{")
    # What its head still holds becomes a block as well: a later start reads blocks and no log.
    name = json.loads(size.get(system.server.url + "/api/v1/admin/tsdb/snapshot", b""))["data"]["name"]
    report["server_cpu_seconds"] = system.cpu_seconds()
    system.stop()
    (system.folder / "data" / "snapshots" / name).rename(system.folder / "blocks")
    shutil.rmtree(system.folder / "data")
    (system.folder / "blocks").rename(system.folder / "data")
    return report | {"stored": stored}


def load_victoria(system, fill):
    system.start()
    report = fill(f"{system.server.url}/api/v1/write")
    size.get(system.server.url + "/internal/force_flush")
    size.get(system.server.url + "/internal/force_merge")
    settled, last = 0, -1
    while settled < 3:
        time.sleep(1)
        now = size.file_bytes(system.folder / "data")
        settled, last = (settled + 1, last) if now == last else (0, now)
    stored = system.number(r'vm_rows\{type="storage/')
    report["server_cpu_seconds"] = system.cpu_seconds()
    system.stop()
    return report | {"stored": stored}


def load(options, folder, servers):
    """Fills all three, or takes what is there already; gives what was loaded."""
    note = folder / "loaded.json"
    wanted = {"hosts": options.hosts, "seconds": options.seconds, "interval": options.interval}
    if note.exists():
        loaded = json.loads(note.read_text())
        if any(loaded[key] != value for key, value in wanted.items()) or any(one.name not in loaded["systems"] for one in servers):
            sys.exit(f"`{folder}` holds something else: {loaded}")
        return loaded
    end_ms = int(time.time()) // 60 * 60_000
    loaded = wanted | {"end_ms": end_ms, "systems": {}}
    loaders = {"atl": load_atl, "prometheus": load_prometheus, "victoria": load_victoria}
    for system in servers:
        size.say(f"loading {system.name}")
        begun = time.time()
        to_s = options.seconds - RECENT if system.name == "atl" else options.seconds
        report = loaders[system.name](system, lambda target: generate(options, folder, target, end_ms, 0, max(0, to_s)))
        report["seconds"] = time.time() - begun
        if report.get("stored", report["samples"]) != report["samples"]:
            sys.exit(f"{system.name} has {report['stored']:.0f} of {report['samples']} samples")
        loaded["systems"][system.name] = report
        size.say(f"  {json.dumps(report)}")
    note.write_text(json.dumps(loaded))
    return loaded


# --- asking ----------------------------------------------------------------------------------------------------------

Question = collections.namedtuple("Question", "range set name query start end step")


def questions(options, loaded):
    end = loaded["end_ms"] / 1000 - 60
    for label, seconds in RANGES:
        if seconds > options.seconds:
            continue
        step = step_of(seconds, options.interval)
        rate_s = max(step + options.interval, 4 * options.interval)
        for name, queries in promql_queries.SETS:
            for title, query in queries:
                query = promql_queries.filled(query, HOST, rate_s)
                # Half a minute is left for the rounds to move in.
                yield Question(label, name, title, query, end - seconds + 60, end - 30, step)


def step_of(seconds, interval):
    exact = seconds / POINTS_A_PANEL
    return max(interval, next((step for limit, step in STEPS if exact < limit), 1800))


def rows(body):
    return {json.dumps(one["metric"], sort_keys=True): one["values"] for one in json.loads(body)["data"]["result"]}


def close(a, b):
    a, b = float(a), float(b)
    return a == b or (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-9)


def difference(query, ours, theirs):
    """None where both say the same, else what differs first."""
    for name, body in (("ours", ours), ("theirs", theirs)):
        if json.loads(body)["status"] != "success":
            return f"{name}: {body[:300]!r}"
    a, b = rows(ours), rows(theirs)
    if query.startswith("topk"):
        # Of equal values either may be taken: only the values of a step count.
        a, b = by_step(a), by_step(b)
    if a.keys() != b.keys():
        return f"only ours {sorted(a.keys() - b.keys())[:2]}, only theirs {sorted(b.keys() - a.keys())[:2]}"
    for key, values in a.items():
        if [t for t, _ in values] != [t for t, _ in b[key]]:
            return f"{key}: {len(values)} points, theirs {len(b[key])}, or at other times"
        wrong = next(((t, x, y) for (t, x), (_, y) in zip(values, b[key]) if not close(x, y)), None)
        if wrong:
            return f"{key} at {wrong[0]}: {wrong[1]}, theirs {wrong[2]}"
    return None


def by_step(answer):
    steps = collections.defaultdict(list)
    for values in answer.values():
        for t, value in values:
            steps[t].append(value)
    return {t: [[i, value] for i, value in enumerate(sorted(values, key=float))] for t, values in steps.items()}


def check(options, asked, running):
    """Asks everything once and holds the answers against each other; gives series in each answer by question and server,
    and the questions that were answered wrongly."""
    counts, wrong = {}, {}
    for question in asked:
        bodies = {system.name: system.ask(question.query, question.start, question.end, question.step)[1] for system in running}
        if "prometheus" in bodies:
            found = difference(question.query, bodies["atl"], bodies["prometheus"])
            if found:
                wrong[question] = found
        for name, body in bodies.items():
            answer = json.loads(body)
            counts[question, name] = len(answer["data"]["result"]) if answer["status"] == "success" else None
    for question, found in wrong.items():
        size.say(f"wrong answer: {question.name}, {question.range}: {found}\n    {question.query}")
    if wrong and not options.go_on:
        sys.exit(f"{len(wrong)} of {len(asked)} answers are wrong: no figures")
    return counts, list(wrong)


def time_all(options, asked, running):
    """Seconds by question and server, and processor seconds by range, set and server."""
    times, cpu = collections.defaultdict(list), {}
    for block in dict.fromkeys((question.range, question.set) for question in asked):
        before = {system.name: system.cpu_seconds() for system in running}
        for question in asked:
            if (question.range, question.set) != block:
                continue
            # Other steps in every round: nothing that was answered is asked again.
            for moved in range(1, max(options.rounds, ROUNDS_OF_SHORT) + 1):
                if moved > options.rounds and max(statistics.median(times[question, one.name]) for one in running) > SHORT:
                    break
                for system in running:
                    seconds, _ = system.ask(question.query, question.start + moved, question.end + moved, question.step)
                    times[question, system.name].append(seconds)
        for system in running:
            cpu[block, system.name] = system.cpu_seconds() - before[system.name]
    return times, cpu


def time_cold(options, asked, servers):
    """Seconds of the first question after a start without anything of its files in memory, by question and server."""
    longest = asked[-1].range
    chosen = [question for question in asked if question.range == longest][::options.cold]
    times = collections.defaultdict(list)
    for question in chosen:
        for _ in range(options.cold_rounds):
            for system in servers:
                system.drop_cached()
                system.start()
                try:
                    seconds, _ = system.ask(question.query, question.start, question.end, question.step)
                finally:
                    system.stop()
                times[question, system.name].append(seconds)
    return chosen, times


# --- telling ---------------------------------------------------------------------------------------------------------

def geometric(ratios):
    return math.exp(statistics.fmean(map(math.log, ratios))) if ratios else math.nan


def p99(values):
    return sorted(values)[math.ceil(0.99 * len(values)) - 1]


def table(head, lines):
    return "\n".join(["| " + " | ".join(head) + " |", "|---" * len(head) + "|"] + ["| " + " | ".join(line) + " |" for line in lines])


def ratios_to(other, asked, times, counts):
    """Ratios of medians by question; without questions the other answers with nothing where we have something."""
    median = lambda question, name: statistics.median(times[question, name])
    answers = lambda question: counts[question, other] or not counts[question, "atl"]
    return {question: median(question, "atl") / median(question, other) for question in asked if answers(question)}


def report(options, loaded, asked, times, cpu, counts, peaks, cold):
    names = list(loaded["systems"])
    others = names[1:]
    one = loaded["systems"]["atl"]
    print(f"{one['series']} series of {options.hosts} hosts, {options.seconds / 3600:g} h every {options.interval} s, "
          f"{max(one['samples'] for one in loaded['systems'].values())} samples.\n")
    print(table(["loading", *(NAMES[name] for name in names)], [
        ["time", *(f"{loaded['systems'][name]['seconds']:.0f} s" for name in names)],
    ]) + "\n")
    ratios = {name: ratios_to(name, asked, times, counts) for name in others}
    lines = []
    for block in [*dict.fromkeys((question.range, question.set) for question in asked), None]:
        of_block = [question for question in asked if block in (None, (question.range, question.set))]
        line = [f"{block[1]}, {block[0]}" if block else "all"]
        for name in others:
            found = [ratios[name][question] for question in of_block if question in ratios[name]]
            line += [f"{geometric(found):.2f}", f"{max(found):.2f}", f"{sum(ratio > 1 for ratio in found)} of {len(found)}"]
        line.append(" / ".join(f"{sum(cpu[key, name] for key in {(q.range, q.set) for q in of_block}):.1f}" for name in names))
        lines.append(line)
    head = ["warm"]
    for name in others:
        head += [f"to {NAMES[name]}", "worst", "slower"]
    print(table(head + ["CPU, s: " + " / ".join(names)], lines) + "\n")
    print("Resident memory, highest: " + ", ".join(f"{NAMES[name]} {peaks[name] / 2**20:.0f} MiB" for name in names) + ".\n")
    for name in others:
        slower = sorted(((ratio, question) for question, ratio in ratios[name].items() if ratio > 1), reverse=True)
        if slower and name == "prometheus":
            print(f"Slower than {NAMES[name]}:\n")
            print(table(["query", "range", *(f"{NAMES[one]}, ms" for one in names), "ratio"], [
                [question.name, question.range, *(f"{statistics.median(times[question, one]) * 1000:.1f}" for one in names), f"{ratio:.2f}"]
                for ratio, question in slower]) + "\n")
    if cold[0]:
        chosen, first = cold
        milliseconds = lambda taken: f"{statistics.median(taken) * 1000:.0f} ({max(taken) * 1000:.0f})"
        print(table([f"cold, {chosen[0].range}, ms (worst)", *(NAMES[name] for name in names)],
                    [[question.name, *(milliseconds(first[question, name]) for name in names)] for question in chosen]))
        for name in others:
            median = lambda question, name: statistics.median(first[question, name])
            told = [median(question, "atl") / median(question, name) for question in chosen]
            slower = sum(ratio > 1 for ratio in told)
            print(f"\nCold, geometric mean to {NAMES[name]}: {geometric(told):.2f}; slower: {slower} of {len(told)}.")


def details(path, asked, times, counts, names):
    lines = []
    for question in asked:
        line = [question.range, question.set, question.name]
        for name in names:
            taken = times[question, name]
            line += [f"{statistics.median(taken) * 1000:.2f}", f"{p99(taken) * 1000:.2f}", str(counts[question, name])]
        lines.append([*line, f"`{question.query}`".replace("|", "\\|")])
    head = ["range", "set", "query"]
    for name in names:
        head += [f"{name}, median ms", "p99 ms", "series"]
    path.write_text(table([*head, "PromQL"], lines) + "\n")


def measure(options, folder):
    model = folder / "model.json"
    if not model.exists():
        model.write_text(json.dumps(promql_model.learn(options.recording)))
    learned = json.loads(model.read_text())
    a_host = len(learned["series"]) + sum(len(one["bounds"]) + 3 for one in learned["histograms"])
    options.hosts = max(2, round(options.series / a_host))
    servers = systems(options, folder)
    loaded = load(options, folder, servers)
    running_copy(options, folder, servers[0])
    asked = list(questions(options, loaded))
    versions = ", ".join(f"{NAMES[system.name]} {size.version(system.command[0])}" for system in servers)
    print(f"{versions}; {os.cpu_count()} cores; load average before {os.getloadavg()[0]:.1f}.\n", flush=True)
    try:
        for system in servers:
            system.start()
        send_recent(options, folder, servers[0], loaded)
        for system in servers:
            system.forget_peak()
        counts, wrong = check(options, asked, servers)
        asked = [question for question in asked if question not in wrong]
        times, cpu = time_all(options, asked, servers)
        peaks = {system.name: system.resident_peak() for system in servers}
    finally:
        for system in servers:
            system.stop()
    cold = time_cold(options, asked, servers) if options.cold else ([], {})
    report(options, loaded, asked, times, cpu, counts, peaks, cold)
    for question in wrong:
        print(f"\nLeft out, since the answer was wrong: {question.name}, {question.range}.")
    print(f"\nLoad average after {os.getloadavg()[0]:.1f}.")
    if options.details:
        details(options.details, asked, times, counts, [system.name for system in servers])


def shape(text):
    found = re.fullmatch(r"(\d+)x(\d+)([hd])", text)
    if not found:
        raise argparse.ArgumentTypeError(f"`{text}` is no shape such as 20000x24h or 5000x7d")
    return int(found[1]), int(found[2]) * {"h": 3600, "d": 86_400}[found[3]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recording", type=pathlib.Path, help="pages of a node_exporter recorded before")
    parser.add_argument("--record", type=size.seconds, metavar="TIME", help="record so long first, such as 4m")
    parser.add_argument("--keep", type=pathlib.Path, metavar="FILE", help="keep what --record recorded")
    parser.add_argument("--shape", type=shape, default=shape("20000x24h"), help="series x time")
    parser.add_argument("--interval", type=int, choices=[15, 30, 60], default=15, help="seconds between samples")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cold", type=int, default=4, metavar="N", help="ask every Nth query cold; 0 for none")
    parser.add_argument("--cold-rounds", type=int, default=5, metavar="N", help="starts for every query asked cold")
    parser.add_argument("--data", type=pathlib.Path, help="folder for what is loaded; taken as it is where it is filled")
    parser.add_argument("--details", type=pathlib.Path, metavar="FILE", help="figures of every query")
    parser.add_argument("--go-on", action="store_true", help="leave out what is answered wrongly, for finding out")
    parser.add_argument("--merged", action="store_true", help="merge our files into those of a day first, as after the day's end")
    parser.add_argument("--atl", default=os.environ.get("ATL_BIN", "target/release/atl"))
    parser.add_argument("--prometheus", default=os.environ.get("ATL_PROMETHEUS"))
    parser.add_argument("--victoria", default=(os.environ.get("ATL_VICTORIA_METRICS") or "").split(":")[-1].rpartition("=")[2])
    options = parser.parse_args()
    options.series, options.seconds = options.shape
    options.atl = str(pathlib.Path(options.atl).resolve())
    folder = options.data or pathlib.Path(tempfile.mkdtemp(prefix="atl-promql-"))
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    try:
        if options.record:
            exporter = os.environ.get("ATL_NODE_EXPORTER") or sys.exit("ATL_NODE_EXPORTER is not set")
            options.recording = options.keep or folder / "node.rec"
            size.record(exporter, options.recording, options.record, 0.5, folder)
        if not options.recording and not (folder / "model.json").exists():
            sys.exit("--recording or --record is needed")
        measure(options, folder)
    finally:
        if not options.data:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

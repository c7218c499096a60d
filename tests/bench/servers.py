"""The servers that are measured: how each is started over a folder, when it is ready, what it costs, how it is ended.

Comes in: paths of programs. Goes out: a `Running` with its URL, processor time and memory as Linux counts them. All
three answer the Prometheus HTTP API, so questions and samples that come back are asked for here too. Ends only what it
started.
"""

import http.client
import json
import math
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
TICKS = os.sysconf("SC_CLK_TCK")
NAMES = {"atl": "atl", "prometheus": "Prometheus", "victoria": "VictoriaMetrics"}


def say(text):
    print(text, file=sys.stderr, flush=True)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Running:
    """A server over `folder`. `ready_seconds`: from before its start to its first 200."""

    def __init__(self, name, command, folder, port, ready="/-/ready", limit=120):
        self.name, self.port, self.folder = name, port, folder
        folder.mkdir(parents=True, exist_ok=True)
        self.log = open(folder / "log", "ab")
        self.began = time.perf_counter()
        self.child = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, cwd=folder, env=dict(os.environ, RUST_LOG="warn"))
        self.ready_seconds = self.wait_until(lambda: self.request("GET", ready)[0] == 200, limit)

    def request(self, method, path, body=None, headers={}, timeout=300):
        """Status and body of an answer, over a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def wait_until(self, holds, limit):
        """Seconds from the start of the process until `holds`; a server that does not answer yet does not hold."""
        while True:
            try:
                if holds():
                    return time.perf_counter() - self.began
            except (OSError, http.client.HTTPException):
                pass
            if self.child.poll() is not None or time.perf_counter() - self.began > limit:
                self.kill()
                sys.exit(f"{self.name} did not get ready within {limit} s:\n{(self.folder / 'log').read_text(errors='replace')[-2000:]}")
            time.sleep(0.001)

    def cpu_seconds(self):
        """User and system time so far, all threads."""
        fields = pathlib.Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def memory(self):
        """Bytes: resident, proportional, and the highest the resident ones have been."""
        rollup = pathlib.Path(f"/proc/{self.child.pid}/smaps_rollup").read_text()
        status = pathlib.Path(f"/proc/{self.child.pid}/status").read_text()
        bytes_of = lambda name, text: int(re.search(rf"^{name}:\s+(\d+)", text, re.M)[1]) * 1024
        return {"rss": bytes_of("Rss", rollup), "pss": bytes_of("Pss", rollup), "peak": bytes_of("VmHWM", status)}

    def ask(self, path, form):
        """`data.result` of a question to the Prometheus API."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        status, body = self.request("POST", f"/api/v1/{path}", urllib.parse.urlencode(form), headers)
        if status != 200:
            raise http.client.HTTPException(f"{self.name} answered {status}: {body[:300]}")
        return json.loads(body)["data"]["result"]

    def number(self, query, at):
        """The one number an instant query gives, or None."""
        result = self.ask("query", {"query": query, "time": f"{at:.3f}"})
        return float(result[0]["value"][1]) if len(result) == 1 else None

    def sql(self, statement):
        status, body = self.request("POST", "/api/sql", statement.encode())
        if status != 200:
            sys.exit(f"`{statement}` was answered {status}: {body[:300]}")
        return json.loads(body)["rows"]

    def kill(self):
        """As a crash would: SIGKILL."""
        if self.child.poll() is None:
            self.child.kill()
            self.child.wait()
        self.log.close()

    def stop(self):
        """SIGTERM; gives the processor time of the whole life, as the kernel counted it."""
        self.child.send_signal(signal.SIGTERM)
        deadline = time.time() + 120
        while True:
            pid, status, usage = os.wait4(self.child.pid, os.WNOHANG)
            if pid:
                break
            if time.time() > deadline:
                say(f"{self.name} does not end and is killed")
                self.child.kill()
                deadline = math.inf
            time.sleep(0.02)
        self.child.returncode = os.waitstatus_to_exitcode(status)
        self.log.close()
        return usage.ru_utime + usage.ru_stime


def start(name, binary, folder, store="", limits="limits: { series_per_source: 0, series_total: 0 }\n", limit=120):
    """`folder` may hold what an earlier run left. `store`: YAML for atl's settings of the store."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    if name == "atl":
        text = f"builtin: {{ host: false, own_metrics: false }}\n{limits}"
        (folder / "atl.yaml").write_text(text + (f"store: {store}\n" if store else ""))
        command = [binary, "serve", "--config", "atl.yaml", "--data-dir", "data", "--listen", f"127.0.0.1:{port}"]
        return Running(name, command, folder, port, limit=limit)
    if name == "prometheus":
        (folder / "prometheus.yml").write_text("global: { scrape_interval: 1h }\n")
        command = [binary, "--config.file=prometheus.yml", "--storage.tsdb.path=data", f"--web.listen-address=127.0.0.1:{port}",
                   "--web.enable-remote-write-receiver", "--storage.tsdb.retention.time=1y", "--log.level=warn"]
        return Running(name, command, folder, port, limit=limit)
    command = [binary, "-storageDataPath=data", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=1y", "-search.latencyOffset=0s",
               "-search.disableCache", "-loggerLevel=WARN"]
    return Running(name, command, folder, port, "/health", limit=limit)


def selector(labels):
    return "{" + ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items()) + "}"


def check_samples(running, checks, last_ms):
    """Holds every sample of the chosen series against what was sent, bit for bit (VictoriaMetrics keeps numbers as decimals,
    to some twelve digits); ends the program where one differs."""
    near = 1e-11 if running.name == "victoria" else 0.0
    for check in checks:
        first_ms = check["samples"][0][0]
        window = f"[{last_ms - first_ms + 1000}ms]"
        result = running.ask("query", {"query": selector(check["labels"]) + window, "time": f"{last_ms / 1000:.3f}"})
        got = [[round(float(at) * 1000), float(value)] for at, value in result[0]["values"]] if len(result) == 1 else []
        want = check["samples"]
        same = len(got) == len(want) and all(a == b and math.isclose(x, y, rel_tol=near, abs_tol=near) for (a, x), (b, y) in zip(got, want))
        if not same:
            sys.exit(f"{running.name} gives back {len(got)} samples of {len(want)}, or others, of {check['labels']}: {got[:3]}")


def stored_samples(running):
    """How many samples the server says it has taken."""
    if running.name == "atl":
        return int(running.sql("SELECT count(*) FROM metrics")[0][0])
    text = running.request("GET", "/metrics")[1].decode()
    name = r"prometheus_tsdb_head_samples_appended_total\S*" if running.name == "prometheus" else r"vm_rows_added_to_storage_total\S*"
    return int(sum(float(number) for number in re.findall(rf"^{name} (\S+)", text, re.M)))


def example(package, name):
    """Path of one of our measuring programs, built where it is not up to date. The package selection is that of
    `tests/run`, so that nothing else is compiled a second time. ATL_EXAMPLES: a folder that has them already."""
    ready = os.environ.get("ATL_EXAMPLES")
    if ready:
        return str(pathlib.Path(ready) / name)
    command = ["cargo", "build", "--quiet", "--release", "--workspace", "--exclude", "edge-worker", "--example", name]
    subprocess.run(command, cwd=HERE, check=True)
    target = os.environ.get("CARGO_TARGET_DIR") or HERE.parent.parent / "target"
    return str(pathlib.Path(target) / "release" / "examples" / name)


def run(command):
    """The JSON a measuring program prints."""
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=3600)
    return json.loads(done.stdout)


def add_programs(parser, peers=True):
    """The options that say where the programs are. Peers that are not there are left out."""
    parser.add_argument("--atl", default=os.environ.get("ATL_BIN", "target/release/atl"))
    if not peers:
        return
    parser.add_argument("--prometheus", default=os.environ.get("ATL_PROMETHEUS", ""))
    parser.add_argument("--victoria", default=(os.environ.get("ATL_VICTORIA_METRICS") or "").split(":")[0].rpartition("=")[2])


def programs(options, peers=True):
    given = {"atl": options.atl, "prometheus": options.prometheus, "victoria": options.victoria} if peers else {"atl": options.atl}
    found = {name: str(pathlib.Path(path).resolve()) for name, path in given.items() if path and shutil.which(path)}
    if "atl" not in found:
        sys.exit(f"there is no program `{options.atl}`: build it, or name it with --atl or ATL_BIN")
    for name in given.keys() - found.keys():
        say(f"{NAMES[name]} is not there and is left out")
    return {name: found[name] for name in given if name in found}


def version(name, binary):
    """As the program tells it; one built from source may not know."""
    done = subprocess.run([binary, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = re.search(r"(?:^atl |version |-v)(\d+\.\d+\.\d+)", done.stdout)
    return f"{NAMES.get(name, name)} {found[1] if found else '(version not told)'}"


def machine():
    memory = int(re.search(r"MemTotal: +(\d+)", pathlib.Path("/proc/meminfo").read_text())[1]) / (1 << 20)
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {os.uname().sysname} {os.uname().release}; load average {os.getloadavg()[0]:.1f}"


def table(head, rows):
    print("| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
    for row in rows:
        print("| " + " | ".join(row) + " |")
    print(flush=True)


def ratio(ours, theirs):
    return f"{ours / theirs:.2f}" if theirs else "-"

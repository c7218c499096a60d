#!/usr/bin/env python3
"""Bytes a sample, side by side: the same recorded samples in our tables, in Prometheus and in VictoriaMetrics.

    eval "$(tests/run --env)"; tests/bench/size.py --record 10m [--keep node.rec]
    tests/bench/size.py --recording node.rec

Needs Python's own library and cargo; promtool beside $ATL_PROMETHEUS, $ATL_VICTORIA_METRICS (VERSION=PROGRAM,
several separated by colons) and the Python packages of DuckDB where they are there. README.md says what is measured and what it stands for.
"""

import argparse
import array
import datetime
import json
import math
import os
import pathlib
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
import zlib

HERE = pathlib.Path(__file__).resolve().parent
FRAME = struct.Struct("<dI")  # time, length of the compressed page behind it
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')
ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


class Series:
    """Labels, times in milliseconds, values; the times are those of the target."""

    def __init__(self, labels):
        self.labels, self.times, self.values = labels, array.array("q"), array.array("d")


def say(text):
    print(text, file=sys.stderr, flush=True)


def get(url, data=None):
    with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=600) as answer:
        return answer.read()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Server:
    """A child that answers at `url`, ended with the block."""

    def __init__(self, command, port, path, folder):
        self.url, self.path = f"http://127.0.0.1:{port}", path
        self.log = open(folder / "server.log", "ab")
        self.child = subprocess.Popen(command, stdout=self.log, stderr=subprocess.STDOUT, cwd=folder)

    def __enter__(self):
        deadline = time.time() + 60
        while True:
            try:
                get(self.url + self.path)
                return self
            except OSError:
                if time.time() > deadline or self.child.poll() is not None:
                    self.__exit__()
                    sys.exit(f"`{self.child.args[0]}` did not answer: {self.log.name}")
                time.sleep(0.05)

    def __exit__(self, *_):
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
            try:
                self.child.wait(120)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.log.close()


def record(exporter, path, seconds, every, folder):
    """Pages of a real node_exporter, as frames of FRAME and zlib."""
    port = free_port()
    with Server([exporter, f"--web.listen-address=127.0.0.1:{port}"], port, "/metrics", folder) as server, open(path, "wb") as out:
        due = time.time()
        end = due + seconds
        while due < end:
            page = zlib.compress(get(server.url + "/metrics"), 1)
            out.write(FRAME.pack(time.time(), len(page)) + page)
            due = max(due + every, time.time() - every)
            time.sleep(max(0.0, due - time.time()))


def frames(path):
    data, at = path.read_bytes(), 0
    while at + FRAME.size <= len(data):
        when, length = FRAME.unpack_from(data, at)
        if at + FRAME.size + length > len(data):
            return  # still being written
        yield when, zlib.decompress(data[at + FRAME.size:at + FRAME.size + length]).decode()
        at += FRAME.size + length


def load(path, hosts, interval, most):
    """Frame i becomes scrape i // hosts of host i % hosts, `interval` seconds apart, with the jitter it was recorded with."""
    taken = list(frames(path))
    # A day at most: the files of one day are what is measured.
    taken = taken[:min(most or len(taken), 86_400 // interval * hosts)]
    taken = taken[:len(taken) // hosts * hosts]
    if not taken:
        sys.exit(f"nothing is recorded in `{path}`")
    first, last = taken[0][0], taken[-1][0]
    pace = (last - first) / max(1, len(taken) - 1)
    midnight = int(first // 86_400) * 86_400_000
    series = {}
    for i, (when, page) in enumerate(taken):
        scrape, host = divmod(i, hosts)
        # Half a second in: jitter leads no sample into the day before.
        time_ms = midnight + 500 + round(((scrape + host / hosts) * interval + when - first - i * pace) * 1000)
        for line in page.split("\n"):
            if not line or line[0] == "#":
                continue
            name, value = line.rsplit(" ", 1)
            found = series.get((host, name))
            if found is None:
                found = series[host, name] = Series(labels_of(name, host))
            found.times.append(time_ms)
            found.values.append(float(value))
    return list(series.values()), len(taken)


def labels_of(text, host):
    name, _, rest = text.partition("{")
    labels = {"__name__": name, "job": "node", "instance": f"host-{host}:9100"}
    unescape = lambda found: re.sub(r"\\.", lambda escape: ESCAPES.get(escape[0], escape[0]), found)
    # A label without a value is no label, to all of the three.
    labels.update((key, unescape(value)) for key, value in LABEL.findall(rest) if value)
    return labels


def file_bytes(folder, keep=lambda path: True):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file() and keep(path.relative_to(folder)))


def ours(series, folder):
    samples = folder / "samples.bin"
    with open(samples, "wb") as out:
        out.write(struct.pack("<I", len(series)))
        for one in series:
            out.write(struct.pack("<I", len(one.labels)))
            for text in (text.encode() for pair in one.labels.items() for text in pair):
                out.write(struct.pack("<I", len(text)) + text)
            out.write(struct.pack("<I", len(one.times)) + one.times.tobytes() + one.values.tobytes())
    program = os.environ.get("ATL_SIZE_BENCH")
    command = [program] if program else ["cargo", "run", "--quiet", "--release", "-p", "store", "--example", "size_bench", "--"]
    done = subprocess.run([*command, str(samples), str(folder / "atl")], cwd=HERE, stdout=subprocess.PIPE, check=True)
    samples.unlink()
    return json.loads(done.stdout)


def check_with_duckdb(series, folder):
    """Reads the table as any DuckDB user would and holds every bit against what was put in. None where there is no DuckDB."""
    try:
        import duckdb
        from duckdb_extensions import import_extension
    except ImportError:
        return None
    import_extension("delta")
    database = duckdb.connect(config={"threads": 2})
    database.execute("LOAD delta")
    table = f"delta_scan('{folder / 'atl' / 'store'}/metrics')"
    labels = f"(SELECT DISTINCT tsid, labels FROM delta_scan('{folder / 'atl' / 'store'}/series'))"
    wanted = {tuple(sorted(one.labels.items())): one for one in series}
    known = {tsid: wanted.pop(tuple(sorted(pairs.items()))) for tsid, pairs in database.execute(f"SELECT tsid, labels FROM {labels}").fetchall()}
    seen = 0
    for metric in sorted({one.labels["__name__"] for one in known.values()}):
        read = {}
        for tsid, when, value in database.execute(f"SELECT tsid, epoch_ms(ts), value FROM {table} WHERE metric = ? ORDER BY tsid, ts", [metric]).fetchall():
            times, values = read.setdefault(tsid, (array.array("q"), array.array("d")))
            times.append(when)
            values.append(value)
        for tsid, (times, values) in read.items():
            one = known[tsid]
            if times != one.times or values.tobytes() != one.values.tobytes():
                sys.exit(f"DuckDB reads other samples than were stored: {one.labels}")
            seen += len(times)
    count, = database.execute(f"SELECT count(*) FROM {table}").fetchone()
    if wanted or seen != count:
        sys.exit(f"DuckDB sees {count} samples, {seen} of known series; {len(wanted)} series are missing")
    begun = time.time()
    database.execute(f"SELECT sum(value), max(epoch_us(ts)) FROM {table}").fetchone()
    return duckdb.__version__, count / (time.time() - begun)


def exposition(one):
    escape = lambda text: text.replace("\\", r"\\").replace('"', r'\"').replace("\n", r"\n")
    return one.labels["__name__"] + "{" + ",".join(f'{key}="{escape(value)}"' for key, value in one.labels.items() if key != "__name__") + "}"


def prometheus(promtool, series, folder):
    text, blocks = folder / "samples.om", folder / "prometheus"
    with open(text, "w") as out:
        for one in series:
            name = exposition(one)
            out.writelines(f"{name} {value!r} {when / 1000:.3f}\n" for when, value in zip(one.times, one.values))
        out.write("# EOF\n")
    # One block a day, as compaction leaves it.
    subprocess.run([promtool, "tsdb", "create-blocks-from", "--max-block-duration=24h", "openmetrics", text, blocks], check=True, stdout=subprocess.DEVNULL)
    text.unlink()
    chunks = file_bytes(blocks, lambda path: "chunks" in path.parts)
    return {"data": chunks, "index": file_bytes(blocks) - chunks}


def victoria_metrics(program, series, folder):
    data, port = folder / "victoria", free_port()
    shutil.rmtree(data, ignore_errors=True)
    command = [program, f"-storageDataPath={data}", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=100y"]
    with Server(command, port, "/health", folder) as server:
        for at in range(0, len(series), 50):
            lines = (json.dumps({"metric": one.labels, "values": one.values.tolist(), "timestamps": one.times.tolist()}) for one in series[at:at + 50])
            get(server.url + "/api/v1/import", "\n".join(lines).encode())
        get(server.url + "/internal/force_flush")
        get(server.url + "/internal/force_merge")
        stored = lambda: sum(int(rows) for rows in re.findall(r'^vm_rows\{type="storage/\w+"\} (\d+)', get(server.url + "/metrics").decode(), re.M))
        settled, size = 0, -1
        while settled < 5:
            time.sleep(1)
            now = file_bytes(data, lambda path: path.parts[0] == "data")
            settled, size = (settled + 1, size) if now == size else (0, now)
        rows, wanted = stored(), sum(len(one.times) for one in series)
        if rows != wanted:
            sys.exit(f"VictoriaMetrics has {rows} of {wanted} samples")
    is_index = lambda path: "indexdb" in path.parts
    index = file_bytes(data, is_index)
    return {"data": file_bytes(data, lambda path: path.parts[0] == "data" and not is_index(path)), "index": index}


def version(program):
    """What the program says of itself, not of its compiler; a build from source modules often does not know."""
    done = subprocess.run([program, "--version"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = re.search(r"(?:^\w+ |version |-v)(\d+\.\d+\.\d+)", done.stdout)
    return found[1] if found else "of unknown version"


def table(rows, ratio_to):
    print("| | bytes a sample | of it data | of it index or labels | ours is of it |\n|---|---|---|---|---|")
    for name, data, index, count in rows:
        print(f"| {name} | {(data + index) / count:.3f} | {data / count:.3f} | {index / count:.3f} | {ratio_to * count / (data + index):.2f} |")


def measure(options, folder):
    recording = options.recording
    if recording is None:
        exporter = os.environ.get("ATL_NODE_EXPORTER")
        if not exporter:
            sys.exit("ATL_NODE_EXPORTER not set: run `tests/run --only debian`, then eval \"$(tests/run --env)\"")
        recording = options.keep or folder / "node.rec"
        say(f"recording a node_exporter every {options.every} s for {options.record:g} s")
        record(exporter, recording, options.record, options.every, folder)
    series, pages = load(recording, options.hosts, options.interval, options.frames)
    count = sum(len(one.times) for one in series)
    constant = sum(len(one.times) for one in series if len(set(one.values.tolist())) == 1)
    hours = pages / options.hosts * options.interval / 3600
    print(f"{pages} pages of {recording.name} as {options.hosts} hosts every {options.interval} s: {len(series)} series, {hours:.1f} h, {count} samples, "
          f"{constant / count:.0%} of them in constant series.\n")
    result = ours(series, folder)
    flushed, merged = result["flushed"], result["merged"]
    total = (merged["metrics_bytes"] + merged["series_bytes"]) / count
    rows = [("atl, merged", merged["metrics_bytes"], merged["series_bytes"], count),
            (f"atl, {flushed['files']} flushes of five minutes", flushed["metrics_bytes"], flushed["series_bytes"], count)]
    promtool = pathlib.Path(os.environ.get("ATL_PROMETHEUS", "prometheus")).with_name("promtool")
    if shutil.which(promtool):
        sizes = prometheus(promtool, series, folder)
        rows.append((f"Prometheus {version(promtool)}, block of a day", sizes["data"], sizes["index"], count))
    for entry in filter(None, os.environ.get("ATL_VICTORIA_METRICS", "").split(":")):
        name, program = entry.split("=", 1)
        sizes = victoria_metrics(program, series, folder)
        rows.append((f"VictoriaMetrics {name}, merged", sizes["data"], sizes["index"], count))
    table(rows, total)
    columns = ", ".join(f"`{name}` {size / count:.4f}" for name, size in sorted(merged["columns"].items(), key=lambda item: -item[1]))
    print(f"\nColumns of the merged files, bytes a sample: {columns}. Merging takes a CPU second for {result['merge_million_rows_a_cpu_second']:.1f} M rows, writing alone for {result['write_million_rows_a_cpu_second']:.1f} M.")
    read = check_with_duckdb(series, folder)
    if read:
        print(f"DuckDB {read[0]} reads every sample back bit for bit, and scans {read[1] / 1e6:.0f} M rows/s with two threads.")
    else:
        print("DuckDB is not there: not checked with it.")


def seconds(text):
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not found:
        raise argparse.ArgumentTypeError(f"`{text}` is no duration such as 90s, 10m or 2h")
    return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--recording", type=pathlib.Path, help="pages recorded before")
    source.add_argument("--record", type=seconds, metavar="TIME", help="record so long first, such as 10m")
    parser.add_argument("--keep", type=pathlib.Path, metavar="FILE", help="keep what --record recorded")
    parser.add_argument("--every", type=float, default=0.5, help="seconds between recorded pages")
    parser.add_argument("--interval", type=int, default=15, help="seconds between scrapes they stand for")
    parser.add_argument("--hosts", type=int, default=2, help="hosts the pages are dealt out to, in turn")
    parser.add_argument("--frames", type=int, default=0, help="take only so many pages")
    options = parser.parse_args()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="atl-size-"))
    try:
        measure(options, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

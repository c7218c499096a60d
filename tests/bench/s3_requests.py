#!/usr/bin/env python3
"""Requests to S3 a day at a team's load.

    tests/bench/s3_requests.py                                       # a simulated day, exact, some minutes
    eval "$(tests/run --env)"; tests/bench/s3_requests.py --live 31  # 31 minutes of the real server and a real MinIO

The simulated day is the store's example `requests_day`: flushes, merges, retention, vacuum, checkpoints and the lease by
their own timers on a clock that runs ahead. --live puts a counting proxy between the server and MinIO ($ATL_MINIO) while the
team's load comes in, and holds the requests of a flush against those of the simulated day. README.md says what is counted."""

import argparse
import asyncio
import collections
import gzip
import hashlib
import hmac
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

import servers

BUCKET, USER, SECRET = "atl-bench", "atl-bench-admin", "atl-bench-secret"
KEY_ID, KEY_SECRET = "bench", "4fb1f8e1c0a04d6f9f6c0e1b2a3d4c5e"
GOAL = 3_000
WRITING = ("PUT", "POST", "COPY")
# Prices of S3 standard in us-east-1, dollars a thousand requests.
DOLLARS = {"writing": 0.005, "reading": 0.0004}


def kind(path):
    """What an object is, as the simulated day names it."""
    parts = path.split("?")[0].strip("/").split("/")[2:]  # bucket, prefix
    if not parts:
        return "all"
    if parts[0].startswith("_"):
        return "/".join(parts[:2])
    return f"{parts[0]} {'log' if '_delta_log' in parts[1:2] else 'data'}"


class Proxy:
    """Hands HTTP/1.1 on byte for byte, Host and signature included, and counts requests by method and object."""

    def __init__(self, upstream):
        self.upstream, self.counts = upstream, collections.Counter()
        self.loop = asyncio.new_event_loop()
        started = threading.Event()

        async def serve():
            server = await asyncio.start_server(self.connection, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            started.set()

        self.loop.create_task(serve())
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        started.wait(10)

    async def connection(self, reader, writer):
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        except OSError:
            writer.close()
            return
        back = asyncio.ensure_future(self.copy(up_reader, writer))
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                method, path = head.split(b" ", 2)[:2]
                found = re.search(rb"\r\ncontent-length: *(\d+)", head, re.I)
                length = int(found[1]) if found else 0
                self.count(method.decode(), path.decode(), length)
                up_writer.write(head)
                while length > 0:
                    piece = await reader.read(min(length, 1 << 16))
                    if not piece:
                        return
                    length -= len(piece)
                    up_writer.write(piece)
                    await up_writer.drain()
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            up_writer.close()
            back.cancel()
            writer.close()

    async def copy(self, reader, writer):
        """Answers, until MinIO ends the connection; then the client's ends too, so that it is not used again."""
        try:
            while piece := await reader.read(1 << 16):
                writer.write(piece)
                await writer.drain()
        except OSError:
            pass
        writer.close()

    def count(self, method, path, length):
        if method == "GET" and "list-type=" in path:
            prefix = re.search(r"prefix=([^&]*)", path)
            method, path = "LIST", f"/{BUCKET}/{prefix[1].replace('%2F', '/') if prefix else ''}"
        elif method == "POST" and "?delete" in path:
            method, path = "DELETE", f"/{BUCKET}/atl/all/keys"
        self.counts[method, kind(path), "requests"] += 1
        self.counts[method, kind(path), "bytes"] += length

    def taken(self):
        """(method, what) → (requests, bytes) so far."""
        return {(method, what): (count, self.counts[method, what, "bytes"])
                for (method, what, unit), count in sorted(self.counts.items()) if unit == "requests"}


def minio(binary, folder):
    (folder / "data" / BUCKET).mkdir(parents=True)
    port, console = servers.free_port(), servers.free_port()
    os.environ.update(MINIO_ROOT_USER=USER, MINIO_ROOT_PASSWORD=SECRET, MINIO_BROWSER="off", MINIO_UPDATE="off")
    command = [binary, "server", "--quiet", "--address", f"127.0.0.1:{port}", "--console-address", f"127.0.0.1:{console}", str(folder / "data")]
    return servers.Running("MinIO", command, folder, port, "/minio/health/ready")


def push(running, batch_id, message):
    """A push as the edge worker signs it."""
    body = gzip.compress(json.dumps(message).encode(), 1)
    path, now = "/api/edge/v1/push", int(time.time())
    text = f"v1\nPOST\n{path}\n{KEY_ID}\n{now}\n{batch_id}\n{hashlib.sha256(body).hexdigest()}"
    signature = hmac.new(KEY_SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()
    headers = {"X-Atl-Key-Id": KEY_ID, "X-Atl-Timestamp": str(now), "X-Atl-Batch-Id": batch_id, "X-Atl-Signature": signature, "Content-Encoding": "gzip"}
    status, answer = running.request("POST", path, body, headers)
    if status != 200:
        raise SystemExit(f"the push was answered {status}: {answer[:300]}")


def message(number, lines, seconds):
    """Lines of 14 services over the last seconds, and ten probe results."""
    now = int(time.time() * 1000)
    words = lambda i: hashlib.sha256(f"{number} {i}".encode()).hexdigest()
    logs = [{"timestamp_ms": now - (lines - i) * seconds * 1000 // lines, "level": ("info", "warn", "error")[i % 3], "script": f"service-{i % 14}",
             "message": f"request {i} of {number} completed in {int(words(i)[:4], 16) / 100} ms for user {words(i)[4:8]} from 10.0.{i % 256}.7 "
                        f"with path /api/v1/orders/{words(i)[8:14]} status 200 bytes {int(words(i)[14:18], 16)} agent Mozilla/5.0 (X11; Linux x86_64)",
             "attributes": {"trace_id": words(i)[:32]}} for i in range(lines)]
    results = [{"result_id": words(f"probe {i}")[:32], "probe": f"probe-{i}", "target": f"https://service-{i}.example.org/", "kind": "http", "location": "FRA",
                "scheduled_ms": now, "started_ms": now, "success": True, "duration_seconds": 0.125, "status_code": 200, "redirects": 0, "body_bytes": 1256,
                "http_version": "2", "phases": {"first_byte_seconds": 0.1, "transfer_seconds": 0.025}, "attributes": {}} for i in range(10)]
    return {"worker": "bench", "location": "FRA", "sent_at_ms": now, "logs": logs, "results": results}


def live(options, folder, simulated):
    program = servers.programs(options, peers=False)["atl"]
    store = minio(options.minio, folder / "minio")
    running = None
    try:
        proxy = Proxy(store.port)
        settings = (f"{{ url: s3://{BUCKET}/atl, endpoint: \"http://127.0.0.1:{proxy.port}\", region: us-east-1, access_key_id: {USER}, "
                    f"secret_access_key: {SECRET}, flush_interval: {options.flush_interval}s }}")
        running = servers.start("atl", program, folder / "atl", settings, f"edge: {{ keys: [{{ id: {KEY_ID}, secret: {KEY_SECRET} }}] }}\n")
        begun, start = time.time(), proxy.taken()
        rounds = max(1, int(options.live * 60 / options.interval))
        bodies, loader = folder / "bodies", servers.example("tests", "remote_write_load")
        last_ms = int(begun * 1000) + (rounds - 1) * options.interval * 1000
        servers.run([loader, "make", str(bodies), str(options.series), str(rounds), str(options.interval * 1000), str(last_ms)])
        sender = subprocess.Popen([loader, "send", str(bodies), f"http://127.0.0.1:{running.port}/api/v1/write", "2", str(options.interval * 1000)], stdout=subprocess.DEVNULL)
        pause = 5
        number, end = 0, begun + options.live * 60
        while time.time() < end:
            push(running, f"batch-{number}", message(number, options.per_second * pause, pause))
            number += 1
            time.sleep(max(0.0, min(end, begun + number * pause) - time.time()))
        if sender.wait(120) != 0:
            raise SystemExit("the samples could not be sent")
        counted = {key: (value[0] - start.get(key, (0, 0))[0], value[1] - start.get(key, (0, 0))[1]) for key, value in proxy.taken().items()}
        seconds = time.time() - begun
        memory = running.memory()
        lines, = running.sql("SELECT count(*) FROM logs")[0]
        if int(lines) != number * options.per_second * pause:
            raise SystemExit(f"{lines} lines of {number * options.per_second * pause} are stored")
    finally:
        if running:
            running.kill()
        store.kill()
    report_live(options, counted, seconds, memory, simulated)


def report_live(options, counted, seconds, memory, simulated):
    flushes = counted.get(("PUT", "metrics log"), (0, 0))[0]
    if flushes == 0:
        raise SystemExit(f"nothing was flushed in {seconds:.0f} s")
    print(f"Live, {seconds / 60:.1f} min beside MinIO, {options.series} series every {options.interval} s, {options.per_second} lines a second, 10 probes: "
          f"{flushes} flushes. Resident memory {memory['rss'] / (1 << 20):.0f} MiB, highest {memory['peak'] / (1 << 20):.0f} MiB.\n")
    rows = [[method, what, str(requests), f"{requests / flushes:.2f}", f"{size / 1e6:.2f} MB"] for (method, what), (requests, size) in counted.items() if requests]
    servers.table(["", "object", "requests", "a flush", "body bytes"], rows)
    writing = sum(requests for (method, _), (requests, _) in counted.items() if method in WRITING)
    a_day = 86_400 / options.flush_interval
    print(f"{writing} requests that write in {flushes} flushes, {writing / flushes:.2f} each; {a_day:.0f} flushes a day make {writing / flushes * a_day:.0f} of them. "
          + (f"The simulated day, merges and all, has {simulated['puts']}." if simulated else "") + "\n")


def report_day(options, day):
    totals = collections.Counter()
    rows = []
    for one in day["requests"]:
        totals["writing" if one["method"] in WRITING + ("LIST",) else "free" if one["method"] == "DELETE" else "reading"] += one["requests"]
        rows.append([one["method"], one["what"], str(one["requests"]), f"{one['bytes'] / 1e6:.1f} MB"])
    print(f"A simulated day at {options.series} series every {options.interval} s, {options.per_second} lines a second and 10 probes: {day['flushes']} flushes, {day['merges']} merges.\n")
    servers.table(["", "object", "requests", "bytes"], rows)
    lists = sum(one["requests"] for one in day["requests"] if one["method"] == "LIST")
    dollars = sum(totals[what] / 1000 * price for what, price in DOLLARS.items())
    print(f"{day['puts']} PUTs (parts, beginnings and ends of large files included), the goal is {GOAL}; with {lists} LISTs, {totals['reading']} GETs and HEADs "
          f"that is ${dollars * 30:.2f} a month on S3.\n", flush=True)
    if day["puts"] > GOAL:
        sys.exit(1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    servers.add_programs(parser, peers=False)
    parser.add_argument("--live", type=float, metavar="MINUTES", default=0, help="run the real server and MinIO so long")
    parser.add_argument("--no-day", action="store_true", help="leave the simulated day out")
    parser.add_argument("--minio", default=os.environ.get("ATL_MINIO", ""))
    parser.add_argument("--series", type=int, default=20_000)
    parser.add_argument("--interval", type=int, default=15, help="seconds between samples")
    parser.add_argument("--per-second", type=int, default=200, help="log lines a second")
    parser.add_argument("--flush-interval", type=int, default=300, help="live: seconds between flushes; shorter ones are for trying out")
    parser.add_argument("--scratch", type=pathlib.Path, help="folder for data; by default in /tmp")
    options = parser.parse_args()
    if options.live and not shutil.which(options.minio):
        parser.error("--live needs MinIO: set ATL_MINIO or --minio")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="atl-requests-", dir=options.scratch))
    print(f"{servers.machine()}.\n", flush=True)
    try:
        day = None
        if not options.no_day:
            command = [servers.example("store", "requests_day"), str(options.series), str(options.interval), str(options.per_second)]
            day = servers.run(command)
            report_day(options, day)
        if options.live:
                    live(options, folder, day)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

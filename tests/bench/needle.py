#!/usr/bin/env python3
"""A rare word in a day of logs, and other questions over them, through the running server's SQL.

    eval "$(tests/run --env)"; tests/bench/needle.py [--hours 24] [--per-second 200]

The lines are made by the store's example `fill` (14 services on 6 hosts: JSON, logfmt, access logs, syslog), go through log,
head, flushes and merges as any do, and are found again through HTTP. README.md says what is measured."""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import tempfile
import time
import urllib.parse

import servers

COMMON = "payment authorised"


def ask(running, statement):
    """Seconds, rows, and what was read."""
    begun = time.perf_counter()
    status, body = running.request("POST", "/api/sql", statement.encode())
    seconds = time.perf_counter() - begun
    answer = json.loads(body)
    if status != 200 or "error" in answer:
        raise SystemExit(f"`{statement}` was answered {status}: {body[:300]}")
    return seconds, answer["rows"], answer["scanned"]


def by_word(needle):
    return f"SELECT service, body FROM logs WHERE regexp_like(body, '\\b{needle['trace_id']}\\b')"


def by_part(needle):
    return f"SELECT service, body FROM logs WHERE body LIKE '%{needle['trace_id']}%'"


def by_column(needle):
    return f"SELECT service, body FROM logs WHERE trace_id = '{needle['trace_id']}'"


def find(running, statement, needles):
    """Asks for every needle and holds the line against what was written."""
    asked = []
    for needle in needles:
        seconds, rows, scanned = ask(running, statement(needle))
        if [row[1] for row in rows] != [needle["body"]]:
            raise SystemExit(f"{len(rows)} lines for {needle['trace_id']}, or another one")
        asked.append((seconds, scanned["bytes"], scanned["row_groups"], scanned["files"]))
    return asked


def middle(asked):
    """Median and worst time, mean of what was read."""
    times = [one[0] * 1000 for one in asked]
    mean = lambda place: statistics.fmean(one[place] for one in asked)
    return [f"{statistics.median(times):.1f}", f"{max(times):.1f}", f"{mean(1) / 1e6:.2f} MB", f"{mean(2):.1f}", f"{mean(3):.1f}"]


def filters_loaded(running, files):
    text = running.request("GET", "/metrics")[1].decode()
    return any(line.startswith("atl_store_token_filter_files ") and float(line.split()[1]) >= files for line in text.splitlines())


def measure(running, told, rounds):
    needles, rows = told["needles"], []
    first = find(running, by_word, needles[:1])
    rows.append(["one trace id as a word of `body`, the very first question", *middle(first)])
    running.wait_until(lambda: filters_loaded(running, told["files"]), 120)
    rows.append(["one trace id as a word of `body`, each for the first time", *middle(find(running, by_word, needles[1:]))])
    warm = [one for _ in range(rounds) for one in find(running, by_word, needles)]
    rows.append(["the same again (warm)", *middle(warm)])
    column = [one for _ in range(rounds) for one in find(running, by_column, needles)]
    rows.append(["one trace id in the column `trace_id` (warm)", *middle(column)])
    # A part of a word may stand anywhere in one, so no filter of whole words can help.
    rows.append(["one trace id as a part of `body`, `LIKE '%…%'` (warm)", *middle(find(running, by_part, needles[:rounds]))])
    like = f"SELECT count(*) FROM logs WHERE body LIKE '%{COMMON}%'"
    same = f"SELECT count(*) FROM logs WHERE regexp_like(body, '{COMMON.replace(' ', '[ ]')}')"
    if ask(running, like)[1] != ask(running, same)[1]:
        raise SystemExit("the common word is counted differently as a part and as a regular expression")
    total = sum(int(row[1]) for row in ask(running, "SELECT service, count(*) FROM logs GROUP BY service")[1])
    if total != told["lines"]:
        raise SystemExit(f"{total} lines of {told['lines']}")
    for what, statement in [("absent word", "SELECT count(*) FROM logs WHERE body LIKE '%zyxwvutsrqponm%'"), (f"common words, `{COMMON}`, counted", like),
                            ("regular expression, `status.:50[0-9]`, counted", "SELECT count(*) FROM logs WHERE regexp_like(body, 'status.:50[0-9]')"),
                            ("lines by service, counted", "SELECT service, count(*) FROM logs GROUP BY service"),
                            ("newest 100 lines of one service", "SELECT ts, body FROM logs WHERE service = 'nginx' ORDER BY ts DESC LIMIT 100")]:
        asked = []
        for _ in range(rounds):
            seconds, _, scanned = ask(running, statement)
            asked.append((seconds, scanned["bytes"], scanned["row_groups"], scanned["files"]))
        rows.append([what, *middle(asked)])
    servers.table(["question", "ms, median", "ms, worst", "bytes read", "row groups", "files"], rows)


def report_sizes(told):
    raw = told["raw_bytes"]
    spent = {step: told[f"{step}_cpu_seconds"] for step in ("append", "flush", "merge")}
    mega = lambda seconds: f"{raw / 1e6 / seconds:.0f} MB/s"
    rows = [
        ["text", f"{raw / 1e6:.0f} MB", f"{told['lines']} lines of {raw / told['lines']:.0f} bytes"],
        ["data files of `logs`", f"{told['data_bytes'] / 1e6:.0f} MB", f"{told['files']} files, text ÷ file {raw / told['data_bytes']:.2f}"],
        ["token sidecars", f"{told['sidecar_bytes'] / 1e6:.1f} MB", f"{told['sidecar_bytes'] / raw:.2%} of the text"],
        ["log and head (fsynced, answered)", f"{spent['append']:.1f} CPU s", mega(spent["append"]) + " a core"],
        ["flushes, with tokens", f"{spent['flush']:.1f} CPU s", mega(spent["flush"]) + " a core"],
        ["log, head and flushes: to a file in the bucket", f"{spent['append'] + spent['flush']:.1f} CPU s", mega(spent["append"] + spent["flush"]) + " a core"],
        ["merges to the end, with tokens", f"{spent['merge']:.1f} CPU s", mega(spent["merge"]) + " a core"],
        ["all of it", f"{sum(spent.values()):.1f} CPU s", mega(sum(spent.values())) + " a core"],
    ]
    servers.table(["what", "", ""], rows)


def victoria_logs(binary, running, told, folder, rounds):
    """The same lines, read from us, in VictoriaLogs; the same questions in LogsQL."""
    port = servers.free_port()
    command = [binary, "-storageDataPath=data", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=1y", "-loggerLevel=WARN"]
    rival = servers.Running("VictoriaLogs", command, folder, port, "/health")
    try:
        spent = copy_lines(running, rival, told)
        size = sum(path.stat().st_size for path in (folder / "data").rglob("*") if path.is_file())

        def logsql(query):
            form = urllib.parse.urlencode({"query": query, "start": str(told["first_ms"] // 1000), "end": str(told["last_ms"] // 1000)})
            return [json.loads(line) for line in rival.request("GET", "/select/logsql/query?" + form)[1].splitlines()]

        total = int(logsql("* | stats count() n")[0]["n"])
        if total != told["lines"]:
            raise SystemExit(f"VictoriaLogs has {total} lines of {told['lines']}")
        rows = []
        for what, query in [("one trace id in the line", None), (f"common words, `{COMMON}`, counted", f'"{COMMON}" | stats count() n'),
                            ("regular expression, `status.:50[0-9]`, counted", '~"status.:50[0-9]" | stats count() n'), ("lines by service, counted", "* | stats by (service) count() n")]:
            times = []
            for needle in told["needles"][:rounds if query else None]:
                begun = time.perf_counter()
                answer = logsql(query or needle["trace_id"])
                times.append((time.perf_counter() - begun) * 1000)
                if query is None and [one["_msg"] for one in answer] != [needle["body"]]:
                    raise SystemExit(f"VictoriaLogs gives {len(answer)} lines for {needle['trace_id']}")
            rows.append([what, f"{statistics.median(times):.1f}", f"{max(times):.1f}"])
        print(f"{servers.version('VictoriaLogs', binary)}, the same lines: {size / 1e6:.0f} MB on disk, {told['raw_bytes'] / 1e6 / spent:.0f} MB/s of text a core, "
              "JSON lines parsed included.\n")
        servers.table(["question", "ms, median", "ms, worst"], rows)
    finally:
        rival.kill()


def copy_lines(running, rival, told):
    """Every line into the rival; gives the processor seconds it took for that."""
    before, slice_ms = rival.cpu_seconds(), 300_000
    for at in range(told["first_ms"], told["last_ms"], slice_ms):
        statement = f"SELECT ts, service, host, body, trace_id FROM logs WHERE ts >= to_timestamp_millis({at}) AND ts < to_timestamp_millis({at + slice_ms}) ORDER BY ts"
        lines = running.request("POST", "/api/sql", statement.encode(), {"Accept": "application/x-ndjson"})[1]
        status, text = rival.request("POST", "/insert/jsonline?_stream_fields=service,host&_time_field=ts&_msg_field=body", lines)
        if status != 200:
            raise SystemExit(f"VictoriaLogs answered {status}: {text[:300]}")
    time.sleep(10)
    rival.request("GET", "/internal/force_flush")
    return rival.cpu_seconds() - before


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    servers.add_programs(parser, peers=False)
    parser.add_argument("--hours", type=int, default=24)
    parser.add_argument("--per-second", type=int, default=200, help="lines a second")
    parser.add_argument("--rounds", type=int, default=5, help="times each question is asked")
    parser.add_argument("--victoria-logs", default=os.environ.get("ATL_VICTORIALOGS", ""), help="a VictoriaLogs to compare with")
    parser.add_argument("--scratch", type=pathlib.Path, help="folder for data; by default in /tmp")
    options = parser.parse_args()
    program = servers.programs(options, peers=False)["atl"]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="atl-needle-", dir=options.scratch))
    print(f"{servers.version('atl', program)}; {servers.machine()}.\n", flush=True)
    try:
        # Whole days end at midnight; the newest lines lie an hour back.
        last_ms = (int(time.time()) - 3_600) // 300 * 300_000
        fill = servers.example("store", "fill")
        told = servers.run([fill, "logs", str(folder / "atl" / "data"), str(options.per_second), str(options.hours), str(last_ms)])
        report_sizes(told)
        running = servers.start("atl", program, folder / "atl", limits="query: { row_limit: 100000000, timeout: 5m }\n")
        try:
            measure(running, told, options.rounds)
            if options.victoria_logs:
                victoria_logs(options.victoria_logs, running, told, folder / "victoria-logs", options.rounds)
        finally:
            running.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""How long a start takes, from before the process exists to ready and to the first right answer.

    eval "$(tests/run --env)"; tests/bench/start.py --prometheus PATH --victoria PATH [--cases empty,wal,days]

empty: a fresh folder. wal: after kill -9, with two hours of 20,000 series every 15 s. days: 30 days of data in the tables
(ours only). README.md says how each is made and what it stands for."""

import argparse
import pathlib
import shutil
import statistics
import tempfile
import time

import servers

INTERVAL_MS = 15_000
# VictoriaMetrics writes what it has taken to disk within five seconds; what a kill costs is not what is measured here.
AT_REST_SECONDS = 12


def milliseconds(values):
    return f"{statistics.median(values) * 1000:.0f} ({min(values) * 1000:.0f}–{max(values) * 1000:.0f})"


def in_turns(programs, options, start_one, end):
    """Seconds to ready and to each first answer, by server, `--repeat` times in turns."""
    times = {name: [] for name in programs}
    for _ in range(options.repeat):
        for name, binary in programs.items():
            running, answered = start_one(name, binary)
            times[name].append([running.ready_seconds, *answered])
            end(running)
    return times


def report(what, questions, times):
    rows = []
    for place, question in enumerate(["ready", *questions]):
        rows.append([question] + [milliseconds([one[place] for one in runs]) for runs in times.values()])
    print(f"{what}: ms after the start, median (least–most) of {len(next(iter(times.values())))}.\n")
    servers.table(["until"] + [servers.NAMES[name] for name in times], rows)


def empty(programs, options, folder):
    def start_one(name, binary):
        running = servers.start(name, binary, folder / name)
        return running, [running.wait_until(lambda: running.number("vector(1)", time.time()) == 1, 60)]

    def end(running):
        running.kill()
        shutil.rmtree(running.folder)

    report("Nothing stored", ["first answer, `vector(1)`"], in_turns(programs, options, start_one, end))


def wal(programs, options, folder, loader):
    scrapes = int(options.hours * 3_600_000) // INTERVAL_MS
    last_ms = int(time.time()) * 1000 - 5_000
    bodies = folder / "bodies"
    told = servers.run([loader, "make", str(bodies), str(options.series), str(scrapes), str(INTERVAL_MS), str(last_ms)])
    at = last_ms / 1000
    query = f"count_over_time({servers.selector(told['checks'][-1]['labels'])}[{scrapes * INTERVAL_MS}ms])"
    for name, binary in programs.items():
        servers.say(f"{servers.NAMES[name]} takes {told['samples']} samples and is killed")
        if name == "atl":
            # A server flushes long before; what stays in the log for hours is what an object store that is away leaves there.
            filled = servers.run([servers.example("store", "fill"), "wal", str(folder / name / "data"), str(options.series), str(scrapes), str(INTERVAL_MS), str(last_ms)])
            servers.say(f"the log has {filled['wal_bytes'] / 1e6:.0f} MB")
            continue
        running = servers.start(name, binary, folder / name)
        servers.run([loader, "send", str(bodies), f"http://127.0.0.1:{running.port}/api/v1/write", "2"])
        time.sleep(AT_REST_SECONDS)
        running.kill()
    bodies.unlink()

    def start_one(name, binary):
        running = servers.start(name, binary, folder / name, limit=300)
        return running, [running.wait_until(lambda: running.number(query, at) == scrapes, 300)]

    checked = set()

    def end(running):
        if running.name not in checked:
            checked.add(running.name)
            servers.check_samples(running, told["checks"], last_ms)
            if running.name == "atl" and servers.stored_samples(running) != told["samples"]:
                raise SystemExit(f"atl has {servers.stored_samples(running)} samples of {told['samples']}")
        running.kill()

    times = in_turns(programs, options, start_one, end)
    report(f"After kill -9 with {options.hours:g} h of {options.series} series every 15 s ({told['samples']} samples) in the write-ahead log",
           [f"first answer, {scrapes} samples of one series counted"], times)


def days(programs, options, folder):
    last_ms = int(time.time()) // 60 * 60_000
    interval_ms = options.days_interval * 1000
    servers.say(f"{options.days} days of {options.days_series} series every {options.days_interval} s are made")
    program = servers.example("store", "fill")
    filled = servers.run([program, "days", str(folder / "atl" / "data"), str(options.days_series), str(options.days), str(interval_ms), str(last_ms)])
    at = last_ms / 1000
    count = options.days * 86_400_000 // interval_ms
    series = 'node_cpu_seconds_total{instance="10.0.0.1:9100",cpu="0",mode="idle"}'

    def start_one(which, binary):
        running = servers.start(which, binary, folder / which, "{ retention: { metrics: 0d } }")
        recent = f"count_over_time({series}[1h])"
        whole = f"count_over_time({series}[{options.days}d])"
        return running, [running.wait_until(lambda: running.number(recent, at) == 3_600_000 // interval_ms, 60),
                         running.wait_until(lambda: running.number(whole, at) == count, 60)]

    times = in_turns({"atl": programs["atl"]}, options, start_one, lambda running: running.kill())
    report(f"With {options.days} days of {options.days_series} series every {options.days_interval} s in the tables ({filled['samples']} samples, "
           f"{filled['metrics_files']} files of {filled['metrics_bytes'] / 1e6:.0f} MB)", ["first answer, the last hour of one series", f"then, its {options.days} days"], times)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    servers.add_programs(parser)
    parser.add_argument("--cases", default="empty,wal,days")
    parser.add_argument("--repeat", type=int, default=5, help="starts of each server, in turns")
    parser.add_argument("--series", type=int, default=20_000, help="wal: series")
    parser.add_argument("--hours", type=float, default=2, help="wal: hours in the log")
    parser.add_argument("--days", type=int, default=30, help="days: days in the tables")
    parser.add_argument("--days-series", type=int, default=3_000, help="days: series")
    parser.add_argument("--days-interval", type=int, default=60, help="days: seconds between samples")
    parser.add_argument("--scratch", type=pathlib.Path, help="folder for data; by default in /tmp")
    options = parser.parse_args()
    programs = servers.programs(options)
    cases = options.cases.split(",")
    loader = servers.example("tests", "remote_write_load") if "wal" in cases else None
    folder = pathlib.Path(tempfile.mkdtemp(prefix="atl-start-", dir=options.scratch))
    print(", ".join(servers.version(*program) for program in programs.items()) + f"; {servers.machine()}.\n", flush=True)
    try:
        for case in cases:
            inside = folder / case
            inside.mkdir()
            if case == "empty":
                empty(programs, options, inside)
            elif case == "wal":
                wal(programs, options, inside, loader)
            elif case == "days":
                days(programs, options, inside)
            else:
                parser.error(f"there is no case `{case}`")
            shutil.rmtree(inside)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

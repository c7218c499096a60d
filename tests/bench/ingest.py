#!/usr/bin/env python3
"""Remote-write ingest side by side: the same bodies to this program, to Prometheus and to VictoriaMetrics, in turns.

    eval "$(tests/run --env)"; tests/bench/ingest.py --prometheus PATH --victoria PATH [--series 20000,100000,1000000]

Counts samples a CPU second of the server (user and system, from /proc) with every body acknowledged, and its memory
once it is at rest; then reads some series back from each, bit for bit. --rounds 3 --series 5000 tries it out in seconds.
README.md says what is measured and what it stands for."""

import argparse
import pathlib
import shutil
import statistics
import tempfile
import time

import servers

INTERVAL_MS = 15_000


def measure(name, binary, bodies, told, folder, options, loader):
    """One server, from an empty folder to its end."""
    running = servers.start(name, binary, folder)
    try:
        idle = running.cpu_seconds()
        sent = servers.run([loader, "send", str(bodies), f"http://127.0.0.1:{running.port}/api/v1/write", str(options.connections)])
        acknowledged = running.cpu_seconds() - idle
        settled = settle(running, options.settle)
        memory = running.memory()
        servers.check_samples(running, told["checks"], told["last_ms"])
        stored = servers.stored_samples(running)
        if stored != told["samples"]:
            raise SystemExit(f"{name} has {stored} samples of {told['samples']}")
    except BaseException:
        running.kill()
        raise
    else:
        # What the questions after settling cost is not ingest's.
        asked = running.cpu_seconds() - settled
        whole = running.stop() - idle - asked
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"seconds": sent["seconds"], "sent_again": sent["sent_again"], "acknowledged": acknowledged, "whole": whole, **memory}


def settle(running, seconds):
    """Waits; gives the processor time from the start until then."""
    before = running.cpu_seconds()
    time.sleep(seconds)
    after = running.cpu_seconds()
    if after - before > 0.5 * seconds:
        servers.say(f"{running.name} is still busy {seconds:g} s after the last body")
    return after


def report(series, told, results, names):
    samples = told["samples"]
    middle = {name: {key: statistics.median(one[key] for one in results[name]) for key in results[name][0]} for name in names}
    others = [name for name in names if name != "atl"]
    print(f"{series} series, {samples // series} scrapes {INTERVAL_MS // 1000} s apart: {samples} samples in {told['bodies']} bodies, "
          f"{told['bytes'] / samples:.1f} bytes a sample; {len(results['atl'])} times in turns, medians.\n")
    rows = []

    def row(what, value, form):
        row = [what] + [form(value(middle[name])) for name in names]
        rows.append(row + [servers.ratio(value(middle["atl"]), value(middle[name])) for name in others])

    rate = lambda key: lambda one: samples / one[key]
    million = lambda value: f"{value / 1e6:.2f} M"
    mebibytes = lambda value: f"{value / (1 << 20):.0f} MiB"
    row("samples a CPU second, to the last acknowledgement", rate("acknowledged"), million)
    row("samples a CPU second, to the end of a clean stop", rate("whole"), million)
    row("samples a second, all acknowledged", rate("seconds"), million)
    row("resident memory at rest", lambda one: one["rss"], mebibytes)
    row("proportional memory (PSS) at rest", lambda one: one["pss"], mebibytes)
    row("resident memory, highest", lambda one: one["peak"], mebibytes)
    row("resident bytes a series at rest", lambda one: one["rss"] / series, lambda value: f"{value:.0f}")
    rows.append(["bodies sent again"] + [f"{middle[name]['sent_again']:.0f}" for name in names] + [""] * len(others))
    servers.table(["what"] + [servers.NAMES[name] for name in names] + [f"atl ÷ {servers.NAMES[name]}" for name in others], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    servers.add_programs(parser)
    parser.add_argument("--series", default="20000,100000,1000000", help="active series, several separated by commas")
    parser.add_argument("--rounds", type=int, default=0, help="scrapes of every series; by default as many as make 5 M samples, 5 at least and 120 at most")
    parser.add_argument("--repeat", type=int, default=3, help="times each server is measured, in turns")
    parser.add_argument("--connections", type=int, default=4, help="bodies on their way at once")
    parser.add_argument("--settle", type=float, default=15, help="seconds of rest before memory is read")
    parser.add_argument("--scratch", type=pathlib.Path, help="folder for data and bodies; by default in /tmp")
    options = parser.parse_args()
    programs = servers.programs(options)
    loader = servers.example("tests", "remote_write_load")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="atl-ingest-", dir=options.scratch))
    print(", ".join(servers.version(*program) for program in programs.items()) + f"; {servers.machine()}.\n", flush=True)
    try:
        for series in map(int, options.series.split(",")):
            rounds = options.rounds or max(5, min(120, 5_000_000 // series))
            last_ms = int(time.time()) * 1000 - 5_000
            bodies = folder / "bodies"
            told = servers.run([loader, "make", str(bodies), str(series), str(rounds), str(INTERVAL_MS), str(last_ms)])
            told["last_ms"] = last_ms
            results = {name: [] for name in programs}
            for turn in range(options.repeat):
                for name, binary in programs.items():
                    servers.say(f"{series} series, turn {turn + 1} of {options.repeat}: {servers.NAMES[name]}")
                    results[name].append(measure(name, binary, bodies, told, folder / name, options, loader))
            report(series, told, results, list(programs))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

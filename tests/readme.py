#!/usr/bin/env python3
"""Does what README.md tells a newcomer to do, with the very words that stand there.

Takes the commands from its `sh` blocks: the one that starts the server is run as it stands and must serve this host's
metrics within 15 s of being up; every `sql` block must be answered; Ctrl-C must end it well. The other command, the one
that runs the tests, is what called this. The links of the page must lead somewhere.
"""

import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
START_COMMAND = "cargo run --release"
TEST_COMMAND = "tests/run"
ADDRESS = "http://127.0.0.1:3000"
# Compiling is not part of what is timed; the step `build` has usually done it.
BUILD_SECONDS_MAX = 3600
FIRST_METRICS_SECONDS_MAX = 15


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.M | re.S)


def ask(path, body=None):
    request = urllib.request.Request(ADDRESS + path, data=body.encode() if body else None)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode()


def check_links(text):
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        if not target.startswith("http") and not (ROOT / target).exists():
            sys.exit(f"README.md leads to `{target}`, which is not there")


def wait_until_up(server, log):
    deadline = time.time() + BUILD_SECONDS_MAX
    while f"is up: {ADDRESS}/" not in log.read_text():
        if server.poll() is not None or time.time() > deadline:
            sys.exit(f"`{START_COMMAND}` did not get as far as printing {ADDRESS}:\n{log.read_text()[-4000:]}")
        time.sleep(0.1)


def wait_for_host_metrics():
    began = time.time()
    while True:
        rows = json.loads(ask("/api/sql", "SELECT count(*) FROM metrics WHERE metric LIKE 'node_cpu%'"))["rows"]
        if rows[0][0] > 0:
            return time.time() - began
        if time.time() - began > FIRST_METRICS_SECONDS_MAX:
            sys.exit(f"no metrics of this host within {FIRST_METRICS_SECONDS_MAX} s")
        time.sleep(0.2)


def main():
    text = (ROOT / "README.md").read_text()
    commands = [line.strip() for block in blocks(text, "sh") for line in block.splitlines()]
    for command in (START_COMMAND, TEST_COMMAND):
        if command not in commands:
            sys.exit(f"README.md does not tell to run `{command}`")
    check_links(text)

    had_data = (ROOT / "atl-data").exists()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="atl-readme-"))
    log = folder / "output"
    print(f"running `{START_COMMAND}`", flush=True)
    with open(log, "wb") as output:
        server = subprocess.Popen(START_COMMAND.split(), cwd=ROOT, stdout=output, stderr=output, start_new_session=True)
    try:
        wait_until_up(server, log)
        print(f"this host's metrics were on SQL after {wait_for_host_metrics():.1f} s", flush=True)
        if "<html" not in ask("/").lower():
            sys.exit("the address does not serve a page")
        for statement in blocks(text, "sql"):
            try:
                ask("/api/sql", statement)
            except urllib.error.HTTPError as error:
                sys.exit(f"README.md's query was refused: {error.read().decode()}\n{statement}")
        os.killpg(server.pid, signal.SIGINT)
        if server.wait(60) != 0:
            sys.exit(f"Ctrl-C ended it with {server.returncode}:\n{log.read_text()[-2000:]}")
        print("Ctrl-C ended it cleanly")
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)
        if not had_data:
            shutil.rmtree(ROOT / "atl-data", ignore_errors=True)


main()

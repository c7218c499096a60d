"""Serves many node_exporter targets that never existed: real pages, recorded once, walked on by seeded chance.

Comes in: pages of a real exporter, some seconds apart, from which each series' type and pace are learned. Goes out: for
target t and time slot k always the same bytes, however many ask, so that two systems scraping side by side get the same
input. Run as a program it listens on one port a target until it is killed.
"""

import gzip
import http.server
import json
import math
import random
import sys
import threading
import time


class Series:
    """One sample line and how it moves."""

    def __init__(self, name_and_labels, texts, seconds, is_counter):
        values = [float(text) for text in texts]
        self.text = name_and_labels
        self.first = values[0]
        self.moves = any(value != values[0] for value in values)
        # As many digits as the exporter prints: processor seconds come in hundredths, and compress accordingly.
        self.whole = all(value == int(value) for value in values)
        self.decimals = max(len(text.partition(".")[2]) for text in texts)
        self.has_exponent = any("e" in text for text in texts)
        self.is_counter = is_counter
        self.mean, self.spread = sum(values) / len(values), (max(values) - min(values))
        self.pace = max(0.0, (values[-1] - values[0]) / seconds)

    def start(self, chance):
        return self.first * chance.uniform(0.5, 1.5) if self.moves else self.first

    def step(self, value, interval, chance):
        """The value one interval later."""
        if not self.moves:
            return value
        if self.is_counter:
            return value + self.pace * interval * chance.uniform(0.4, 1.6)
        # Drawn back to its mean, as load and free memory are.
        return max(0.0, value + 0.2 * (self.mean - value) + 0.5 * self.spread * chance.uniform(-1, 1))

    def line(self, value):
        if not self.moves:
            value = self.first
        if self.whole:
            return f"{self.text} {int(value)}"
        return f"{self.text} {value:.9g}" if self.has_exponent else f"{self.text} {value:.{self.decimals}f}"


def learn(pages, seconds):
    """Reads recorded pages; gives a list of comment lines (as text) and Series, in the page's order."""
    last = [dict(parse(line) for line in page.splitlines() if line and line[0] != "#") for page in pages]
    kinds, lines = {}, []
    for line in pages[0].splitlines():
        if line.startswith("#"):
            words = line.split()
            if words[1] == "TYPE":
                kinds[words[2]] = words[3]
            lines.append(line)
            continue
        text, _ = parse(line)
        name = text.split("{")[0]
        base = next((name.removesuffix(end) for end in ("_bucket", "_sum", "_count") if name.removesuffix(end) in kinds), name)
        is_counter = kinds.get(name) == "counter" or kinds.get(base) in ("histogram", "summary")
        texts = [page[text] for page in last if text in page]
        is_finite = all(math.isfinite(float(value)) for value in texts)
        lines.append(Series(text, texts, seconds, is_counter) if is_finite else line)
    return lines


def parse(line):
    return line.rsplit(" ", 1)


def pages_of_target(lines, target, slots, interval):
    """All pages of one target, gzipped and plain."""
    chance = random.Random(f"target {target}")
    values = [line.start(chance) if isinstance(line, Series) else None for line in lines]
    pages = []
    for _ in range(slots):
        text = "\n".join(line if value is None else line.line(value) for line, value in zip(lines, values)) + "\n"
        plain = text.encode()
        pages.append((plain, gzip.compress(plain, 6, mtime=0)))
        values = [None if value is None else line.step(value, interval, chance) for line, value in zip(lines, values)]
    return pages


def handler_of(pages, started, interval):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            slot = min(int((time.time() - started) / interval), len(pages) - 1)
            plain, packed = pages[slot]
            use_gzip = "gzip" in self.headers.get("Accept-Encoding", "")
            body = packed if use_gzip else plain
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            if use_gzip:
                self.send_header("Content-Encoding", "gzip")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    return Handler


class TargetServer(http.server.ThreadingHTTPServer):
    daemon_threads = True


def main():
    """replay.py PAGES.json TARGETS SLOTS INTERVAL: prints the ports as one JSON list, then serves."""
    recorded = json.load(open(sys.argv[1]))
    targets, slots, interval = int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    lines = learn(recorded["pages"], recorded["seconds"])
    all_pages = [pages_of_target(lines, target, slots, interval) for target in range(targets)]
    # Both sides scrape a target once a slot, at offsets of their own; questions are asked over whole slots.
    started = math.floor(time.time())
    servers = [TargetServer(("127.0.0.1", 0), handler_of(pages, started, interval)) for pages in all_pages]
    series = sum(isinstance(line, Series) for line in lines)
    print(json.dumps({"started": started, "ports": [server.server_port for server in servers], "series_per_target": series,
                      "bytes_per_page": len(all_pages[0][0][0])}), flush=True)
    for server in servers:
        threading.Thread(target=server.serve_forever, daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()

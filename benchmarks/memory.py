"""What the whole process occupies: python -m benchmarks.memory [--lines N]

The exporter as `serve` starts it, with nothing to read; then, with the same code loaded, serving invented metrics.
Beside each, prometheus-client's own server with nothing and with as many lines of registered metrics. All are
scraped over HTTP with gzip, as Prometheus does it. Megabytes, resident: after the scrapes, and at most.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks.content import Ours, Registered, fill

SCRAPES = 5
START = 60.0
"""Seconds to wait until a process serves; building many lines takes some."""
MEGABYTE = 1e6


class Occupied(NamedTuple):
    """Resident memory in megabytes."""

    after: float
    most: float


def serve_ours(port: int, lines: int) -> None:
    """Serve invented metrics with everything loaded that the exporter loads."""
    import exporter.application  # noqa: F401, PLC0415 - each process has its own code only, this one all that serve has
    from exporter.config.settings import WebSettings  # noqa: PLC0415
    from exporter.web.server import AppContext, Server  # noqa: PLC0415

    holder = fill("ours", lines)
    assert isinstance(holder, Ours)
    context = AppContext(holder.store, ready=lambda: True, sources=tuple, configuration=tuple)
    Server(context, WebSettings(listen_addresses=(f"127.0.0.1:{port}",))).start()


def serve_theirs(port: int, lines: int) -> None:
    """Serve as much with prometheus-client."""
    from prometheus_client import ProcessCollector, start_http_server  # noqa: PLC0415

    holder = fill("registered", lines)
    assert isinstance(holder, Registered)
    ProcessCollector(registry=holder.registry)
    start_http_server(port, "127.0.0.1", holder.registry)


def find_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def running(command: list[str]) -> Iterator[int]:
    """A process while it lives; yields its id."""
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield process.pid
        finally:
            process.kill()


def scrape(port: int) -> None:
    """Scrape once with gzip, waiting for a process that starts. Raises URLError where none does."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Accept-Encoding": "gzip"})
    deadline = time.monotonic() + START
    while True:
        try:
            with urllib.request.urlopen(request, timeout=START) as reply:
                reply.read()
                return
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def occupy(command: list[str], port: int) -> Occupied:
    """Start, scrape, look."""
    with running(command) as pid:
        for _ in range(SCRAPES):
            scrape(port)
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        fields = dict(line.split(":", 1) for line in status.splitlines())
        after, most = (int(fields[name].split()[0]) * 1024 / MEGABYTE for name in ("VmRSS", "VmHWM"))
        return Occupied(after, most)


def occupy_serve() -> Occupied:
    """The exporter's own command, with nothing to read."""
    port = find_port()
    address = f"--web.listen-address=127.0.0.1:{port}"
    off = [f"--no-collector.{source}" for source in ("airflow", "statsd", "host")]
    return occupy([sys.executable, "-m", "exporter", "serve", *off, address], port)


def occupy_child(which: str, lines: int) -> Occupied:
    port = find_port()
    return occupy([sys.executable, "-m", "benchmarks.memory", "--child", which, str(port), "--lines", str(lines)], port)


def main() -> None:
    """Measure and print, or be the process that is measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.memory", description=__doc__)
    parser.add_argument("--lines", type=int, default=100_000)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        which, port = options.child
        (serve_ours if which == "ours" else serve_theirs)(int(port), options.lines)
        threading.Event().wait()
    print("| | exporter | at most | prometheus-client | at most |\n| --- |" + " ---: |" * 4, flush=True)
    for title, ours, theirs in (
        ("idle", occupy_serve(), occupy_child("theirs", 0)),
        (f"{options.lines:,} lines", occupy_child("ours", options.lines), occupy_child("theirs", options.lines)),
    ):
        print(f"| {title} | {ours.after:.1f} | {ours.most:.1f} | {theirs.after:.1f} | {theirs.most:.1f} |", flush=True)


if __name__ == "__main__":
    main()

"""How soon /metrics is answered after the start: python -m benchmarks.startup [--runs 9] [--no-goals]

The real command in three modes, in turns: for StatsD only, on a worker, and with all sources. CPU and wall seconds from
the start of the process to the end of the first /metrics; medians. Modules are compiled beforehand, as pip does it.
Airflow does not answer: nothing waits for it. Exits with 1 where StatsD only or a worker takes longer than the goal.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.host import read_cpu

GOAL = 0.5
"""Wall seconds."""
LISTENING = re.compile(r"msg=listening address=(\S+)")
NOWHERE = "http://127.0.0.1:1"
NO_AIRFLOW, NO_STATSD, NO_HOST = "--no-collector.airflow", "--no-collector.statsd", "--no-collector.host"
MODES: dict[str, tuple[str, ...]] = {
    "StatsD only": (NO_AIRFLOW, NO_HOST, "--statsd.listen-udp=127.0.0.1:0", "--statsd.listen-tcp=127.0.0.1:0"),
    "worker": (NO_AIRFLOW, NO_STATSD, f"--host.task-names-from={NOWHERE}"),
    "all sources": (f"--airflow.url={NOWHERE}", "--statsd.listen-udp=127.0.0.1:0", "--statsd.listen-tcp=127.0.0.1:0"),
}
WITH_GOAL = ("StatsD only", "worker")


class Start(NamedTuple):
    """Seconds until the first /metrics was answered."""

    cpu: float
    wall: float


def start(flags: tuple[str, ...], environment: dict[str, str]) -> Start:
    """Start the exporter, scrape it as soon as it says that it listens, and end it."""
    command = [sys.executable, "-m", "exporter", "serve", "--web.listen-address=127.0.0.1:0", *flags]
    begun = time.monotonic()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stderr
        try:
            address = next(found[1] for found in map(LISTENING.search, process.stderr) if found)
            with urllib.request.urlopen(f"http://{address}/metrics", timeout=60) as reply:
                reply.read()
            return Start(read_cpu(process.pid), time.monotonic() - begun)
        finally:
            process.kill()


def measure(runs: int) -> dict[str, list[Start]]:
    """All starts by mode; the first of each, which compiles, is not among them."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_EXPORTER_")}
    clean.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as compiled:
        environment = {**clean, "PYTHONPYCACHEPREFIX": str(Path(compiled))}
        for flags in MODES.values():
            start(flags, environment)
        starts: dict[str, list[Start]] = {name: [] for name in MODES}
        for _ in range(runs):
            for name, flags in MODES.items():
                starts[name].append(start(flags, environment))
        return starts


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    parser.add_argument("--no-goals", action="store_true", help="only measure: a missed goal is no failure")
    chosen = parser.parse_args()
    missed = False
    print("| first /metrics | CPU, s | wall, s | fastest, s | goal |\n| --- | ---: | ---: | ---: | --- |")
    for name, starts in measure(chosen.runs).items():
        wall = median(one.wall for one in starts)
        result = ("met" if wall <= GOAL else "missed") if name in WITH_GOAL else ""
        missed |= result == "missed"
        figures = (median(one.cpu for one in starts), wall, min(one.wall for one in starts))
        cells = (*(f"{figure:.2f}" for figure in figures), f"{GOAL}: {result}" if result else "")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    return 1 if missed and not chosen.no_goals else 0


if __name__ == "__main__":
    sys.exit(main())

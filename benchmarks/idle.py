"""CPU of an exporter while Airflow is idle: python -m benchmarks.idle [--seconds 60] [--processes 200] [--no-goals]

Exporters that read nothing, one source each, and all of them run at the same time beside the same processes and the
same simulated Airflow, and are measured over the same seconds. Of the processes, 30 are Airflow's: ten components of
60 MB that do a little every second, and 20 that sleep. All others sleep. Exits with 1 where all sources together are
above the goal.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.host import read_cpu, start, start_sleepers
from benchmarks.scaling import simulate
from benchmarks.simulated_api import Size
from demo.workdir import free_port

GOAL = 0.004
"""Of a core, with all sources."""
ALL = "all sources"
SOURCES = {
    "nothing": (),
    "StatsD": ("statsd",),
    "host": ("host",),
    "Airflow's API": ("airflow",),
    ALL: ("statsd", "host", "airflow"),
}
IDLE = Size(dags=50, workers=1, tries_per_minute=1)
COMPONENTS = ("scheduler", "api-server", "dag-processor", "triggerer", "celery worker") * 2
AIRFLOW_SLEEPERS = 20
COMPONENT = """#!/usr/bin/python3
import time
held = bytearray(60_000_000)
held[::4096] = bytes(len(held[::4096]))
while True:
    sum(range(1000))
    time.sleep(1)
"""
WARM = 40.0
"""Seconds until all that is read rarely was read, and the first polls are over."""


@contextmanager
def start_components(folder: Path) -> Iterator[None]:
    """Processes with the command lines of Airflow's components."""
    script = folder / "airflow"
    script.write_text(COMPONENT, encoding="utf-8")
    with ExitStack() as stack:
        for component in COMPONENTS:
            stack.enter_context(start([sys.executable, "-S", str(script), *component.split()]))
        yield


def make_command(sources: tuple[str, ...], url: str, folder: Path, port: int) -> list[str]:
    """The command of an exporter with these sources."""
    state = folder / f"{port}.db"
    flags = [f"--web.listen-address=127.0.0.1:{port}", f"--state.file={state}"]
    flags += [f"--{'' if name in sources else 'no-'}collector.{name}" for name in SOURCES[ALL]]
    if "airflow" in sources:
        flags += [f"--airflow.url={url}", "--airflow.username=admin", f"--airflow.password-file={folder / 'password'}"]
    if "statsd" in sources:
        flags += [f"--statsd.listen-udp=127.0.0.1:{port}", f"--statsd.listen-tcp=127.0.0.1:{free_port()}"]
    return [sys.executable, "-m", "exporter", "serve", *flags]


def check(port: int) -> None:
    """Raise RuntimeError if a source of this exporter does not work."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as reply:
        lines = reply.read().decode().splitlines()
    down = [line for line in lines if line.startswith("airflow_exporter_source_up") and line.endswith(" 0")]
    if down:
        raise RuntimeError("\n".join(down))


def measure(processes: int, seconds: float) -> dict[str, float]:
    """The share of a core of each exporter."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "password").write_text("secret\n", encoding="utf-8")
        url = stack.enter_context(simulate(IDLE))
        stack.enter_context(start_components(folder))
        stack.enter_context(start_sleepers(AIRFLOW_SLEEPERS))
        stack.enter_context(start_sleepers(max(0, processes - count_processes()), ("other",)))
        ports = {name: free_port() for name in SOURCES}
        pids = {
            name: stack.enter_context(start(make_command(sources, url, folder, ports[name])))
            for name, sources in SOURCES.items()
        }
        time.sleep(WARM)
        for port in ports.values():
            check(port)
        began, before = time.monotonic(), {name: read_cpu(pid) for name, pid in pids.items()}
        time.sleep(seconds)
        passed = time.monotonic() - began
        return {name: (read_cpu(pid) - before[name]) / passed for name, pid in pids.items()}


def count_processes() -> int:
    """Processes that exist anyway."""
    return sum(path.name.isdecimal() for path in Path("/proc").iterdir()) + len(SOURCES)


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.idle", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--processes", type=int, default=200)
    parser.add_argument("--no-goals", action="store_true", help="only measure: a missed goal is no failure")
    chosen = parser.parse_args()
    print("| an exporter of | of a core | goal |\n| --- | ---: | --- |")
    missed = False
    for name, share in measure(chosen.processes, chosen.seconds).items():
        missed = name == ALL and share > GOAL
        goal = f"{GOAL:.1%}: {'missed' if missed else 'met'}" if name == ALL else ""
        print(f"| {name} | {share:.2%} | {goal} |", flush=True)
    return 1 if missed and not chosen.no_goals else 0


if __name__ == "__main__":
    sys.exit(main())

"""CPU of a scan of all processes, compared with Debian's process exporter and node exporter in the same run.

    python -m benchmarks.host [--sizes 100,1000,3000] [--seconds 30]

Processes that sleep are titled as Airflow's. Ours scans every 10 s and is scraped every 10 s; the others scan
when they are scraped, as often. Exits with 1 where ours uses more than half of what the process exporter uses.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from demo.workdir import free_port

TITLES = (
    "airflow worker -- LocalExecutor: <idle>",
    "airflow scheduler",
    "gunicorn: worker [airflow-webserver]",
    "airflow worker -- 01a20793-8496-79a0-a835-{number:012x}",
)
OF_COMPONENTS = 3 / 4
"""The part of them that is no task's."""
INTERVAL = 10.0
CPU_CLOCK = 2
"""With a pid it names the clock of all CPU time of a process, in nanoseconds: see clock_getcpuclockid(3)."""
PATIENCE = 120.0
WARM = 25.0
"""Seconds until all that is read slowly was read."""
GOAL = 0.5
NAMES = """process_names:
  - name: "airflow"
    cmdline: ["airflow"]
"""


class Cost(NamedTuple):
    """CPU seconds of a cycle, and resident memory in MiB."""

    cycle: float
    memory: float


@contextmanager
def start_sleepers(number: int, titles: Sequence[str] = TITLES) -> Iterator[None]:
    """Processes that wait for input that never comes, and end when their parent ends, as it does with us."""
    script = (
        "import os, sys\n"
        f"titles = {tuple(titles)!r}\n"
        "silence, _ = os.pipe()\n"
        "os.set_inheritable(silence, True)\n"
        f"for n in range({number}):\n"
        "    if os.fork() == 0:\n"
        "        os.dup2(silence, 0)\n"
        "        os.execv('/bin/cat', [titles[n % len(titles)].format(number=n)])\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    command = [sys.executable, "-S", "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout
        child.stdout.readline()
        time.sleep(1)
        yield


@contextmanager
def start(command: Sequence[str]) -> Iterator[int]:
    """A server; its pid."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield child.pid
    finally:
        child.terminate()
        child.wait()


def read_cpu(pid: int) -> float:
    """CPU seconds of a process so far."""
    return time.clock_gettime(~pid << 3 | CPU_CLOCK)


def read_memory(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(text.partition("VmRSS:")[2].split()[0]) / 1024


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=60) as reply:
        text: str = reply.read().decode()
    return text


def count_processes(exposition: str) -> int:
    """Airflow's processes that ours sees, those of tasks apart."""
    lines = [line for line in exposition.splitlines() if line.startswith("airflow_processes{")]
    return sum(int(line.rpartition(" ")[2]) for line in lines)


def wait_until_found(port: int, number: int) -> None:
    """Wait until ours answers and has found so many processes; the others are up before it."""
    end = time.monotonic() + PATIENCE
    seen = 0
    while seen < number:
        if time.monotonic() > end:
            raise RuntimeError(f"only {seen} of {number} processes were found to be Airflow's")
        time.sleep(0.5)
        with suppress(OSError):
            seen = count_processes(scrape(port))


def find_commands(folder: Path, ports: dict[str, int]) -> dict[str, list[str]]:
    """What is compared, as far as it is installed."""
    config = folder / "names.yml"
    config.write_text(NAMES, encoding="utf-8")
    address = {name: f"127.0.0.1:{port}" for name, port in ports.items()}
    off = ("--no-collector.airflow", "--no-collector.statsd", "--no-host.machine")
    flags = ("serve", *off, f"--web.listen-address={address['ours']}")
    node = f"--web.listen-address={address['prometheus-node-exporter']}"
    peer = ("-config.path", str(config), "-web.listen-address", address["prometheus-process-exporter"])
    commands = {
        "ours": [sys.executable, "-m", "exporter", *flags],
        "prometheus-process-exporter": ["prometheus-process-exporter", *peer],
        "prometheus-node-exporter": ["prometheus-node-exporter", node],
    }
    return {name: command for name, command in commands.items() if shutil.which(command[0])}


def measure(number: int, seconds: float) -> dict[str, Cost]:
    """The cost of a cycle of each, all beside the same processes."""
    with ExitStack() as stack:
        stack.enter_context(start_sleepers(number))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = {name: free_port() for name in ("ours", "prometheus-process-exporter", "prometheus-node-exporter")}
        pids = {name: stack.enter_context(start(command)) for name, command in find_commands(folder, ports).items()}
        wait_until_found(ports["ours"], int(number * OF_COMPONENTS))
        time.sleep(WARM)
        for name in pids:
            scrape(ports[name])
        before = {name: read_cpu(pid) for name, pid in pids.items()}
        cycles = max(1, round(seconds / INTERVAL))
        for _ in range(cycles):
            time.sleep(INTERVAL)
            for name in pids:
                scrape(ports[name])
        return {name: Cost((read_cpu(pid) - before[name]) / cycles, read_memory(pid)) for name, pid in pids.items()}


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.host", description=__doc__)
    parser.add_argument("--sizes", default="100,1000,3000")
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--no-goals", action="store_true", help="only measure: a missed goal is no failure")
    chosen = parser.parse_args()
    missed = False
    print("| processes | exporter | CPU per cycle, with its scrape | resident |\n| --- | --- | --- | --- |")
    for size in map(int, chosen.sizes.split(",")):
        costs = measure(size, chosen.seconds)
        for name, cost in costs.items():
            print(f"| {size} | {name} | {cost.cycle * 1000:.0f} ms | {cost.memory:.0f} MiB |", flush=True)
        peer = costs.get("prometheus-process-exporter")
        missed |= peer is not None and costs["ours"].cycle > GOAL * peer.cycle
    return 1 if missed and not chosen.no_goals else 0


if __name__ == "__main__":
    sys.exit(main())

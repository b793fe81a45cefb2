"""CPU of the host source's readings, by hand and with psutil: python -m benchmarks.host_psutil [--processes 1000]

It shows which readings may come from psutil. Each is made of the same sleeping processes, one after the other, and of
this machine. Exits with 1 if one that the exporter makes by hand is hardly more expensive with psutil.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.host import start_sleepers
from exporter.sources.host.proc import procfs
from exporter.sources.host.proc.files import ProcFiles
from exporter.sources.host.proc.machine_stats import MachineStats
from exporter.sources.host.proc.procfs import UnreadableError

PROC = Path("/proc")
ROUNDS = 5
GOAL = 1.3
"""How many times as expensive psutil must be for a reading by hand to be justified."""


class Reading(NamedTuple):
    """The same information, read in two ways."""

    name: str
    by_hand: Callable[[], object]
    with_psutil: Callable[[], object]


def scan_by_hand(files: ProcFiles) -> None:
    """What a full scan reads of each process: parent, state, CPU with that of children, threads, resident memory."""
    for pid in files.list_pids():
        with suppress(UnreadableError):
            procfs.parse_stat(files.read(pid, "stat", 1024))


def scan_with_psutil() -> None:
    """As above."""
    for process in psutil.process_iter():
        with suppress(psutil.Error), process.oneshot():
            process.ppid(), process.status(), process.cpu_times(), process.num_threads(), process.memory_info()


def read_details_by_hand(files: ProcFiles, pids: Iterable[int]) -> None:
    """What is read of Airflow's active processes beside their usage of CPU."""
    for pid in pids:
        procfs.parse_status(files.read(pid, "status", 4096))
        files.count_fds(pid)
        procfs.parse_io(files.read(pid, "io", 1024))


def read_details_with_psutil(files: ProcFiles, processes: Iterable[psutil.Process]) -> None:
    """As above, with objects that exist already. psutil has neither the peak of memory nor anonymous memory."""
    for process in processes:
        procfs.parse_status(files.read(process.pid, "status", 4096))
        with process.oneshot():
            process.num_fds(), process.io_counters()


def read_machine_by_hand() -> None:
    """The files from which psutil gets CPU, memory, swap and disks, read but hardly parsed: a lower bound."""
    for name in ("stat", "stat", "meminfo", "meminfo", "vmstat", "diskstats"):
        for line in procfs.read_file(f"/proc/{name}", 16 * procfs.MAX_FILE_BYTES).splitlines():
            line.split()


def read_machine_with_psutil(stats: MachineStats) -> None:
    """As the exporter reads them."""
    stats.read_cpu(), stats.read_memory(), stats.read_swap(), stats.read_disks()


def measure(read: Callable[[], object]) -> float:
    """CPU seconds of a reading, the best of some rounds."""
    read()
    costs = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        read()
        costs.append(time.process_time() - begun)
    return min(costs)


def list_readings() -> list[Reading]:
    """What is compared: of all processes, of our children, and of the machine."""
    files, stats = ProcFiles(PROC), MachineStats(PROC)
    processes = psutil.Process(os.getpid()).children(recursive=True)
    pids = [process.pid for process in processes]
    return [
        Reading("scan of all processes", lambda: scan_by_hand(files), scan_with_psutil),
        Reading(
            "details of Airflow's processes",
            lambda: read_details_by_hand(files, pids),
            lambda: read_details_with_psutil(files, processes),
        ),
        Reading("CPU, memory, swap, disks", read_machine_by_hand, lambda: read_machine_with_psutil(stats)),
    ]


def main() -> int:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.host_psutil", description=__doc__)
    parser.add_argument("--processes", type=int, default=1000)
    parser.add_argument("--no-goals", action="store_true", help="only measure: a missed goal is no failure")
    chosen = parser.parse_args()
    print("| reading | by hand | psutil | ratio |\n| --- | ---: | ---: | ---: |")
    ratios = []
    with start_sleepers(chosen.processes):
        for reading in list_readings():
            by_hand, with_psutil = measure(reading.by_hand), measure(reading.with_psutil)
            ratios.append(with_psutil / by_hand)
            print(f"| {reading.name} | {by_hand * 1e3:.2f} ms | {with_psutil * 1e3:.2f} ms | {ratios[-1]:.1f} |")
    # The last one comes from psutil.
    return 1 if min(ratios[:-1]) < GOAL and not chosen.no_goals else 0


if __name__ == "__main__":
    sys.exit(main())

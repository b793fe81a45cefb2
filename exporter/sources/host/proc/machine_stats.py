"""CPU, memory, swap and disks of the machine, read with psutil.

Imported only if the machine is read: psutil takes 1.5 MB of memory, which a worker without `host.machine` saves.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import NamedTuple, TypeVar

import psutil

from exporter.metrics.catalogue.host.machine import MODES
from exporter.sources.host.proc.procfs import MalformedError, convert_error

T = TypeVar("T")
VIRTUAL_DISK = re.compile(r"(?:loop|ram|zram|fd|sr)\d+\Z")
PARTITION = re.compile(r"(?:(?:[hsv]|xv)d[a-z]+|nvme\d+n\d+p|mmcblk\d+p)\d+\Z")
"""Names of partitions. A whole disk with such a name has no parent in the list of disks."""
RESET_SECONDS = 3.0
"""Seconds for each CPU by which a mode falls only if counting began again, as after a machine was restored."""


class Cpu(NamedTuple):
    """Seconds by mode, summed over all CPUs, and the number of online CPUs."""

    modes: dict[str, float]
    number: int


class MemoryStats(NamedTuple):
    """Bytes. `used` is the rest of the total; `cached` includes reclaimable slab memory."""

    used: int
    free: int
    buffers: int
    cached: int
    available: int


class Swap(NamedTuple):
    """Bytes."""

    used: int
    free: int


class Disk(NamedTuple):
    """Totals of a disk since the machine booted."""

    reads: int
    read_bytes: int
    read_seconds: float
    writes: int
    written_bytes: int
    write_seconds: float
    busy_seconds: float


class CpuCorrector:
    """Keeps the CPU time of each mode from going backwards.

    The kernel at times corrects idle and iowait downwards by fractions of a second. Prometheus would take that for a
    counter that began again at 0, and add all that it ever counted.
    """

    def __init__(self) -> None:
        self._highest: dict[str, float] = {}

    def correct(self, cpu: Cpu) -> Cpu:
        """The highest times so far; the times as they were read if one of them began again."""
        before = {mode: self._highest.get(mode, 0.0) for mode in cpu.modes}
        limit = RESET_SECONDS * max(1, cpu.number)
        if any(before[mode] - seconds > limit for mode, seconds in cpu.modes.items()):
            before = dict(cpu.modes)
        self._highest = {mode: max(seconds, before[mode]) for mode, seconds in cpu.modes.items()}
        return cpu._replace(modes=self._highest)


class MachineStats:
    """Reads the files of one /proc. There is one instance at a time because psutil's path is global."""

    def __init__(self, procfs_root: Path) -> None:
        psutil.PROCFS_PATH = str(procfs_root)

    def read_cpu(self) -> Cpu:
        """CPU time. Guests are part of user and nice. Raises UnreadableError, MalformedError."""
        times, number = call(lambda: (psutil.cpu_times(), len(psutil.cpu_times(percpu=True))), "stat")
        return Cpu({mode: getattr(times, mode, 0.0) for mode in MODES}, number)

    def read_memory(self) -> MemoryStats:
        """Physical memory. Raises UnreadableError, MalformedError."""
        found = call(psutil.virtual_memory, "meminfo")
        # psutil's own `used` is total - available: with it the states would not add up to the total.
        used = max(0, found.total - found.free - found.buffers - found.cached)
        return MemoryStats(used, found.free, found.buffers, found.cached, found.available)

    def read_swap(self) -> Swap:
        """Swap space. Raises UnreadableError, MalformedError."""
        found = call(psutil.swap_memory, "meminfo")
        return Swap(found.used, found.free)

    def read_disks(self) -> dict[str, Disk]:
        """Whole disks by name; partitions are part of a disk. Raises UnreadableError, MalformedError."""
        # nowrap=False: psutil would otherwise change the kernel's numbers after a counter wraps.
        found = call(lambda: psutil.disk_io_counters(perdisk=True, nowrap=False), "diskstats")
        return {
            name: Disk(
                one.read_count, one.read_bytes, one.read_time / 1000,
                one.write_count, one.write_bytes, one.write_time / 1000, one.busy_time / 1000,
            )
            for name, one in found.items() if not VIRTUAL_DISK.match(name) and not is_partition(name, found)
        }  # fmt: skip


def call(read: Callable[[], T], file: str) -> T:
    """Call a function of psutil; what it raises for a file that no kernel writes differs by function."""
    try:
        return read()
    except OSError as error:
        raise convert_error(error) from error
    except (ArithmeticError, LookupError, TypeError, ValueError, NotImplementedError) as error:
        raise MalformedError(file) from error


def is_partition(name: str, disks: Collection[str]) -> bool:
    """Whether the name is that of a partition of one of the disks."""
    return bool(PARTITION.match(name)) and name.rstrip("0123456789").removesuffix("p") in {
        other.removesuffix("p") for other in disks
    }


def compute_cpu_usage(before: Cpu, now: Cpu) -> float | None:
    """Share of CPU time that was busy between two readings; None if no time passed."""
    idle = sum(max(0.0, now.modes[mode] - before.modes[mode]) for mode in ("idle", "iowait"))
    total = sum(max(0.0, now.modes[mode] - before.modes[mode]) for mode in MODES)
    return (total - idle) / total if total > 0 else None

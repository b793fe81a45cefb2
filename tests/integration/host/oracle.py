"""The parsers of stat, meminfo and diskstats that the exporter had before psutil, to compare psutil with."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

MODES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
SECTOR = 512
"""Bytes of a sector of /proc/diskstats, for every disk."""
VIRTUAL_DISK = re.compile(r"(?:loop|ram|zram|fd|sr)\d+\Z")
PARTITION = re.compile(r"(?:(?:[hsv]|xv)d[a-z]+|nvme\d+n\d+p|mmcblk\d+p)\d+\Z")


class Disk(NamedTuple):
    """Totals of a disk since the machine booted."""

    reads: int
    read_bytes: int
    read_seconds: float
    writes: int
    written_bytes: int
    write_seconds: float
    busy_seconds: float


def parse_cpu(text: bytes) -> tuple[dict[str, float], int]:
    """Seconds by mode, and the number of CPUs."""
    lines = [line.split() for line in text.splitlines() if line.startswith(b"cpu")]
    total = [int(ticks) / TICKS_PER_SECOND for ticks in lines[0][1 : len(MODES) + 1]]
    return dict(zip(MODES, total, strict=True)), len(lines) - 1


def parse_memory(text: bytes) -> dict[str, int]:
    """/proc/meminfo in bytes."""
    fields = [line.split() for line in text.decode().splitlines()]
    return {name.rstrip(":"): int(value) * 1024 for name, value, *unit in fields if unit == ["kB"]}


def parse_disks(text: bytes) -> dict[str, Disk]:
    """Whole disks by name."""
    found = {}
    for line in text.decode().splitlines():
        fields = line.split()
        reads, _, sectors_read, read_ms, writes, _, sectors_written, write_ms, _, busy_ms = map(int, fields[3:13])
        found[fields[2]] = Disk(
            reads, sectors_read * SECTOR, read_ms / 1000,
            writes, sectors_written * SECTOR, write_ms / 1000, busy_ms / 1000,
        )  # fmt: skip
    return {
        name: disk for name, disk in found.items() if not VIRTUAL_DISK.match(name) and not is_partition(name, found)
    }


def is_partition(name: str, disks: dict[str, Disk]) -> bool:
    return bool(PARTITION.match(name)) and name.rstrip("0123456789").removesuffix("p") in {
        other.removesuffix("p") for other in disks
    }

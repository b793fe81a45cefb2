"""What the files of /proc and of control groups say of the machine: pure functions of their contents."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from exporter.metrics.catalogue.host.machine import MODES
from exporter.sources.host.proc.procfs import KIBIBYTE, TICKS_PER_SECOND, MalformedError, parse_fields

SECTOR = 512
"""Bytes of what /proc/diskstats calls a sector, whatever the disk's are."""
VIRTUAL_DISK = re.compile(r"(?:loop|ram|zram|fd|sr)\d+\Z")
PARTITION = re.compile(r"(?:(?:[hsv]|xv)d[a-z]+|nvme\d+n\d+p|mmcblk\d+p)\d+\Z")
"""Partitions by their names; a whole disk that is named so has no parent among the others."""
LOCAL_FILESYSTEMS = frozenset(
    {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "vfat", "overlay", "tmpfs", "bcachefs", "jfs"}
)
"""Filesystems whose figures are asked for. One over the network may take minutes to answer, or for ever."""
IGNORED_MOUNTS = ("/proc", "/sys", "/dev", "/run", "/var/lib/docker/", "/var/lib/containers/", "/var/lib/kubelet/")
ESCAPE = re.compile(rb"\\([0-7]{3})")
UNLIMITED = 2**60
"""From so many bytes on, a limit of version 1 is none."""


class Cpu(NamedTuple):
    """Seconds of all CPUs by mode, and how many CPUs there are."""

    modes: dict[str, float]
    number: int


class Disk(NamedTuple):
    """What a disk did since the start."""

    reads: int
    read_bytes: int
    read_seconds: float
    writes: int
    written_bytes: int
    write_seconds: float
    busy_seconds: float


class Mount(NamedTuple):
    """A mounted filesystem."""

    device: str
    point: str
    fstype: str


class Pressure(NamedTuple):
    """Seconds in which some, and in which all processes waited; None where the kernel does not tell."""

    some: float | None
    full: float | None


def parse_cpu(text: bytes) -> Cpu:
    """Guests are part of user and nice already. Raises MalformedError."""
    lines = [line.split() for line in text.splitlines() if line.startswith(b"cpu")]
    try:
        total = [int(ticks) / TICKS_PER_SECOND for ticks in lines[0][1 : len(MODES) + 1]]
        return Cpu(dict(zip(MODES, total, strict=True)), len(lines) - 1)
    except (IndexError, ValueError) as error:
        raise MalformedError("stat") from error


def compute_cpu_usage(before: Cpu, now: Cpu) -> float | None:
    """The busy part of the time between two readings; None where no time passed."""
    idle = sum(max(0.0, now.modes[mode] - before.modes[mode]) for mode in ("idle", "iowait"))
    whole = sum(max(0.0, now.modes[mode] - before.modes[mode]) for mode in MODES)
    return (whole - idle) / whole if whole > 0 else None


def parse_load(text: bytes) -> tuple[float, float, float]:
    """Raises MalformedError."""
    try:
        one, five, fifteen = map(float, text.split()[:3])
    except ValueError as error:
        raise MalformedError("loadavg") from error
    return one, five, fifteen


def parse_numbers(text: bytes, separator: bytes = b" ") -> dict[str, int]:
    """Names and whole numbers line by line, as in vmstat and memory.stat; what is no number is left out."""
    fields = parse_fields(text, separator)
    return {name.decode("ascii", "replace"): int(value) for name, value in fields.items() if value.isdigit()}


def parse_memory(text: bytes) -> dict[str, int]:
    """/proc/meminfo in bytes. Raises MalformedError."""
    fields = parse_fields(text, b":")
    found = {name.decode(): value.split() for name, value in fields.items() if name.isascii()}
    memory = {
        name: int(value[0]) * KIBIBYTE for name, value in found.items() if value[1:] == [b"kB"] and value[0].isdigit()
    }
    if not {"MemTotal", "MemFree"} <= memory.keys():
        raise MalformedError("meminfo")
    return memory


def parse_disks(text: bytes) -> dict[str, Disk]:
    """Whole disks by name: partitions are part of one. Raises MalformedError."""
    found = {}
    for line in text.splitlines():
        fields = line.split()
        try:
            name = fields[2].decode("ascii", "replace")
            reads, _, sectors_read, read_ms, writes, _, sectors_written, write_ms, _, busy_ms = map(int, fields[3:13])
        except (IndexError, ValueError) as error:
            raise MalformedError("diskstats") from error
        found[name] = Disk(
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


def parse_mounts(text: bytes) -> Iterator[Mount]:
    """The filesystems on disks of this machine; each device once, where it was mounted first."""
    seen: set[str] = set()
    for line in text.splitlines():
        fields = [unescape(field) for field in line.split()[:3]]
        if len(fields) < 3:
            continue
        mount = Mount(*fields)
        name = mount.device if mount.device.startswith("/") else f"{mount.device} {mount.point}"
        if mount.fstype in LOCAL_FILESYSTEMS and not mount.point.startswith(IGNORED_MOUNTS) and name not in seen:
            seen.add(name)
            yield mount


def unescape(field: bytes) -> str:
    """Mount points are written with spaces and such as octal numbers."""
    return ESCAPE.sub(lambda match: bytes([int(match[1], 8) & 255]), field).decode(errors="replace")


def parse_pressure(text: bytes) -> Pressure:
    """The kernel counts microseconds."""
    found: dict[bytes, float] = {}
    for line in text.splitlines():
        kind, _, rest = line.partition(b" ")
        total = rest.rpartition(b"total=")[2]
        if total.isdigit():
            found[kind] = int(total) / 1e6
    return Pressure(found.get(b"some"), found.get(b"full"))


def parse_limit(text: bytes) -> float:
    """A limit in bytes, infinite where there is none. Raises MalformedError."""
    word = text.strip()
    if word in (b"max", b"-1"):
        return math.inf
    if not word.isdigit():
        raise MalformedError("limit")
    return math.inf if int(word) >= UNLIMITED else int(word)


def parse_quota(text: bytes) -> float:
    """CPUs, from `QUOTA PERIOD` in microseconds; infinite where there is no quota. Raises MalformedError."""
    try:
        quota, period = text.split()[:2]
        return math.inf if quota in (b"max", b"-1") else int(quota) / int(period)
    except (ValueError, ZeroDivisionError) as error:
        raise MalformedError("cpu.max") from error


def parse_cgroups(text: bytes) -> dict[str, str]:
    """The group of a process for each controller of version 1; that of version 2 under the empty name."""
    found = {}
    for line in text.decode(errors="replace").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if path.startswith("/"):
            found.update(dict.fromkeys(controllers.split(","), path))
    return found

"""Parsers of the machine's files that psutil cannot read: pure functions of their contents.

- loadavg: `psutil.getloadavg` always reads /proc, not the /proc that `path.procfs` names.
- mounts, net/dev: psutil reads those of the exporter's own namespaces; in a container the host's are those of PID 1.
  `psutil.disk_usage` has no inodes.
- vmstat: psutil has no count of OOM kills, and takes the size of a page to be 4 KiB.
- pressure, cgroups: psutil has neither.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from exporter.sources.host.proc.procfs import MalformedError, parse_fields

LOCAL_FILESYSTEMS = frozenset(
    {"ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs", "vfat", "overlay", "tmpfs", "bcachefs", "jfs"}
)
"""Filesystem types that are read. A network filesystem may take minutes to answer, or never answer."""
IGNORED_MOUNTS = ("/proc/", "/sys/", "/dev/", "/run/")
"""Mount points that are ignored with all below them. `/devdata` is not below `/dev`."""
CONTAINER_MOUNTS = ("/var/lib/docker/", "/var/lib/containers/", "/var/lib/kubelet/")
"""Below these are the filesystems of containers; what is mounted there itself is a disk like others."""
ESCAPE = re.compile(rb"\\([0-7]{3})")
MAX_CGROUP_TEXTS = 200
"""Different contents of /proc/PID/cgroup whose groups are cached."""
UNLIMITED = 2**60
"""Bytes. With cgroup v1 the kernel writes a number above this if there is no limit."""


class Mount(NamedTuple):
    """A mounted filesystem."""

    device: str
    point: str
    fstype: str


class Pressure(NamedTuple):
    """Seconds in which some processes, and in which all processes waited; None if the kernel does not report it."""

    some: float | None
    full: float | None


def parse_load(text: bytes) -> tuple[float, float, float]:
    """Load averages over 1, 5 and 15 minutes, from loadavg. Raises MalformedError."""
    try:
        one, five, fifteen = map(float, text.split()[:3])
    except ValueError as error:
        raise MalformedError("loadavg") from error
    return one, five, fifteen


def parse_numbers(text: bytes, separator: bytes = b" ") -> dict[str, int]:
    """Integers by name, one per line, as in vmstat and memory.stat. Other lines are skipped."""
    fields = parse_fields(text, separator)
    return {name.decode("ascii", "replace"): int(value) for name, value in fields.items() if value.isdigit()}


def parse_mounts(text: bytes) -> Iterator[Mount]:
    """Local filesystems, from mounts; each device once, at its first mount point."""
    seen: set[str] = set()
    for line in text.splitlines():
        fields = [unescape(field) for field in line.split()[:3]]
        if len(fields) < 3:
            continue
        mount = Mount(*fields)
        name = mount.device if mount.device.startswith("/") else f"{mount.device} {mount.point}"
        if mount.fstype in LOCAL_FILESYSTEMS and not is_ignored(mount.point) and name not in seen:
            seen.add(name)
            yield mount


def is_ignored(point: str) -> bool:
    """Whether a mount point belongs to the kernel or to a container."""
    return f"{point}/".startswith(IGNORED_MOUNTS) or point.startswith(CONTAINER_MOUNTS)


def unescape(field: bytes) -> str:
    """Decode a field of mounts; the kernel writes spaces and other special characters as octal numbers."""
    return ESCAPE.sub(lambda match: bytes([int(match[1], 8) & 255]), field).decode(errors="replace")


def parse_pressure(text: bytes) -> Pressure:
    """Pressure stall information (PSI). The kernel counts microseconds."""
    found: dict[bytes, float] = {}
    for line in text.splitlines():
        kind, _, rest = line.partition(b" ")
        total = rest.rpartition(b"total=")[2]
        if total.isdigit():
            found[kind] = int(total) / 1e6
    return Pressure(found.get(b"some"), found.get(b"full"))


def parse_limit(text: bytes) -> float:
    """A limit in bytes; infinite if there is none. Raises MalformedError."""
    word = text.strip()
    if word in (b"max", b"-1"):
        return math.inf
    if not word.isdigit():
        raise MalformedError("limit")
    return math.inf if int(word) >= UNLIMITED else int(word)


def parse_quota(text: bytes) -> float:
    """CPUs, from `QUOTA PERIOD` in microseconds; infinite if there is no quota. Raises MalformedError."""
    try:
        quota, period = text.split()[:2]
        return math.inf if quota in (b"max", b"-1") else int(quota) / int(period)
    except (ValueError, ZeroDivisionError) as error:
        raise MalformedError("cpu.max") from error


@lru_cache(maxsize=MAX_CGROUP_TEXTS)
def parse_cgroups(text: bytes) -> Mapping[str, str]:
    """Control groups of a process by v1 controller, from /proc/PID/cgroup; the v2 group has the empty name.

    Cached, because most processes are in the same groups.
    """
    found: dict[str, str] = {}
    for line in text.decode(errors="replace").splitlines():
        _, controllers, path = (*line.split(":", 2), "", "")[:3]
        if path.startswith("/"):
            found.update(dict.fromkeys(controllers.split(","), path))
    return found

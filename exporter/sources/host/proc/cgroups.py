"""Limits and usage of the control groups in which Airflow runs, of cgroup v1 and v2. psutil does not read them.

The label is the path of the group in `/proc/PID/cgroup`; it is `/` at the root of the exporter's cgroup namespace. A
group outside of that namespace has its path below the mounted hierarchy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from exporter.metrics.catalogue.host import machine
from exporter.metrics.family import Family
from exporter.sources.host.proc import machine_files, procfs
from exporter.sources.host.proc.cgroup_paths import CgroupPaths, Place
from exporter.sources.host.proc.procfs import MalformedError, UnreadableError

CgroupValues = dict[Family, float]
Read = Callable[[Place, Mapping[str, str]], Iterator[tuple[Family, float]]]
MAX_CGROUPS = 100
"""Maximum number of groups that are read."""


class CgroupReading(NamedTuple):
    """Values by path of the group, and why others are not readable: some of `machine.REASONS`."""

    values: dict[str, CgroupValues]
    unreadable: frozenset[str]


class CgroupReader:
    """Reads control groups under a folder such as /sys/fs/cgroup."""

    def __init__(self, root: Path) -> None:
        self._paths = CgroupPaths(root)

    def set_view(self, own: Mapping[str, str], mounts: bytes) -> None:
        """Set how this process sees control groups: its own groups, and the text of its mountinfo."""
        self._paths.set_view(own, mounts)

    def read(self, memberships: Iterable[Mapping[str, str]]) -> CgroupReading:
        """Read each distinct group once."""
        found: dict[str, CgroupValues] = {}
        unreadable = set()
        for paths in islice(list_distinct(memberships), MAX_CGROUPS):
            for controller, read in (self._select_memory(paths), self._select_cpu(paths)):
                place = self._paths.locate(controller, paths.get(controller, "/"))
                values = dict(read(place, paths)) if place else {}
                if place and values:
                    found[place.path] = found.get(place.path, {}) | values
                else:
                    unreadable.add("missing" if place else "namespace")
        return CgroupReading(found, frozenset(unreadable))

    def _select_memory(self, paths: Mapping[str, str]) -> tuple[str, Read]:
        """The controller that limits memory. In v1 each controller has separate groups."""
        return ("memory", self._read_memory_v1) if "memory" in paths else ("", self._read_memory)

    def _select_cpu(self, paths: Mapping[str, str]) -> tuple[str, Read]:
        return ("cpu", self._read_cpu_v1) if "cpu" in paths else ("", self._read_cpu)

    def _read_memory(self, place: Place, _: Mapping[str, str]) -> Iterator[tuple[Family, float]]:
        yield from read_limit(machine.CGROUP_MEMORY_LIMIT, place, "memory.max", machine_files.parse_limit)
        used, stat = read_numbers(place.folder / "memory.current"), read_numbers(place.folder / "memory.stat")
        yield from yield_memory(used, stat.get("inactive_file", 0))
        yield from yield_number(read_numbers(place.folder / "memory.events"), machine.CGROUP_OOM_KILLS, "oom_kill")

    def _read_memory_v1(self, place: Place, _: Mapping[str, str]) -> Iterator[tuple[Family, float]]:
        yield from read_limit(machine.CGROUP_MEMORY_LIMIT, place, "memory.limit_in_bytes", machine_files.parse_limit)
        used, stat = read_numbers(place.folder / "memory.usage_in_bytes"), read_numbers(place.folder / "memory.stat")
        yield from yield_memory(used, stat.get("total_inactive_file", 0))
        yield from yield_number(read_numbers(place.folder / "memory.oom_control"), machine.CGROUP_OOM_KILLS, "oom_kill")

    def _read_cpu(self, place: Place, _: Mapping[str, str]) -> Iterator[tuple[Family, float]]:
        yield from read_limit(machine.CGROUP_CPU_LIMIT, place, "cpu.max", machine_files.parse_quota)
        stat = read_numbers(place.folder / "cpu.stat")
        yield from yield_number(stat, machine.CGROUP_CPU, "usage_usec", 1e6)
        yield from yield_number(stat, machine.CGROUP_THROTTLED, "throttled_usec", 1e6)
        yield from yield_periods(stat)

    def _read_cpu_v1(self, place: Place, paths: Mapping[str, str]) -> Iterator[tuple[Family, float]]:
        yield from read_limit(machine.CGROUP_CPU_LIMIT, place, "cpu.cfs_quota_us", machine_files.parse_quota)
        accounting = self._paths.locate("cpuacct", paths.get("cpuacct", "/"))
        if accounting:
            yield from yield_number(read_numbers(accounting.folder / "cpuacct.usage"), machine.CGROUP_CPU, "", 1e9)
        stat = read_numbers(place.folder / "cpu.stat")
        yield from yield_number(stat, machine.CGROUP_THROTTLED, "throttled_time", 1e9)
        yield from yield_periods(stat)


def read_limit(
    family: Family, place: Place, file: str, parse: Callable[[bytes], float]
) -> Iterator[tuple[Family, float]]:
    """The lowest limit of a group and its visible ancestors; +Inf if none of them has a limit."""
    if not place.folder.is_dir():
        return
    limits = []
    for level in place.list_levels():
        text = read_text(level / file)
        if text is not None and file == "cpu.cfs_quota_us":
            text += b" " + (read_text(level / "cpu.cfs_period_us") or b"100000")
        try:
            limits.append(math.inf if text is None else parse(text))
        except MalformedError:
            continue
    yield family, min(limits, default=math.inf)


def list_distinct(memberships: Iterable[Mapping[str, str]]) -> Iterator[Mapping[str, str]]:
    seen = set()
    for paths in memberships:
        key = tuple(sorted(paths.items()))
        if key not in seen:
            seen.add(key)
            yield paths


def read_text(path: Path) -> bytes | None:
    """None if the file does not exist. Raises UnreadableError if it may exist: then a limit is not known to be +Inf."""
    try:
        return procfs.read_file(str(path))
    except UnreadableError as error:
        if error.reason == "failed":
            raise
        return None


def read_numbers(path: Path) -> dict[str, int]:
    """Numbers of a file by name; a single number has the empty name. Empty if there is no file."""
    text = (read_text(path) or b"").strip()
    return {"": int(text)} if text.isdigit() else machine_files.parse_numbers(text)


def yield_number(found: dict[str, int], family: Family, name: str, per: float = 1) -> Iterator[tuple[Family, float]]:
    if name in found:
        yield family, found[name] / per if per != 1 else found[name]


def yield_memory(used: dict[str, int], inactive: int) -> Iterator[tuple[Family, float]]:
    if "" in used:
        yield machine.CGROUP_MEMORY, used[""]
        yield machine.CGROUP_WORKING_SET, max(0, used[""] - inactive)


def yield_periods(stat: dict[str, int]) -> Iterator[tuple[Family, float]]:
    yield from yield_number(stat, machine.CGROUP_PERIODS, "nr_periods")
    yield from yield_number(stat, machine.CGROUP_THROTTLED_PERIODS, "nr_throttled")

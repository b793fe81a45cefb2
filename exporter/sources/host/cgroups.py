"""The control groups in which Airflow runs, of version 1 and 2: their limits and what they use of them.

The label is the group's path as the process shows it. In a container with a namespace of its own that is `/`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path, PurePosixPath

from exporter.catalogue import host
from exporter.family import Family
from exporter.sources.host import kernel, procfs
from exporter.sources.host.procfs import MalformedError, UnreadableError

Figures = dict[Family, float]
MOST = 100
"""Groups that are read at most."""


class Groups:
    """Reads control groups under a folder such as /sys/fs/cgroup."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._unified = root if (root / "cgroup.controllers").exists() else root / "unified"

    def read(self, memberships: Iterable[Mapping[str, str]]) -> dict[str, Figures]:
        """The figures of each distinct group, by its path. Raises UnreadableError where not one can be read."""
        found: dict[str, Figures] = {}
        for paths in islice(distinct(memberships), MOST):
            for path, figures in (self._read_memory_of(paths), self._read_cpu_of(paths)):
                found[path] = found.get(path, {}) | dict(figures)
        readable = {path: figures for path, figures in found.items() if figures}
        if found and not readable:
            raise UnreadableError("missing")
        return readable

    def _read_memory_of(self, paths: Mapping[str, str]) -> tuple[str, Iterator[tuple[Family, float]]]:
        """The group that limits memory: with version 1 each controller has groups of its own."""
        if "memory" in paths:
            return paths["memory"], self._read_memory_v1(paths["memory"])
        return paths.get("", "/"), self._read_memory(paths.get("", "/"))

    def _read_cpu_of(self, paths: Mapping[str, str]) -> tuple[str, Iterator[tuple[Family, float]]]:
        if "cpu" in paths:
            return paths["cpu"], self._read_cpu_v1(paths)
        return paths.get("", "/"), self._read_cpu(paths.get("", "/"))

    def _read_memory(self, path: str) -> Iterator[tuple[Family, float]]:
        folder = self._unified / path.lstrip("/")
        yield from self._limit(host.CGROUP_MEMORY_LIMIT, self._unified, path, "memory.max", kernel.parse_limit)
        used, stat = numbers(folder / "memory.current"), numbers(folder / "memory.stat")
        yield from describe_memory(used, stat.get("inactive_file", 0))
        yield from pick(numbers(folder / "memory.events"), host.CGROUP_OOM_KILLS, "oom_kill")

    def _read_memory_v1(self, path: str) -> Iterator[tuple[Family, float]]:
        root = self._root / "memory"
        folder = root / path.lstrip("/")
        yield from self._limit(host.CGROUP_MEMORY_LIMIT, root, path, "memory.limit_in_bytes", kernel.parse_limit)
        used, stat = numbers(folder / "memory.usage_in_bytes"), numbers(folder / "memory.stat")
        yield from describe_memory(used, stat.get("total_inactive_file", 0))
        yield from pick(numbers(folder / "memory.oom_control"), host.CGROUP_OOM_KILLS, "oom_kill")

    def _read_cpu(self, path: str) -> Iterator[tuple[Family, float]]:
        yield from self._limit(host.CGROUP_CPU_LIMIT, self._unified, path, "cpu.max", kernel.parse_quota)
        stat = numbers(self._unified / path.lstrip("/") / "cpu.stat")
        yield from pick(stat, host.CGROUP_CPU, "usage_usec", 1e6)
        yield from pick(stat, host.CGROUP_THROTTLED, "throttled_usec", 1e6)
        yield from describe_periods(stat)

    def _read_cpu_v1(self, paths: Mapping[str, str]) -> Iterator[tuple[Family, float]]:
        root = self._root / "cpu"
        folder = root / paths["cpu"].lstrip("/")
        yield from self._limit(host.CGROUP_CPU_LIMIT, root, paths["cpu"], "cpu.cfs_quota_us", kernel.parse_quota)
        usage = numbers(self._root / "cpuacct" / paths.get("cpuacct", "/").lstrip("/") / "cpuacct.usage")
        yield from pick(usage, host.CGROUP_CPU, "", 1e9)
        stat = numbers(folder / "cpu.stat")
        yield from pick(stat, host.CGROUP_THROTTLED, "throttled_time", 1e9)
        yield from describe_periods(stat)

    def _limit(
        self, family: Family, root: Path, path: str, file: str, parse: Callable[[bytes], float]
    ) -> Iterator[tuple[Family, float]]:
        """The lowest limit of the group and of those above it that can be seen; +Inf where none has the file."""
        where = PurePosixPath("/", path.lstrip("/"))
        limits = []
        for level in (where, *where.parents):
            text = read_text(root / str(level).lstrip("/") / file)
            if text is not None and file == "cpu.cfs_quota_us":
                text += b" " + (read_text(root / str(level).lstrip("/") / "cpu.cfs_period_us") or b"100000")
            try:
                limits.append(math.inf if text is None else parse(text))
            except MalformedError:
                continue
        if (root / path.lstrip("/")).is_dir():
            yield family, min(limits, default=math.inf)


def distinct(memberships: Iterable[Mapping[str, str]]) -> Iterator[Mapping[str, str]]:
    seen = set()
    for paths in memberships:
        key = tuple(sorted(paths.items()))
        if key not in seen:
            seen.add(key)
            yield paths


def read_text(path: Path) -> bytes | None:
    """None where there is no such file. Raises UnreadableError where it may be there: no limit is not +Inf then."""
    try:
        return procfs.read(str(path))
    except UnreadableError as error:
        if error.reason == "failed":
            raise
        return None


def numbers(path: Path) -> dict[str, int]:
    """Names and numbers of a file; a lone number has the empty name; nothing where there is no file."""
    text = (read_text(path) or b"").strip()
    return {"": int(text)} if text.isdigit() else kernel.parse_numbers(text)


def pick(found: dict[str, int], family: Family, name: str, per: float = 1) -> Iterator[tuple[Family, float]]:
    if name in found:
        yield family, found[name] / per if per != 1 else found[name]


def describe_memory(used: dict[str, int], inactive: int) -> Iterator[tuple[Family, float]]:
    if "" in used:
        yield host.CGROUP_MEMORY, used[""]
        yield host.CGROUP_WORKING_SET, max(0, used[""] - inactive)


def describe_periods(stat: dict[str, int]) -> Iterator[tuple[Family, float]]:
    yield from pick(stat, host.CGROUP_PERIODS, "nr_periods")
    yield from pick(stat, host.CGROUP_THROTTLED_PERIODS, "nr_throttled")

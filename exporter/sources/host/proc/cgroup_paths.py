"""Finds a control group of `/proc/PID/cgroup` below a mounted hierarchy.

Both that file and the root of a mount in `/proc/self/mountinfo` are relative to the cgroup namespace of the process
that reads them: a group outside of it has a path such as `/../other`. With Docker on cgroup v2 and in Kubernetes each
container has its own namespace.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from exporter.sources.host.proc.machine_files import unescape

UP = ".."
MAX_SEARCHED_GROUPS = 20_000
"""Maximum number of groups in which the exporter's process is searched, to find the root of its namespace."""

FILESYSTEMS = ("cgroup", "cgroup2")


class CgroupMount(NamedTuple):
    """A line of `/proc/self/mountinfo`: the mounted group and its mount point."""

    root: str
    point: str


class Place(NamedTuple):
    """A group: its path in the label, the folder of its hierarchy, and its own folder."""

    path: str
    root: Path
    folder: Path

    def list_levels(self) -> Iterator[Path]:
        """The folder of the group and those above it, up to the root of the mounted hierarchy."""
        yield self.folder
        if self.folder != self.root:
            yield from (level for level in self.folder.parents if level.is_relative_to(self.root))


class CgroupPaths:
    """The hierarchies under a folder such as /sys/fs/cgroup, by controller. That of v2 has the empty name."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._unified = root if (root / "cgroup.controllers").exists() else root / "unified"
        self._own: Mapping[str, str] = {}
        self._mounts: bytes | None = None
        self._hierarchies: dict[str, Hierarchy] = {}

    def set_view(self, own: Mapping[str, str], mounts: bytes) -> None:
        """Set how this process sees control groups: its own groups, and the text of `/proc/self/mountinfo`."""
        if (own, mounts) != (self._own, self._mounts):
            self._own, self._mounts = own, mounts
            self._hierarchies.clear()

    def locate(self, controller: str, path: str) -> Place | None:
        """A group in the hierarchy of a controller; None if it is outside of the mounted hierarchy."""
        hierarchy = self._hierarchies.get(controller)
        if hierarchy is None:
            folder = self._root / controller if controller else self._unified
            root = find_mount_root(parse_mountinfo(self._mounts or b""), folder)
            hierarchy = self._hierarchies[controller] = Hierarchy(folder, root, self._own.get(controller, "/"))
        return hierarchy.locate(path)


class Hierarchy:
    """One mounted hierarchy. `root` is the root of its mount, `own` the exporter's group, as the exporter sees them."""

    def __init__(self, folder: Path, root: str = "/", own: str = "/") -> None:
        self.folder = folder
        self._root_up, self._root_names = split(root)
        self._own_up, self._own_names = split(own)
        self._above: tuple[str, ...] | None = None

    def locate(self, path: str) -> Place | None:
        """A group; None if it is outside of the hierarchy, or if the exporter's namespace is not found in it."""
        up, names = split(path)
        below = self._find_below(up, names)
        if below is None:
            return None
        # The label shows a path from the root of the namespace: `/../other` would mean nothing to an operator.
        return Place("/" + "/".join(below) if up else path, self.folder, self.folder.joinpath(*below))

    def _find_below(self, up: int, names: tuple[str, ...]) -> tuple[str, ...] | None:
        """Names of the folders from the root of the mount to a group."""
        if up == self._root_up:
            length = len(self._root_names)
            return names[length:] if names[:length] == self._root_names else None
        if up > self._root_up or self._root_names or self._own_up >= self._root_up:
            return None
        above = self._find_above()[: self._root_up - up]
        return above + names if len(above) == self._root_up - up else None

    def _find_above(self) -> tuple[str, ...]:
        """Names of the folders from the root of the mount to the root of the exporter's namespace."""
        if self._above is None:
            depth = self._root_up - self._own_up
            pattern = "/".join(("*",) * depth + self._own_names)
            found = find_folder_of(os.getpid(), islice(self.folder.glob(pattern), MAX_SEARCHED_GROUPS))
            self._above = found.relative_to(self.folder).parts[:depth] if found else ()
        return self._above


def split(path: str) -> tuple[int, tuple[str, ...]]:
    """How many levels a path goes up, and the names below."""
    names = tuple(name for name in path.split("/") if name)
    up = 0
    while up < len(names) and names[up] == UP:
        up += 1
    return up, names[up:]


def find_folder_of(pid: int, folders: Iterable[Path]) -> Path | None:
    """The group that lists a process. The kernel writes pids of the reader's PID namespace."""
    wanted = str(pid)
    for folder in folders:
        try:
            if wanted in (folder / "cgroup.procs").read_text().split():
                return folder
        except OSError:
            # The group was removed, or the pattern matched a file.
            continue
    return None


def parse_mountinfo(text: bytes) -> Iterator[CgroupMount]:
    """Mounted hierarchies of both versions, in the order of mounting."""
    for line in text.splitlines():
        before, _, after = line.partition(b" - ")
        fields = before.split()
        if len(fields) >= 5 and after.split(b" ", 1)[0].decode(errors="replace") in FILESYSTEMS:
            yield CgroupMount(unescape(fields[3]), unescape(fields[4]))


def find_mount_root(mounts: Iterable[CgroupMount], folder: Path) -> str:
    """The root of the mount at a folder; `/` if unknown. A later mount hides earlier ones."""
    where = os.path.realpath(folder)
    roots = [mount.root for mount in mounts if mount.point == where]
    return roots[-1] if roots else "/"

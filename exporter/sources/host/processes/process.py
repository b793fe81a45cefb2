"""A process as it was at the last scan."""

from __future__ import annotations

from typing import NamedTuple

from exporter.sources.host.proc.procfs import GONE, Stat, UnreadableError
from exporter.sources.host.processes.owners import Owner
from exporter.sources.host.processes.titles import ProcessTitle

ALL_READABLE: dict[str, str] = {}
"""Shared by all processes without unreadable files, to save memory. It stays empty."""
SLOW_SCAN_EVERY = 6
"""Values that rarely change are read in one of this many scans."""


class PssReading(NamedTuple):
    """When proportional memory was read, and what the process was like then."""

    cycle: int
    rss: int
    """Resident pages; -1 to read it again in any case."""
    faults: int


NEVER_READ = PssReading(-1, -1, 0)


class Process:
    """One process, identified by pid and start time."""

    __slots__ = (
        "anonymous",
        "baseline_anonymous",
        "children_ended",
        "children_ticks",
        "cmdline_hash",
        "depth",
        "details_read_at",
        "details_stale",
        "fd_limit",
        "fds",
        "helper",
        "network_namespace",
        "owner",
        "previous_title",
        "pss",
        "pss_read",
        "read_bytes",
        "scans",
        "stat",
        "stat_hash",
        "switches",
        "title",
        "unreadable",
        "was_active",
        "written_bytes",
    )

    def __init__(self, stat: Stat) -> None:
        self.stat = stat
        self.stat_hash = 0
        """Hash of the text of `stat`: an unchanged text is not parsed again."""
        self.children_ticks = stat.children_ticks
        """CPU of finished children that is already counted, in ticks."""
        self.read_bytes: int | None = None
        self.written_bytes: int | None = None
        """Disk traffic that is already counted, in bytes; None until /proc/PID/io was read."""
        self.switches: int | None = None
        self.cmdline_hash: int | None = None
        """Hash of its command line; None until it was read."""
        self.title: ProcessTitle | None = None
        self.previous_title: ProcessTitle | None = None
        """Its title at the scan before the last."""
        self.owner: Owner | None = None
        self.helper = False  # not a main process of its component: see attribution.is_helper
        self.depth = 0
        """Number of ancestors. Parents are read before their children."""
        self.scans = 0
        self.was_active = True
        """Whether it was active since the scan before."""
        self.details_stale = True
        """Whether it was active since status and descriptors were last read."""
        self.children_ended: tuple[Process, ...] = ()
        """Exited descendants that it waited for since its children's CPU was last counted."""
        self.anonymous = 0
        self.baseline_anonymous: int | None = None
        """Anonymous memory at BASELINE_AGE, in bytes; None before."""
        self.fds: int | None = None
        self.fd_limit: float | None = None
        """Limit of open file descriptors; None until it was read."""
        self.pss: int | None = None
        self.network_namespace: int | None = None
        """Inode of its network namespace; None until it was read."""
        self.details_read_at = -1
        """Cycle in which status and descriptors were last read."""
        self.pss_read = NEVER_READ
        """When its proportional memory was last read."""
        self.unreadable = ALL_READABLE
        """Why a file is not readable, by file."""

    @property
    def key(self) -> tuple[int, int]:
        """Identifies the process; a pid may be reused."""
        return self.stat.pid, self.stat.start

    def note_unreadable(self, file: str, error: Exception) -> None:
        """Remember why a file of the living process is not readable."""
        reason = error.reason if isinstance(error, UnreadableError) else "malformed"
        self.unreadable = {**self.unreadable, file: "missing" if reason == GONE else reason}

    def get_total_ticks(self) -> int:
        """CPU of the process and its finished children, in ticks."""
        return self.stat.own_ticks + self.children_ticks

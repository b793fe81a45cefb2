"""What is remembered of one process from one look at it to the next."""

from __future__ import annotations

from exporter.sources.host.proc.procfs import GONE, Stat, UnreadableError
from exporter.sources.host.processes.owners import Owner
from exporter.sources.host.processes.titles import ProcessTitle

ALL_READABLE: dict[str, str] = {}
"""What most processes have, so that it is there only once: nothing is ever added to it."""
SLOW_SCAN_EVERY = 6
"""Every how many looks is read what hardly changes."""


class Process:
    """One process, named by pid and start, as it was when last looked at."""

    __slots__ = (
        "anonymous",
        "baseline_anonymous",
        "children_ended",
        "children_ticks",
        "cmdline_hash",
        "depth",
        "details_read_at",
        "fd_limit",
        "fds",
        "helper",
        "network_namespace",
        "owner",
        "previous_title",
        "pss",
        "pss_read_at",
        "pss_stale",
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
        """Tells the text that `stat` was read from: one that is the same need not be read."""
        self.children_ticks = stat.children_ticks
        """CPU of finished children as it was settled last, in ticks."""
        self.read_bytes: int | None = None
        self.written_bytes: int | None = None
        """Disk traffic as it was settled last; None until /proc/PID/io was read."""
        self.switches: int | None = None
        self.cmdline_hash: int | None = None
        """Tells its command line from others; None while it was not read."""
        self.title: ProcessTitle | None = None
        self.previous_title: ProcessTitle | None = None
        """Its title at the look before the newest."""
        self.owner: Owner | None = None
        self.helper = False  # whether it only helps another process of its component: see attribution.is_helper
        self.depth = 0
        """How many ancestors it has: parents are looked at before their children."""
        self.scans = 0
        self.was_active = True
        """Whether it did anything since the look before."""
        self.pss_stale = True
        """Whether it did anything since details of all were read."""
        self.children_ended: tuple[Process, ...] = ()
        """Children, and theirs, that it waited for since its account was settled."""
        self.anonymous = 0
        self.baseline_anonymous: int | None = None
        """Anonymous memory when it had settled, in bytes."""
        self.fds: int | None = None
        self.fd_limit: float | None = None
        """How many descriptors it may have open; None while that was not read."""
        self.pss: int | None = None
        self.network_namespace: int | None = None
        """Names its network namespace; None while it was not read."""
        self.details_read_at = -1
        """The walk in which status and descriptors were read last."""
        self.pss_read_at = -1
        """The walk in which its proportional memory was read last."""
        self.unreadable = ALL_READABLE
        """Why a file could not be read, by file."""

    @property
    def key(self) -> tuple[int, int]:
        """Names the process for good, unlike its pid."""
        return self.stat.pid, self.stat.start

    def note_unreadable(self, file: str, error: Exception) -> None:
        """Remember why a file tells nothing, though the process lives."""
        reason = error.reason if isinstance(error, UnreadableError) else "malformed"
        self.unreadable = {**self.unreadable, file: "missing" if reason == GONE else reason}

    def get_total_ticks(self) -> int:
        """All CPU that is accounted for in this process, in ticks."""
        return self.stat.own_ticks + self.children_ticks

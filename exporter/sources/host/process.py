"""What is remembered of one process from one look at it to the next."""

from __future__ import annotations

from exporter.sources.host.owners import Owner
from exporter.sources.host.procfs import GONE, Stat, UnreadableError
from exporter.sources.host.titles import Title

PATIENCE = 2
"""For how many looks at a parent its account of a child that ended may be late."""


class Account:
    """A figure of a process that takes in, when a child is waited for, all that the child had used.

    What the child used was put down already, as far as it was seen. `explain` says so, and `settle` returns only the
    rest. The order may be either: a parent can be looked at before the child that has just ended is missed.
    """

    __slots__ = ("age", "explained", "last")

    def __init__(self, value: int) -> None:
        self.last = value
        self.explained = 0
        self.age = 0

    def explain(self, amount: int) -> None:
        """So much of what this account will grow by, or just grew by, is known."""
        self.explained += amount
        self.age = 0

    def settle(self, value: int) -> int:
        """How much more the figure grew than is known of."""
        grown = max(0, value - self.last)
        self.last = value
        rest = max(0, grown - self.explained)
        self.explained = max(0, self.explained - grown)
        self.age += 1
        if self.age >= PATIENCE:
            # The child was waited for by another, or by nobody.
            self.explained = 0
        return rest


class Process:
    """One process, named by pid and start, as it was when last looked at."""

    __slots__ = (
        "active",
        "anonymous",
        "before",
        "children_ended",
        "cmdline",
        "depth",
        "fd_limit",
        "fds",
        "full_at",
        "kids",
        "looks",
        "owner",
        "peak",
        "pss",
        "read",
        "settled",
        "stat",
        "stirred",
        "switches",
        "title",
        "unreadable",
        "weighed",
        "written",
    )

    def __init__(self, stat: Stat) -> None:
        self.stat = stat
        self.kids = Account(stat.kids)
        self.read: Account | None = None
        self.written: Account | None = None
        """None until /proc/PID/io was read."""
        self.switches: int | None = None
        self.cmdline: bytes | None = None
        """None while it was not read."""
        self.title: Title | None = None
        self.before: Title | None = None
        """Its title at the look before the newest."""
        self.owner: Owner | None = None
        self.depth = 0
        """How many ancestors it has: parents are looked at before their children."""
        self.looks = 0
        self.stirred = True
        """Whether it did anything since the look before."""
        self.active = True
        """Whether it did anything since details of all were read."""
        self.children_ended: list[Process] = []
        self.peak = 0
        self.anonymous = 0
        self.settled: int | None = None
        """Anonymous memory when it had settled, in bytes."""
        self.fds: int | None = None
        self.fd_limit: float | None = None
        """How many descriptors it may have open; None while that was not read."""
        self.pss: int | None = None
        self.full_at = -1
        """The walk in which status and descriptors were read last."""
        self.weighed = -1
        """The walk in which its proportional memory was read last."""
        self.unreadable: dict[str, str] = {}
        """Why a file could not be read, by file."""

    @property
    def key(self) -> tuple[int, int]:
        """Names the process for good, unlike its pid."""
        return self.stat.pid, self.stat.start

    def note_unreadable(self, file: str, error: Exception) -> None:
        """Remember why a file tells nothing, though the process lives."""
        reason = error.reason if isinstance(error, UnreadableError) else "malformed"
        self.unreadable[file] = "missing" if reason == GONE else reason

    def total(self) -> int:
        """All CPU that is accounted for in this process, in ticks."""
        return self.stat.own + self.kids.last

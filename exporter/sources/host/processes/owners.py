"""Who a process's usage is put down to: a component of Airflow, or a try of a task."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.sources.directory import Named

UNKNOWN = "_unknown"
"""The label values of what no name was found for."""
UNKNOWN_TASK = Named(UNKNOWN, UNKNOWN)


class Usage:
    """What was used and not yet reported. CPU in ticks, the rest in bytes, but for context switches."""

    __slots__ = ("cpu_ticks", "read_bytes", "received", "sent", "switches", "written_bytes")

    def __init__(self) -> None:
        self.cpu_ticks = 0
        self.read_bytes = 0
        self.written_bytes = 0
        self.switches = 0
        self.received = 0
        self.sent = 0


class Owner:
    """Somebody that processes belong to."""

    __slots__ = ("process_count", "usage")

    def __init__(self) -> None:
        self.usage = Usage()
        self.process_count = 0
        """How many processes it has."""

    def add_cpu(self, ticks: int) -> None:
        """Put down CPU that was used; less than none is none."""
        self.usage.cpu_ticks += max(0, ticks)


class Component(Owner):
    """One of catalogue.components.COMPONENTS."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def __repr__(self) -> str:
        return f"Component({self.name!r})"


class Try(Owner):
    """A try, or the part of one between two deferrals, from its first process to its last.

    `uuid` is empty where the title named the task (2.x). `cpu_ticks` is all CPU that its processes used, those before
    our first walk included, in ticks; `peak` the most resident memory that one of them had, in bytes.
    """

    __slots__ = ("cpu_ticks", "first_seen", "idle_reports", "key", "named", "peak", "polls", "traffic", "uuid")

    def __init__(
        self, key: str, named: Named | None, *, uuid: str = "", first_seen: float = 0.0, polls: int = 0
    ) -> None:
        super().__init__()
        self.key = key
        self.uuid = uuid
        self.named = named
        self.first_seen = first_seen
        """Monotonic seconds."""
        self.polls = polls
        """How often names had been asked for when it was first seen."""
        self.idle_reports = 0
        """How many reports there were since its last process ended."""
        self.cpu_ticks = 0
        self.peak = 0
        self.traffic: tuple[int, int] | None = None
        """Bytes received and sent in its network namespace, when last read."""

    def add_cpu(self, ticks: int) -> None:
        super().add_cpu(ticks)
        self.cpu_ticks += max(0, ticks)

    def __repr__(self) -> str:
        return f"Try({self.key!r}, {self.named})"


def split_evenly(amount: int, owners: list[Owner]) -> Iterator[tuple[Owner, int]]:
    """Even parts, the first with what is left over."""
    part, left = divmod(amount, len(owners))
    for place, owner in enumerate(owners):
        yield owner, part + (left if place == 0 else 0)

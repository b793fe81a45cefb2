"""Who a process's usage is put down to: a component of Airflow, or a try of a task."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.sources.directory import Named

UNKNOWN = "_unknown"
"""The label values of what no name was found for."""
NAMELESS = Named(UNKNOWN, UNKNOWN)


class Usage:
    """What was used and not yet reported. CPU in ticks, the rest in bytes, but for context switches."""

    __slots__ = ("cpu", "read", "received", "sent", "switches", "written")

    def __init__(self) -> None:
        self.cpu = 0
        self.read = 0
        self.written = 0
        self.switches = 0
        self.received = 0
        self.sent = 0


class Owner:
    """Somebody that processes belong to."""

    __slots__ = ("live", "usage")

    def __init__(self) -> None:
        self.usage = Usage()
        self.live = 0
        """How many processes it has."""

    def credit(self, ticks: int) -> None:
        """Put down CPU that was used; less than none is none."""
        self.usage.cpu += max(0, ticks)


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

    `uuid` is empty where the title named the task (2.x). `spent` is all CPU that its processes used, those before
    our first walk included, in ticks; `peak` the most resident memory that one of them had, in bytes.
    """

    __slots__ = ("born", "idle", "key", "named", "peak", "polls", "spent", "traffic", "uuid")

    def __init__(self, key: str, named: Named | None, *, uuid: str = "", born: float = 0.0, polls: int = 0) -> None:
        super().__init__()
        self.key = key
        self.uuid = uuid
        self.named = named
        self.born = born
        """Monotonic seconds."""
        self.polls = polls
        """How often names had been asked for when it was first seen."""
        self.idle = 0
        """How many reports there were since its last process ended."""
        self.spent = 0
        self.peak = 0
        self.traffic: tuple[int, int] | None = None
        """Bytes received and sent in its network namespace, when last read."""

    def credit(self, ticks: int) -> None:
        super().credit(ticks)
        self.spent += max(0, ticks)

    def __repr__(self) -> str:
        return f"Try({self.key!r}, {self.named})"


def divide(amount: int, owners: list[Owner]) -> Iterator[tuple[Owner, int]]:
    """Even parts, the first with what is left over."""
    part, left = divmod(amount, len(owners))
    for place, owner in enumerate(owners):
        yield owner, part + (left if place == 0 else 0)

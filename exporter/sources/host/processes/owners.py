"""Owners of processes: a component of Airflow, or a try of a task. Usage is counted for the owner."""

from __future__ import annotations

from collections.abc import Iterator

from exporter.sources.directory import TaskKey

UNKNOWN = "_unknown"
"""Label value of tasks whose name is not known."""
UNKNOWN_TASK = TaskKey(UNKNOWN, UNKNOWN)


class ResourceUsage:
    """Usage that is not reported yet: CPU in ticks, context switches, and bytes."""

    __slots__ = ("cpu_ticks", "read_bytes", "received", "sent", "switches", "written_bytes")

    def __init__(self) -> None:
        self.cpu_ticks = 0
        self.read_bytes = 0
        self.written_bytes = 0
        self.switches = 0
        self.received = 0
        self.sent = 0


class Owner:
    """Base of the owners of processes."""

    __slots__ = ("process_count", "usage")

    def __init__(self) -> None:
        self.usage = ResourceUsage()
        self.process_count = 0
        """Number of its processes."""

    def add_cpu(self, ticks: int) -> None:
        """Add CPU ticks. Negative numbers count as 0."""
        self.usage.cpu_ticks += max(0, ticks)


class ComponentOwner(Owner):
    """A component: one of `catalogue.host.processes.COMPONENTS`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def __repr__(self) -> str:
        return f"Component({self.name!r})"


class Try(Owner):
    """A try, or the part of one between two deferrals, from its first process to its last.

    `uuid` is empty if the title has the name of the task (Airflow 2). `cpu_ticks` is all CPU of its processes, also
    before the first scan. `peak` is the highest resident memory of one of its processes, in bytes.
    """

    __slots__ = (
        "cpu_ticks",
        "first_seen",
        "idle_reports",
        "key",
        "named",
        "peak",
        "polls",
        "traffic",
        "uuid",
    )

    def __init__(
        self, key: str, named: TaskKey | None, *, uuid: str = "", first_seen: float = 0.0, polls: int = 0
    ) -> None:
        super().__init__()
        self.key = key
        self.uuid = uuid
        self.named = named
        self.first_seen = first_seen
        """Monotonic seconds."""
        self.polls = polls
        """Value of `TaskNames.polls` when it was first seen."""
        self.idle_reports = 0
        """Number of reports since its last process ended."""
        self.cpu_ticks = 0
        self.peak = 0
        self.traffic: tuple[int, int] | None = None
        """Bytes received and sent in its network namespace when last read."""

    def add_cpu(self, ticks: int) -> None:
        super().add_cpu(ticks)
        self.cpu_ticks += max(0, ticks)

    def __repr__(self) -> str:
        return f"Try({self.key!r}, {self.named})"


def split_evenly(amount: int, owners: list[Owner]) -> Iterator[tuple[Owner, int]]:
    """Split an amount evenly. The first owner gets the remainder."""
    part, left = divmod(amount, len(owners))
    for place, owner in enumerate(owners):
        yield owner, part + (left if place == 0 else 0)

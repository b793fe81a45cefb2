"""What the supervisor knows of one reader: its status, schedule, typical duration and last cycles."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from exporter.collect.status import ReadCycle, ReaderStatus
from exporter.metrics.reading import Reading

MAX_CYCLES = 20
"""Last cycles of a reader that the page /sources shows."""
TYPICAL_OF = 5
"""Last reads whose median is the typical duration."""
MAX_NAMED_OBJECTS = 3
"""Skipped objects that are named in a reader's status."""


@dataclass(slots=True)
class ReaderState:
    """The state of one reader."""

    status: ReaderStatus
    due: float = 0.0
    """When the next read is due, in monotonic seconds."""
    ended: float = 0.0
    """When the last read ended, in monotonic seconds."""
    durations: deque[float] = field(default_factory=lambda: deque([0.0] * TYPICAL_OF, maxlen=TYPICAL_OF))
    """Seconds of the last reads. It starts with zeros, so that slow reads after a start do not count alone."""
    typical_duration: float = 0.0
    """Typical seconds of a read: the median of the last reads, or the last one if it was faster."""
    fresh_until: float = 0.0
    """When the data of the last successful read expires, in monotonic seconds."""
    failures: int = 0
    cycles: tuple[ReadCycle, ...] = ()
    """The last reads, newest first. Other threads read them, so they are replaced, never changed."""

    def record_cycle(self, cycle: ReadCycle) -> None:
        """Record what a read did."""
        self.cycles = (cycle, *self.cycles[: MAX_CYCLES - 1])

    def record_duration(self, seconds: float) -> None:
        """Record how many seconds a successful read took."""
        self.durations.append(seconds)
        self.typical_duration = min(sorted(self.durations)[TYPICAL_OF // 2], seconds)


@dataclass(frozen=True, slots=True)
class AttemptResult:
    """The result of one attempt to connect or read."""

    outcome: str = "ok"
    message: str = ""
    again: bool = False
    unanswered: int = 0


def summarize(reading: Reading | None) -> AttemptResult:
    """The result of a successful attempt, which may have skipped some objects."""
    if reading is None:
        return AttemptResult()
    count = len(reading.unanswered)
    more = f" (and {count - MAX_NAMED_OBJECTS} more)" if count > MAX_NAMED_OBJECTS else ""
    return AttemptResult(
        message="; ".join(reading.unanswered[:MAX_NAMED_OBJECTS]) + more, again=reading.again, unanswered=count
    )

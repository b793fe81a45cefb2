"""How one reader of a source fares: its status, how long its reads take, its last cycles."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from exporter.collect.status import Cycle, ReaderStatus
from exporter.metrics.reading import Reading

CYCLES = 20
"""How many of a reader's last cycles are kept for the page of sources."""
USUAL = 5
"""How many reads of a reader tell how long one usually takes."""
MESSAGES = 3
"""How many of the objects that a reader passes over are named in its status."""


@dataclass(slots=True)
class Track:
    """How one reader fares."""

    status: ReaderStatus
    due: float = 0.0
    """Monotonic seconds."""
    took: deque[float] = field(default_factory=lambda: deque([0.0] * USUAL, maxlen=USUAL))
    """How many seconds the last reads took; 0 before the first, so that slow ones after a start do not decide alone."""
    usual: float = 0.0
    """How long a read takes, in seconds: neither one slow read counts, nor slow ones before the last quick one."""
    fresh_until: float = 0.0
    """Until when the data of the last success lives, in monotonic seconds."""
    failures: int = 0
    cycles: deque[Cycle] = field(default_factory=lambda: deque(maxlen=CYCLES))

    def note_duration(self, seconds: float) -> None:
        """A read succeeded, and took so long."""
        self.took.append(seconds)
        self.usual = min(sorted(self.took)[USUAL // 2], seconds)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of one attempt."""

    outcome: str = "ok"
    message: str = ""
    again: bool = False
    unanswered: int = 0


def summarize(reading: Reading | None) -> Result:
    """What came of an attempt that went well; it may have passed over some objects."""
    if reading is None:
        return Result()
    count = len(reading.unanswered)
    more = f" (and {count - MESSAGES} more)" if count > MESSAGES else ""
    return Result(message="; ".join(reading.unanswered[:MESSAGES]) + more, again=reading.again, unanswered=count)

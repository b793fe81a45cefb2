"""Whether the peak memory of a task grows from try to try: the last peaks of each task, bounded."""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

from exporter.diagnosis.costs.rows import MemoryGrowth
from exporter.metrics.family import OTHER, Labels
from exporter.sources.host.processes.owners import UNKNOWN

MAX_TASKS = 5_000
"""Tasks whose peaks are remembered; the one that was seen first goes first."""
MAX_PEAKS = 10
"""Peaks that are remembered of each task."""
MIN_PEAKS = 5
"""With fewer peaks nothing is said of their growth."""
AVERAGED = 2
"""How many of the newest, and of the oldest, peaks are averaged: one odd try is no growth."""
STEADY_SHARE = 0.9
"""Growth is steady if a later peak is above an earlier one in so many pairs: by chance it is in half of them."""

UNNAMED = ("", UNKNOWN, OTHER)
"""Values of `task_id` under which several tasks are put together."""


class Peaks(NamedTuple):
    """The peaks of a task, the oldest first."""

    values: tuple[int, ...]
    """Bytes."""
    last_end: float
    """When the try of the newest peak was last seen, in monotonic seconds."""


class PeakGrowth:
    """The last peaks of each task. Tries that ran side by side, as of a mapped task, count as one: the largest."""

    def __init__(self) -> None:
        self._tasks: dict[Labels, Peaks] = {}

    def record(self, labels: Labels, peak: int, start: float, end: float) -> None:
        """Record the peak of a try (bytes) that was first and last seen at two moments (monotonic seconds)."""
        if not peak or labels[1] in UNNAMED:
            return
        known = self._tasks.get(labels)
        if known is None:
            if len(self._tasks) >= MAX_TASKS:
                self._tasks.pop(next(iter(self._tasks)))
            self._tasks[labels] = Peaks((peak,), end)
        elif start < known.last_end:
            values = (*known.values[:-1], max(peak, known.values[-1]))
            self._tasks[labels] = Peaks(values, max(end, known.last_end))
        else:
            self._tasks[labels] = Peaks((*known.values, peak)[-MAX_PEAKS:], end)

    def compute(self) -> dict[Labels, MemoryGrowth]:
        """The growth of each task with enough tries."""
        return {labels: measure(one.values) for labels, one in self._tasks.items() if len(one.values) >= MIN_PEAKS}


def measure(peaks: tuple[int, ...]) -> MemoryGrowth:
    """The growth of some peaks, the oldest first."""
    oldest, newest = sum(peaks[:AVERAGED]) / AVERAGED, sum(peaks[-AVERAGED:]) / AVERAGED
    pairs = [before < after for before, after in combinations(peaks, 2)]
    return MemoryGrowth(oldest, newest, len(peaks), steady=sum(pairs) >= STEADY_SHARE * len(pairs))

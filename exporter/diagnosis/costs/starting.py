"""What starting a try costs: the least of what was seen lately, over the whole Airflow.

A try that starts at once has waited for the executor and for its process only; one that waits longer waits for a slot
or a worker, which is no cost of starting. The quickest task does next to nothing: how long its tries run is what
loading the DAG and reporting the end costs inside of every try.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from statistics import median

from exporter.diagnosis.costs.rows import InstanceRow, get_duration, is_sensor

MAX_QUEUED = 1_000
"""Tries from which the least time to a start is found."""
MIN_QUEUED = 20
"""With fewer tries nothing is said of it."""
QUICK_SHARE = 0.05
"""The least is what one try in twenty stays below: clocks of machines differ, so the very smallest may be below 0."""
MAX_STARTS = 4.0
"""How many times the least a start may take; what is longer is a wait, for a slot or a worker."""
MAX_TASKS = 2_000
"""Tasks of which the last durations are remembered; the one that was seen first goes first."""
MAX_DURATIONS = 11
"""Durations that are remembered of each."""
MIN_DURATIONS = 5
"""With fewer tries nothing is said of a task."""
MAX_QUICK_SECONDS = 2.5
"""A task none of whose tries was quicker does work: a process alone takes 0.9 s on an idle machine."""
MAX_SLOWDOWN = 8.0
"""How many times its quickest try a task may take without doing more: on busy machines processes take longer."""

TaskId = tuple[str, str]
"""DAG and task."""


class StartCost:
    """Remembers how long the last tries took to start and to run."""

    def __init__(self) -> None:
        self._queued: deque[float] = deque(maxlen=MAX_QUEUED)
        self._durations: dict[TaskId, deque[float]] = {}
        self._medians: dict[TaskId, float] = {}
        self._quickest: dict[TaskId, float] = {}
        self.queued: float | None = None
        """Seconds from queued to running, at least; None while it is not known."""
        self.running: float | None = None
        """Seconds for which the tries of the quickest task run; None where no task is quick enough to show it."""

    def learn(self, rows: Iterable[InstanceRow]) -> None:
        """Take tries into account that ended."""
        changed = set()
        for row in rows:
            queued, duration = get_queued_seconds(row), get_duration(row)
            if queued is not None:
                self._queued.append(queued)
            if duration is not None and row.state in ("success", "skipped") and not is_sensor(row):
                changed.add(self._note_duration((row.dag_id, row.task_id), duration))
        self.queued = find_least(self._queued)
        for task in changed.intersection(self._durations):
            if len(self._durations[task]) >= MIN_DURATIONS:
                self._medians[task] = median(self._durations[task])
        self.running = self._find_running()

    def _find_running(self) -> float | None:
        """How long the quickest task runs usually, if its quickest try shows that it does next to nothing."""
        task = min(self._medians, key=self._medians.__getitem__, default=None)
        if task is None:
            return None
        usual, least = self._medians[task], self._quickest[task]
        return usual if least <= MAX_QUICK_SECONDS and usual <= MAX_SLOWDOWN * least else None

    def _note_duration(self, task: TaskId, duration: float) -> TaskId:
        if task not in self._durations:
            if len(self._durations) >= MAX_TASKS:
                oldest = next(iter(self._durations))
                del self._durations[oldest]
                del self._quickest[oldest]
                self._medians.pop(oldest, None)
            self._durations[task] = deque(maxlen=MAX_DURATIONS)
        self._quickest[task] = min(duration, self._quickest.get(task, duration))
        self._durations[task].append(duration)
        return task

    def get_start_seconds(self, row: InstanceRow) -> float:
        """How long a try took to start, without what it waited for a slot or a worker."""
        queued = get_queued_seconds(row)
        if queued is None or self.queued is None:
            return 0.0
        return min(queued, MAX_STARTS * self.queued)

    @property
    def least(self) -> float | None:
        """Seconds that a try costs at least beside its work; None while it is not known."""
        return None if self.queued is None else self.queued + (self.running or 0.0)

    def is_short(self, row: InstanceRow) -> bool:
        """Whether a try did less work than starting it cost."""
        duration, least = get_duration(row), self.least
        if duration is None or least is None or row.state not in ("success", "skipped") or is_sensor(row):
            return False
        return duration - (self.running or 0.0) < least

    def get_median(self, task: TaskId) -> float | None:
        """How long the last tries of a task ran; None while too few ended."""
        return self._medians.get(task)


def get_queued_seconds(row: InstanceRow) -> float | None:
    """Seconds from queued to running; None where it is not known, as for tries that were deferred."""
    if row.queued_when is None or row.start_date is None or row.queued_when > row.start_date:
        return None
    return row.start_date - row.queued_when


def find_least(seconds: Iterable[float]) -> float | None:
    """What one in twenty stays below; None for fewer than MIN_QUEUED."""
    ordered = sorted(seconds)
    return ordered[int(len(ordered) * QUICK_SHARE)] if len(ordered) >= MIN_QUEUED else None

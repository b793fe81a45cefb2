"""Finding what ended since the last complete poll, at a cost that follows what changed, not what history holds.

No index serves the time at which a task instance was touched: a query by that alone reads the whole table, twice a
page. Two ways around it, one for each API:

- By time (3.x, here). Asking for the task instances of runs that were due lately lets the database go by its index on
  runs, whatever the size of history. Those of older runs are swept at times, in proportion to what a sweep takes.
- By run (2.x, listing.py). There, any query by time over all DAGs makes PostgreSQL look into every run of history one
  by one. So runs are listed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from exporter.metrics.reading import Memory
from exporter.sources.airflow.api.models import TaskInstance
from exporter.sources.airflow.api.protocol import AirflowByTime
from exporter.sources.airflow.counting.cursor import Cursor, Window, hold, open_window, read_cursor, write_cursor

YOUNG = (60.0, 240.0)
"""For how long after it was due a run is young, in seconds, at least and at most: those are asked for at each poll.
What that costs grows with how many they are, so the span follows what queries take."""
DEAR = 0.25
"""From how many seconds a page on the span is worth changing."""
PAGE = 100
SWEEP_SHARE = 0.005
"""The part of the time that sweeps over older runs may take."""
SWEEP_PAUSE = 600.0
"""The longest pause between two sweeps, in seconds."""
OLDER = "tasks.older"

Key = tuple[str, str]
"""DAG and run id."""


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of what ended, and the window that they fill.

    `cursors` is what to remember of it. `later` are runs that ought to have been looked into and will be by the next
    polls: nothing is known of their task instances. `unanswered` are runs that were given up: Airflow does not tell of
    them.
    """

    rows: Sequence[TaskInstance]
    window: Window
    cursors: Mapping[bytes, bytes | None]
    note: str = ""
    later: frozenset[Key] = field(default=frozenset())
    unanswered: frozenset[Key] = field(default=frozenset())


class Finder(Protocol):
    """A way to find what ended."""

    def find(self, active: Callable[[], Sequence[TaskInstance]]) -> Found:
        """Look once; calls `active` first, unless it is catching up. Raises ReaderError."""

    def postpone(self, runs: Collection[Key]) -> Mapping[bytes, bytes | None]:
        """Take back the last find for these runs, whose rows come again; returns what to remember instead."""


class ByTime:
    """Asks for task instances by when they were touched."""

    def __init__(self, airflow: AirflowByTime, memory: Memory, clock: Callable[[], float] = time.monotonic) -> None:
        self._airflow = airflow
        self._memory = memory
        self._clock = clock
        self._swept = 0.0
        self._pause = 0.0
        self._reached: Cursor | None = None
        self._windows: dict[str, Window] = {}
        self._young = YOUNG[1]
        self._young_page = 0.0

    def find(self, active: Callable[[], Sequence[TaskInstance]]) -> Found:
        """Look once. Raises ReaderError."""
        now = self._airflow.server_time()
        window = open_window(read_cursor(self._memory, "tasks"), now)
        if window.until is not None:
            return self._catch_up(now, window)
        active()
        begun = self._clock()
        young = self._airflow.task_instances_ended(window.since, due_since=window.since - self._young)
        self._young_page = (self._clock() - begun) / (len(young) // PAGE + 1)
        self._windows = {"tasks": window}
        older = self._sweep(now)
        note = f"{len(older)} of older runs" if OLDER in self._windows else "older runs not swept"
        return Found([*young, *older], window, self._cursors(), note)

    def postpone(self, runs: Collection[Key]) -> Mapping[bytes, bytes | None]:  # noqa: ARG002 - runs share a window
        """The next find fills the same window once more."""
        self._windows = {name: hold(window) for name, window in self._windows.items()}
        return self._cursors()

    def _cursors(self) -> dict[bytes, bytes | None]:
        return {key: value for name, one in self._windows.items() for key, value in write_cursor(name, one).items()}

    def _catch_up(self, now: float, window: Window) -> Found:
        """A slice of what an outage left, of runs of any age: it begins where they were last swept."""
        window = open_window(read_cursor(self._memory, OLDER), now) if read_cursor(self._memory, OLDER) else window
        rows = self._airflow.task_instances_ended(window.since, window.until)
        self._windows = {"tasks": window, OLDER: window}
        return Found(rows, window, self._cursors(), "catching up")

    def _sweep(self, now: float) -> Sequence[TaskInstance]:
        """What ended in older runs since the last sweep. A run that grew older since is still in the young part.

        A sweep that was not committed is made again.
        """
        begun = self._clock()
        cursor = read_cursor(self._memory, OLDER)
        if begun < self._swept + self._pause and cursor == self._reached:
            return ()
        window = self._windows[OLDER] = open_window(cursor, now, sliced=False)
        # Young runs come again here: bounding the query by an upper run_after makes PostgreSQL take minutes.
        rows = self._airflow.task_instances_ended(window.since)
        self._swept = self._clock()
        self._reached = window.after
        self._pause = min(SWEEP_PAUSE, (self._swept - begun) / SWEEP_SHARE)
        self._tune((self._swept - begun) / (len(rows) // PAGE + 1))
        return rows

    def _tune(self, older_page: float) -> None:
        """Halve the span of young runs where a page of them takes longer than one of all others, else double it."""
        wanted = self._young / 2 if self._young_page > max(older_page, DEAR) else self._young * 2
        self._young = min(max(wanted, YOUNG[0]), YOUNG[1])

"""Find what ended since the last complete poll, on Airflow 3: by the time at which rows were updated.

No index of Airflow's database serves that time: a query by it alone reads the whole table, twice a page. So each poll
asks for the task instances of recent runs only, which the database finds by its index on runs, whatever the size of
history. Those of older runs are read by a sweep, which may use a small part of the time.

On Airflow 2 any query by time over all DAGs makes PostgreSQL look into every run, one by one: see `by_run.py`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from exporter.metrics.reading import Memory
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.api.protocol import AirflowByTime
from exporter.sources.airflow.counting.cursor import (
    Cursor,
    CursorRange,
    hold_cursor,
    next_range,
    read_cursor,
    write_cursor,
)

MIN_RECENT_SPAN, MAX_RECENT_SPAN = 60.0, 240.0
"""For how many seconds after it was due a run is recent. Each poll reads the recent runs, and its cost grows with their
number, so the span follows the time that queries take."""
SLOW_PAGE_SECONDS = 0.25
"""How long a page of recent runs takes at least before the span is shortened."""
PAGE_ROWS = 100
MAX_SWEEP_SHARE = 0.005
"""The part of the time that sweeps over older runs may take."""
MAX_SWEEP_PAUSE = 600.0
"""The longest pause between two sweeps, in seconds."""
TASKS_CURSOR, SWEEP_CURSOR = "tasks", "tasks.older"
"""Names of the cursors in the state file."""

RunKey = tuple[str, str]
"""DAG id and run id."""


@dataclass(frozen=True, slots=True)
class EndedRows:
    """The task instances that ended in a range of time.

    `cursors` are the entries of the state file once the rows are counted. The next polls will read the runs in
    `postponed`: until then nothing is known of their task instances. Runs in `unanswered` were abandoned, because
    Airflow keeps answering for them with an error.
    """

    rows: Sequence[TaskInstance]
    span: CursorRange
    cursors: Mapping[bytes, bytes | None]
    note: str = ""
    postponed: frozenset[RunKey] = field(default=frozenset())
    unanswered: frozenset[RunKey] = field(default=frozenset())


class EndedFinder(Protocol):
    """A way to find the task instances that ended."""

    def find(self, active: Callable[[], Sequence[TaskInstance]]) -> EndedRows:
        """Find what ended since the cursor. Calls `active` first, unless it catches up. Raises ReaderError."""

    def postpone(self, runs: Collection[RunKey]) -> Mapping[bytes, bytes | None]:
        """Read these runs again in the next poll; returns the cursors to write instead of those of the last find."""


class EndedByTime:
    """Finds task instances by the time at which they were updated."""

    def __init__(self, airflow: AirflowByTime, memory: Memory, clock: Callable[[], float] = time.monotonic) -> None:
        self._airflow = airflow
        self._memory = memory
        self._clock = clock
        self._swept_at = 0.0
        self._sweep_pause = 0.0
        self._swept_to: Cursor | None = None
        self._ranges: dict[str, CursorRange] = {}
        self._recent_span = MAX_RECENT_SPAN
        self._recent_page_seconds = 0.0

    def find(self, active: Callable[[], Sequence[TaskInstance]]) -> EndedRows:
        """Find what ended in recent runs, and in all runs where a sweep is due. Raises ReaderError."""
        now = self._airflow.server_time()
        span = next_range(read_cursor(self._memory, TASKS_CURSOR), now)
        if span.until is not None:
            return self._catch_up(now, span)
        active()
        begun = self._clock()
        recent = self._airflow.task_instances_ended(span.since, due_since=span.since - self._recent_span)
        self._recent_page_seconds = (self._clock() - begun) / (len(recent) // PAGE_ROWS + 1)
        self._ranges = {TASKS_CURSOR: span}
        swept = self._sweep(now)
        note = f"{len(swept)} rows in a sweep over all runs" if SWEEP_CURSOR in self._ranges else "no sweep was due"
        return EndedRows([*recent, *swept], span, self._cursors(), note)

    def postpone(self, runs: Collection[RunKey]) -> Mapping[bytes, bytes | None]:  # noqa: ARG002 - one range for all
        """Read the same range again in the next poll."""
        self._ranges = {name: hold_cursor(span) for name, span in self._ranges.items()}
        return self._cursors()

    def _cursors(self) -> dict[bytes, bytes | None]:
        return {key: value for name, span in self._ranges.items() for key, value in write_cursor(name, span).items()}

    def _catch_up(self, now: float, span: CursorRange) -> EndedRows:
        """A slice of an outage, of runs of any age, from the last sweep on."""
        swept_to = read_cursor(self._memory, SWEEP_CURSOR)
        span = next_range(swept_to, now) if swept_to else span
        rows = self._airflow.task_instances_ended(span.since, span.until)
        self._ranges = {TASKS_CURSOR: span, SWEEP_CURSOR: span}
        return EndedRows(rows, span, self._cursors(), "catching up after an outage")

    def _sweep(self, now: float) -> Sequence[TaskInstance]:
        """What ended in all runs since the last sweep, where one is due. One that was not committed is repeated."""
        begun = self._clock()
        cursor = read_cursor(self._memory, SWEEP_CURSOR)
        if begun < self._swept_at + self._sweep_pause and cursor == self._swept_to:
            return ()
        span = self._ranges[SWEEP_CURSOR] = next_range(cursor, now, sliced=False)
        # Recent runs are read twice: with an upper bound on run_after PostgreSQL takes minutes for this query.
        rows = self._airflow.task_instances_ended(span.since)
        self._swept_at = self._clock()
        self._swept_to = span.after
        self._sweep_pause = min(MAX_SWEEP_PAUSE, (self._swept_at - begun) / MAX_SWEEP_SHARE)
        self._adapt_recent_span((self._swept_at - begun) / (len(rows) // PAGE_ROWS + 1))
        return rows

    def _adapt_recent_span(self, swept_page_seconds: float) -> None:
        """Halve the span of recent runs where a page of them takes longer than one of the sweep, else double it."""
        too_slow = self._recent_page_seconds > max(swept_page_seconds, SLOW_PAGE_SECONDS)
        span = self._recent_span / 2 if too_slow else self._recent_span * 2
        self._recent_span = min(max(span, MIN_RECENT_SPAN), MAX_RECENT_SPAN)

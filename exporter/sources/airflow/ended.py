"""Finding what ended since the last complete poll, at a cost that follows what changed, not what history holds.

No index serves the time at which a task instance was touched: a query by that alone reads the whole table, twice a
page. Two ways around it, one for each API:

- By time (3.x). Asking for the task instances of runs that were due lately lets the database go by its index on runs,
  whatever the size of history. Those of older runs are swept at times, in proportion to what a sweep takes.
- By run (2.x). There, any query by time over all DAGs makes PostgreSQL look into every run of history one by one. So
  runs are listed: each that ended, each whose active task instances changed, and at times those that stand still.
  Finding runs that ended is cheap.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

from exporter.reading import Memory
from exporter.sources.airflow.api import AirflowByRun, AirflowByTime
from exporter.sources.airflow.overview import Overview
from exporter.sources.airflow.replies import TIS_ENDED, DagRun, TaskInstance
from exporter.sources.airflow.scope import Scope
from exporter.sources.airflow.window import Cursor, Window, open_window, read_cursor, write_cursor

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
LISTINGS = 40
"""How many runs one poll lists."""
IDLE = (60.0, 3600.0)
"""After how many seconds an active run in which nothing is active is listed again: at first, and at most."""

Key = tuple[str, str]
"""DAG and run id."""


class Found(NamedTuple):
    """The rows of what ended, the window that they fill, and the cursors to remember."""

    rows: list[TaskInstance]
    window: Window
    cursors: dict[bytes, bytes | None]
    note: str


class Finder(Protocol):
    """A way to find what ended."""

    def find(self, active: Callable[[], Sequence[TaskInstance]]) -> Found:
        """Look once; calls `active` first, unless it is catching up. Raises ReaderError."""


class ByTime:
    """Asks for task instances by when they were touched."""

    def __init__(self, airflow: AirflowByTime, memory: Memory, clock: Callable[[], float] = time.monotonic) -> None:
        self._airflow = airflow
        self._memory = memory
        self._clock = clock
        self._swept = 0.0
        self._pause = 0.0
        self._reached: Cursor | None = None
        self._young = YOUNG[1]
        self._young_page = 0.0

    def find(self, active: Callable[[], Sequence[TaskInstance]]) -> Found:
        """Look once. Raises ReaderError."""
        now = self._airflow.server_time()
        window = open_window(read_cursor(self._memory, "tasks"), now)
        if window.until is not None:
            rows = self._airflow.task_instances_ended(window.since, window.until)
            cursors = write_cursor("tasks", window) | write_cursor("tasks.older", window)
            return Found(list(rows), window, cursors, "catching up")
        active()
        begun = self._clock()
        young = self._airflow.task_instances_ended(window.since, due_since=window.since - self._young)
        self._young_page = (self._clock() - begun) / (len(young) // PAGE + 1)
        older, cursors = self._sweep(now)
        found = Found([*young, *older], window, write_cursor("tasks", window) | cursors, "")
        return found._replace(note=f"{len(older)} of older runs" if cursors else "older runs not swept")

    def _sweep(self, now: float) -> tuple[Sequence[TaskInstance], dict[bytes, bytes | None]]:
        """What ended in older runs since the last sweep. A run that grew older since is still in the young part.

        A sweep that was not committed is made again.
        """
        begun = self._clock()
        cursor = read_cursor(self._memory, "tasks.older")
        if begun < self._swept + self._pause and cursor == self._reached:
            return (), {}
        window = open_window(cursor, now, sliced=False)
        # Young runs come again here: bounding the query by an upper run_after makes PostgreSQL take minutes.
        rows = self._airflow.task_instances_ended(window.since)
        self._swept = self._clock()
        self._reached = window.after
        self._pause = min(SWEEP_PAUSE, (self._swept - begun) / SWEEP_SHARE)
        self._tune((self._swept - begun) / (len(rows) // PAGE + 1))
        return rows, write_cursor("tasks.older", window)

    def _tune(self, older_page: float) -> None:
        """Halve the span of young runs where a page of them takes longer than one of all others, else double it."""
        wanted = self._young / 2 if self._young_page > max(older_page, DEAR) else self._young * 2
        self._young = min(max(wanted, YOUNG[0]), YOUNG[1])


class ByRun:
    """Lists the runs that ended, those whose active task instances changed, and at times those that stand still."""

    def __init__(
        self,
        airflow: AirflowByRun,
        memory: Memory,
        overview: Overview,
        scope: Scope,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._overview = overview
        self._clock = clock
        self._idle: dict[Key, tuple[float, float]] = {}
        self._airflow = airflow
        self._memory = memory
        self._scope = scope
        self._seen: dict[Key, frozenset[tuple[object, ...]]] | None = None
        self._listed: dict[tuple[Key, float | None], float] = {}
        self._pending: tuple[Window, list[DagRun]] | None = None

    def find(self, active: Callable[[], Sequence[TaskInstance]]) -> Found:
        """Look once. Raises ReaderError."""
        cursor = read_cursor(self._memory, "tasks")
        window = open_window(cursor, self._airflow.server_time(), sliced=False)
        self._confirm(window, committed=self._pending is not None and self._pending[0].after == cursor)
        now_active = sign(active())
        ended = self._find_ended(window.since)
        changed = self._find_changed(now_active, ended) if len(ended) <= LISTINGS else []
        changed += self._find_idle(now_active, {key_of(run) for run in ended} | set(changed))
        if len(ended) > LISTINGS:
            ended = ended[:LISTINGS]
            complete = ended[-1].end_date or window.after.complete
            window = window._replace(until=complete, after=window.after._replace(complete=complete))
        listed = [key_of(run) for run in ended] + changed[: LISTINGS - len(ended)]
        rows = [row for key in listed for row in self._list(key)]
        left = changed[LISTINGS - len(ended) :]
        self._remember(now_active, left)
        self._pending = (window, ended)
        return Found(rows, window, write_cursor("tasks", window), f"{len(listed)} runs listed, {len(left)} left")

    def _find_ended(self, since: float) -> list[DagRun]:
        """Runs that ended and were not listed since, the oldest end first."""
        runs = self._scope.select(self._airflow.dag_runs_ended(since))
        fresh = [run for run in runs if (key_of(run), run.end_date) not in self._listed]
        return sorted(fresh, key=lambda run: run.end_date or 0.0)

    def _find_changed(self, now_active: dict[Key, frozenset[tuple[object, ...]]], ended: Iterable[DagRun]) -> list[Key]:
        """Runs whose active task instances are not what they were at the last poll."""
        done = {key_of(run) for run in ended}
        # After a start nothing is known of what was active before it: every run is listed once.
        seen = self._seen or {}
        keys = {**seen, **now_active}
        return [key for key in keys if key not in done and seen.get(key) != now_active.get(key)]

    def _find_idle(self, now_active: dict[Key, frozenset[tuple[object, ...]]], done: set[Key]) -> list[Key]:
        """Active runs with nothing active, at times: what began and ended there between two polls shows nowhere else.

        Such a run may stand still for ever (its DAG is paused), so each time it is left alone for longer.
        """
        now = self._clock()
        quiet = {key for key in self._overview.active_runs if key not in now_active and self._scope.covers(key[0])}
        self._idle = {key: self._idle.get(key, (0.0, IDLE[0])) for key in quiet}
        due = [key for key, (moment, _) in self._idle.items() if moment <= now and key not in done]
        for key in due:
            pause = self._idle[key][1]
            self._idle[key] = (now + pause, min(2 * pause, IDLE[1]))
        return due

    def _list(self, key: Key) -> list[TaskInstance]:
        rows = self._airflow.task_instances_of_run(*key) or ()
        return [row for row in rows if row.state in TIS_ENDED]

    def _confirm(self, window: Window, *, committed: bool) -> None:
        """Note what the last poll listed, if it was committed: otherwise it has to be listed again."""
        if committed and self._pending:
            for run in self._pending[1]:
                self._listed[key_of(run), run.end_date] = run.end_date or window.after.complete
        self._listed = {entry: end for entry, end in self._listed.items() if end >= window.since - 3600.0}
        self._pending = None

    def _remember(self, now_active: dict[Key, frozenset[tuple[object, ...]]], left: Iterable[Key]) -> None:
        """Take the active task instances as seen, but not those of runs that still have to be listed."""
        before = self._seen or {}
        self._seen = now_active
        for key in left:
            self._seen[key] = before.get(key, frozenset())


def key_of(run: DagRun) -> Key:
    return (run.dag_id, run.run_id)


def sign(rows: Iterable[TaskInstance]) -> dict[Key, frozenset[tuple[object, ...]]]:
    """What tells whether a run's active task instances changed."""
    runs: dict[Key, set[tuple[object, ...]]] = {}
    for row in rows:
        task = (row.task_id, row.map_index, row.try_number, row.state)
        runs.setdefault((row.dag_id, row.run_id), set()).add(task)
    return {key: frozenset(tasks) for key, tasks in runs.items()}

"""Find what ended since the last complete poll, on Airflow 2: run by run.

A poll lists the ended task instances of each run that ended and of each run whose active task instances changed. From
time to time it also lists runs in which nothing changes, because a try that starts and ends between two polls shows
nowhere else. A run that was listed before is asked only for what was updated since.

A poll lists as many runs as it has time for. The others, and those that fail, wait for the next poll. A run that keeps
failing goes last and is abandoned in the end. A run counts as listed only once its rows were committed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from exporter.config.dag_filter import DagFilter
from exporter.metrics.reading import Memory, ReaderError
from exporter.metrics.saved_entries import decode_all
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.api.protocol import AirflowByRun
from exporter.sources.airflow.counting.by_time import TASKS_CURSOR, EndedRows, RunKey
from exporter.sources.airflow.counting.cursor import (
    CURSOR_SPACE,
    OVERLAP,
    CursorRange,
    hold_cursor,
    next_range,
    read_cursor,
    write_cursor,
)
from exporter.sources.airflow.counting.retry_later import (
    MAX_FAILURES_PER_POLL,
    RetryQueue,
    is_object_error,
    may_be_query_error,
)
from exporter.sources.airflow.shared import AirflowState

log = logging.getLogger(__name__)

MAX_RUNS_PER_POLL = 40
MAX_LISTING_SECONDS = 5.0
"""After how many seconds of listing a poll leaves the other runs to the next one: polls have a deadline."""
FIRST_PAUSE_ACTIVE = 60.0
"""After how many seconds a run with unchanged active task instances is listed again, at first."""
FIRST_PAUSE_IDLE = 5.0
"""The same for a run without active task instances: the next ones may start and end before the next poll."""
MAX_PAUSE = 300.0
"""For how many seconds an unchanged run is not listed, at most, while there are few of them."""
MAX_PAUSE_PER_RUN = 1.5
"""The same for each unchanged run, where that is longer: a poll every 30 s then lists twenty of them."""
LISTED_RETENTION = 3600.0
"""For how many seconds before the cursor it is remembered which ended runs were listed."""
SERIAL_KEY = b"tasks.listed"
"""Where the state file holds the number of the last find that was committed."""

Fingerprint = frozenset[tuple[object, ...]]
Fingerprints = Mapping[RunKey, Fingerprint]
"""For each run what changes when its active task instances change."""
NO_FINGERPRINT: Fingerprint = frozenset({("unknown",)})
"""Fingerprint that matches no run, so that it is listed again."""


class RunPause(NamedTuple):
    """When to list an unchanged run again (monotonic seconds), and the pause after that (seconds)."""

    due: float
    length: float


class UncommittedFind(NamedTuple):
    """What one find listed. It becomes known when the next find sees that it was committed."""

    serial: int
    span: CursorRange
    ended: list[DagRun]
    """The ended runs that were listed."""
    fingerprints: Fingerprints
    pauses: dict[RunKey, RunPause]
    listed_at: dict[RunKey, float]
    """When each run was listed, on Airflow's clock."""


class Listing(NamedTuple):
    """The rows of the runs that one poll listed, the runs that it abandoned, and whether any run failed."""

    rows: Mapping[RunKey, Sequence[TaskInstance]]
    unanswered: frozenset[RunKey] = frozenset()
    failed: bool = False


class EndedByRun:
    """Lists the runs in which task instances may have ended."""

    def __init__(
        self,
        airflow: AirflowByRun,
        memory: Memory,
        overview: AirflowState,
        dag_filter: DagFilter,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._airflow = airflow
        self._memory = memory
        self._overview = overview
        self._dag_filter = dag_filter
        self._clock = clock
        self._fingerprints: Fingerprints = {}
        """Empty after a start, so that every active run is listed once."""
        self._listed_ends: dict[tuple[RunKey, float | None], float] = {}
        self._pauses: dict[RunKey, RunPause] = {}
        self._listed_at: dict[RunKey, float] = {}
        self._retries: RetryQueue[RunKey] = RetryQueue(clock)
        self._uncommitted: UncommittedFind | None = None

    def find(self, active: Callable[[], Sequence[TaskInstance]]) -> EndedRows:
        """List the runs that ended, those that changed, and unchanged ones that are due. Raises ReaderError."""
        serial = self._accept_committed()
        now = self._airflow.server_time()
        span = next_range(read_cursor(self._memory, TASKS_CURSOR), now, sliced=False)
        fingerprints = compute_fingerprints(active())
        ended = self._find_ended(span.since)
        changed = self._find_changed(fingerprints, ended)
        pauses = self._get_pauses(fingerprints, {run_key(run) for run in ended} | set(changed))
        due = [key for key in sorted(pauses, key=pauses.__getitem__) if pauses[key].due <= self._clock()]
        listing = self._list_in_time([*map(run_key, ended), *changed, *due])
        listed = listing.rows
        postponed = frozenset({*map(run_key, ended), *changed} - listed.keys())
        if left := [run for run in ended if run_key(run) in postponed]:
            span = stop_before(span, left[0], again=not listing.failed)
            ended = [run for run in ended if run_key(run) in listed]
        pauses |= {key: next_pause(pauses[key], self._clock(), len(pauses)) for key in due if key in listed}
        listed_at = {key: moment for key, moment in self._listed_at.items() if key in pauses or key in fingerprints}
        listed_at |= dict.fromkeys(listed, now)
        known = forget_fingerprints(fingerprints, postponed)
        self._uncommitted = UncommittedFind(serial + 1, span, ended, known, pauses, listed_at)
        rows = [row for rows in listed.values() for row in rows]
        note = f"{len(listed)} runs listed, {len(postponed)} postponed"
        return EndedRows(rows, span, self._cursors(), note, postponed, listing.unanswered)

    def postpone(self, runs: Collection[RunKey]) -> Mapping[bytes, bytes | None]:
        """List these runs again in the next poll."""
        found = self._uncommitted
        assert found is not None  # noqa: S101 - find() comes first
        listed_at = {key: moment for key, moment in found.listed_at.items() if key not in runs}
        listed_at |= {key: self._listed_at[key] for key in runs if key in self._listed_at}
        self._uncommitted = found._replace(
            span=hold_cursor(found.span),
            ended=[run for run in found.ended if run_key(run) not in runs],
            fingerprints=forget_fingerprints(found.fingerprints, runs),
            listed_at=listed_at,
        )
        return self._cursors()

    def _accept_committed(self) -> int:
        """Take what the last find listed as known if it was committed; the number of the last one that was."""
        entry = self._memory.recall(CURSOR_SPACE, [SERIAL_KEY])
        known = decode_all(self._memory, CURSOR_SPACE, entry, msgspec.msgpack.Decoder(int).decode)
        serial = known.get(SERIAL_KEY, 0)
        found, self._uncommitted = self._uncommitted, None
        if found is not None and found.serial == serial:
            self._fingerprints, self._pauses, self._listed_at = found.fingerprints, found.pauses, found.listed_at
            self._listed_ends.update(((run_key(run), run.end_date), found.span.after.complete) for run in found.ended)
            oldest = found.span.since - LISTED_RETENTION
            self._listed_ends = {end: moment for end, moment in self._listed_ends.items() if moment >= oldest}
        return serial

    def _cursors(self) -> dict[bytes, bytes | None]:
        assert self._uncommitted is not None  # noqa: S101 - find() comes first
        serial = msgspec.msgpack.encode(self._uncommitted.serial)
        return {**write_cursor(TASKS_CURSOR, self._uncommitted.span), SERIAL_KEY: serial}

    def _find_ended(self, since: float) -> list[DagRun]:
        """Runs that ended and were not listed after that, the oldest end first."""
        runs = self._dag_filter.select(self._airflow.dag_runs_ended(since))
        fresh = [run for run in runs if (run_key(run), run.end_date) not in self._listed_ends]
        return sorted(fresh, key=lambda run: run.end_date or 0.0)

    def _find_changed(self, fingerprints: Fingerprints, ended: Iterable[DagRun]) -> list[RunKey]:
        """Runs whose active task instances are not what they were at the last poll."""
        done = {run_key(run) for run in ended}
        keys = {**self._fingerprints, **fingerprints}
        return [key for key in keys if key not in done and self._fingerprints.get(key) != fingerprints.get(key)]

    def _get_pauses(self, fingerprints: Fingerprints, moving: set[RunKey]) -> dict[RunKey, RunPause]:
        """When to list each unchanged active run; a run of a paused DAG may stay unchanged for ever."""
        now = self._clock()
        runs = {key for key in self._overview.active_runs if self._dag_filter.includes(key[0])} | set(fingerprints)
        idle, active = RunPause(now, FIRST_PAUSE_IDLE), RunPause(now + FIRST_PAUSE_ACTIVE, FIRST_PAUSE_ACTIVE)
        return {key: self._pauses.get(key, active if key in fingerprints else idle) for key in runs - moving}

    def _list_in_time(self, keys: Sequence[RunKey]) -> Listing:
        """What ended in the first of these runs, as many as there is time for.

        A run that fails is listed last by the next poll. Raises ReaderError if no run could be listed and the error
        is not about one run alone.
        """
        end = self._clock() + MAX_LISTING_SECONDS
        rows: dict[RunKey, Sequence[TaskInstance]] = {}
        unanswered: set[RunKey] = set()
        failures = 0
        for key in self._retries.order_by_failures(keys)[:MAX_RUNS_PER_POLL]:
            try:
                rows[key] = self._list(key)
            except ReaderError as error:
                if self._retries.record_failure(key, error):
                    log.warning("gave up listing what ended in run %s %s, Airflow keeps failing: %s", *key, error)
                    rows[key] = ()
                    unanswered.add(key)
                    continue
                if not rows and not may_be_query_error(error):
                    raise
                log.warning("could not list what ended in run %s %s, the next poll tries again: %s", *key, error)
                failures += 1
                if not is_object_error(error) or failures >= MAX_FAILURES_PER_POLL:
                    break
            else:
                self._retries.record_success(key)
            if self._clock() >= end:
                break
        return Listing(rows, frozenset(unanswered), failed=failures > 0)

    def _list(self, key: RunKey) -> Sequence[TaskInstance]:
        since = self._listed_at[key] - OVERLAP if key in self._listed_at else None
        return self._airflow.task_instances_ended_of_run(*key, since) or ()


def forget_fingerprints(fingerprints: Fingerprints, runs: Collection[RunKey]) -> Fingerprints:
    """The fingerprints without those of these runs, so that they are listed again whatever they show next."""
    return {**fingerprints, **dict.fromkeys(runs, NO_FINGERPRINT)}


def stop_before(span: CursorRange, left: DagRun, *, again: bool) -> CursorRange:
    """The range up to the end of the first run that was not listed; with `again` the reader polls again at once."""
    before = hold_cursor(span).after.complete
    complete = min(max(before, left.end_date or before), span.after.complete)
    return span._replace(until=complete if again else None, after=span.after._replace(complete=complete))


def next_pause(pause: RunPause, now: float, count: int) -> RunPause:
    """The pause after an unchanged run was listed; `count` is how many unchanged runs there are."""
    return RunPause(now + pause.length, min(2 * pause.length, max(MAX_PAUSE, MAX_PAUSE_PER_RUN * count)))


def run_key(run: DagRun) -> RunKey:
    """The key of a run: its DAG id and run id."""
    return (run.dag_id, run.run_id)


def compute_fingerprints(rows: Iterable[TaskInstance]) -> Fingerprints:
    """For each run its active task instances with their states and try numbers."""
    runs: dict[RunKey, set[tuple[object, ...]]] = {}
    for row in rows:
        task = (row.task_id, row.map_index, row.try_number, row.state)
        runs.setdefault((row.dag_id, row.run_id), set()).add(task)
    return {key: frozenset(tasks) for key, tasks in runs.items()}

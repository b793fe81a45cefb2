"""The reader of task instances: counts of active ones, and every try and terminal state, counted once.

A poll reads the active task instances first, then those that ended since the last complete poll (`counting/by_time.py`
and `by_run.py`). It counts nothing unless every page of both was read. Of a task instance that was active and is in
neither list it reads the history of tries.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

from exporter.config.dag_filter import DagFilter
from exporter.metrics.catalogue.api import pools, tasks
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Change, Memory, ReaderError, Reading
from exporter.sources.airflow.api.objects.task_instances import CHECKS, TIS_ACTIVE, TaskInstance
from exporter.sources.airflow.api.protocol import Airflow
from exporter.sources.airflow.counting.by_run import EndedByRun
from exporter.sources.airflow.counting.by_time import EndedByTime, EndedFinder, RunKey
from exporter.sources.airflow.counting.changes import to_changes
from exporter.sources.airflow.counting.cursor import CURSOR_SPACE, RECORD_RETENTION, CursorRange, report_beginning
from exporter.sources.airflow.counting.decision import CountedEvent, Decision, EndedTry, TaskRecord, TerminalState
from exporter.sources.airflow.counting.records import (
    ENDED_SPACE,
    Records,
    Rows,
    newest_rows,
    recall_records,
    task_instance_key,
    write_records,
)
from exporter.sources.airflow.counting.retry_later import (
    MAX_FAILURES_PER_POLL,
    RetryQueue,
    is_object_error,
    may_be_query_error,
)
from exporter.sources.airflow.counting.rows import apply_row, drop_undated
from exporter.sources.airflow.counting.try_history import abandon, resolve_deleted, resolve_history
from exporter.sources.airflow.ended.unwritten import keep_tries
from exporter.sources.airflow.failing.backlog import remember_tries
from exporter.sources.airflow.reader import ApiReader, ReaderContext
from exporter.sources.airflow.shared import AirflowState, find_cleared

log = logging.getLogger(__name__)

MAX_HISTORIES_PER_POLL = 200
"""Of how many task instances a poll reads the history of tries; the next polls read the others."""
MAX_HISTORY_SECONDS = 5.0
"""After how many seconds of reading histories a poll leaves the others to the next one: polls have a deadline."""
MAX_OPTIONAL_HISTORIES = 20
"""How many histories a poll reads of task instances whose row would do (`may_check_tries`)."""


class TasksPoll(NamedTuple):
    """What one poll found: the newest row of each task instance, another row of it that the same poll found a moment
    earlier, and what was remembered."""

    rows: Rows
    earlier: Rows
    known: Records
    span: CursorRange

    def subject(self, key: bytes) -> TaskInstance | TaskRecord:
        """The task instance with this key: its row, or else what is remembered of it."""
        return self.rows.get(key) or self.known[key]


class TasksReader(ApiReader):
    """Reads task instances of one Airflow."""

    name = "tasks"
    help = "Task instances: active ones, tries, terminal states and waits"
    families = (
        tasks.ACTIVE,
        tasks.OLDEST_STATE_ENTRY,
        pools.OLDEST_WAITING,
        pools.WAITING_PRIORITY_MIN,
        pools.WAITING_PRIORITY_MAX,
    )
    needs = ("dags", "runs")
    checks = CHECKS

    def __init__(
        self,
        airflow: Airflow,
        finder: EndedFinder,
        memory: Memory,
        overview: AirflowState,
        dag_filter: DagFilter,
        interval: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.interval = interval
        self._airflow = airflow
        self._finder = finder
        self._memory = memory
        self._overview = overview
        self._dag_filter = dag_filter
        self._clock = clock
        self._retries: RetryQueue[bytes] = RetryQueue(clock)

    @classmethod
    def build(cls, context: ReaderContext, interval: float) -> TasksReader:
        """A reader for the Airflow that is connected now."""
        finder = choose_finder(context)
        return cls(context.airflow, finder, context.memory, context.shared, context.dag_filter, interval)

    def read(self) -> Reading:
        """Read what is active and what ended since the cursor. Raises ReaderError."""
        seen: list[Sequence[TaskInstance]] = []
        # Not the cursor: that stays behind while what ended is caught up with.
        now = self._airflow.server_time()

        def read_active() -> Sequence[TaskInstance]:
            seen.append(self._dag_filter.select(self._airflow.task_instances_active()))
            return seen[-1]

        found = self._finder.find(read_active)
        span = found.span
        active = seen[-1] if seen else ()
        if seen:
            self._overview.active_tasks, self._overview.tasks_read_at = active, now
            self._overview.directory.set_queues(row.queue for row in active if row.queue)
            self._overview.directory.task_hosts = {
                row.uuid or row.hostname: row.hostname for row in active if row.state == "running" and row.hostname
            }
        ended = self._dag_filter.select(found.rows)
        rows = newest_rows([*active, *ended])
        for row in rows.values():
            self._overview.directory.record_try(row.dag_id, row.task_id, row.uuid)
        self._overview.directory.record_poll()
        earlier = {key: row for row in active if rows[key := task_instance_key(row)] is not row}
        poll = TasksPoll(rows, earlier, recall_records(self._memory, rows), span)
        vanished = get_vanished(poll, found.postponed) if seen else []
        decisions, histories, left = self._decide(poll, vanished)
        events = [event for decision in decisions.values() for event in decision.events]
        note = f"{len(active)} active, {len(ended)} ended, {len(events)} events, {histories} histories of tries read"
        return Reading(
            tables=state_tables(active) if seen else {},
            changes=[*self._changes(events), *(Change(tasks.UNACCOUNTED, ("unanswered",)) for _ in found.unanswered)],
            memories=write_records(decisions, poll.known)
            | {CURSOR_SPACE: self._finder.postpone(left) if left else found.cursors}
            | remember_tries(events)
            | (keep_tries(events, span.after.complete) if self._overview.events else {}),
            notes=[f"{note}; {found.note}"],
            again=span.until is not None,
            moment=span.after.complete,
            forget={ENDED_SPACE: span.since - RECORD_RETENTION},
            after_commit=partial(self._hand_over, events, span),
        )

    def _hand_over(self, events: Sequence[CountedEvent], span: CursorRange) -> None:
        """Let other readers look closer at what ended."""
        report_beginning("task instances", span)
        self._overview.ended_tries.extend(event for event in events if isinstance(event, EndedTry))
        self._overview.terminal_states.extend(event for event in events if isinstance(event, TerminalState))

    def _decide(
        self, poll: TasksPoll, vanished: Sequence[bytes]
    ) -> tuple[dict[bytes, Decision], int, frozenset[RunKey]]:
        """A decision for each task instance, how many histories were read, and the runs of those left for later."""
        decisions: dict[bytes, Decision] = {}
        needed: list[bytes] = []
        optional: list[bytes] = []
        for key, row in poll.rows.items():
            run_cleared_at = self._overview.cleared.get((row.dag_id, row.run_id))
            decision = apply_row(row, poll.known.get(key), poll.span.count_from, run_cleared_at)
            if decision.needs_tries:
                needed.append(key)
            else:
                decisions[key] = drop_undated(decision) if poll.span.first else decision
                if decision.may_check_tries:
                    optional.append(key)
        urgent = self._retries.order_by_failures([*needed, *vanished])
        optional = optional[:MAX_OPTIONAL_HISTORIES]
        resolved = self._resolve_in_time([*urgent[:MAX_HISTORIES_PER_POLL], *optional], poll)
        for key in optional:
            if key not in resolved:
                # The next poll reads the history, and the try is counted then.
                del decisions[key]
        left = [key for key in needed if key not in resolved]
        left += [key for key, decision in decisions.items() if decision.awaits_end]
        runs = frozenset((poll.rows[key].dag_id, poll.rows[key].run_id) for key in left)
        return decisions | resolved, len(resolved), runs

    def _resolve_in_time(self, keys: Sequence[bytes], poll: TasksPoll) -> dict[bytes, Decision]:
        """Decisions by the history of tries for the first of these task instances, as many as there is time for.

        One that fails is read last by the next poll. Raises ReaderError if no history could be read and the error is
        not about one task instance alone.
        """
        decisions: dict[bytes, Decision] = {}
        failures = 0
        if keys and self._airflow.major >= 3:
            # The outcome of a try that was cleared shows only beside the time of the clear.
            self._overview.cleared = find_cleared(self._airflow.dag_runs_active())
        end = self._clock() + MAX_HISTORY_SECONDS
        for key in self._retries.order_by_failures(keys):
            name = format_task_instance(key, poll)
            try:
                decisions[key] = self._resolve(key, poll)
            except ReaderError as error:
                if self._retries.record_failure(key, error):
                    log.warning("gave up reading the tries of %s, Airflow keeps failing: %s", name, error)
                    decisions[key] = abandon(poll.rows.get(key), poll.known.get(key), poll.span.count_from)
                    continue
                if not decisions and not may_be_query_error(error):
                    raise
                log.warning("could not read the tries of %s, the next poll tries again: %s", name, error)
                failures += 1
                if not is_object_error(error) or failures >= MAX_FAILURES_PER_POLL:
                    break
            else:
                self._retries.record_success(key)
            if self._clock() >= end:
                break
        return decisions

    def _resolve(self, key: bytes, poll: TasksPoll) -> Decision:
        """Read the history of tries of one task instance. Raises ReaderError."""
        row, record = poll.rows.get(key), poll.known.get(key)
        subject = poll.subject(key)
        tries = self._airflow.tries(subject.dag_id, subject.run_id, subject.task_id, subject.map_index)
        run_cleared_at = self._overview.cleared.get((subject.dag_id, subject.run_id))
        if not tries:
            return resolve_deleted(record)
        return resolve_history(row, record, tries, poll.span.count_from, run_cleared_at, poll.earlier.get(key))

    def _changes(self, events: Iterable[CountedEvent]) -> Iterator[Change]:
        for event in events:
            yield from to_changes(event, self._dag_filter)


def choose_finder(context: ReaderContext) -> EndedFinder:
    """How task instances that ended are found: by time on 3.x, run by run on 2.x."""
    if context.airflow.major >= 3:
        return EndedByTime(context.airflow, context.memory)
    return EndedByRun(context.airflow, context.memory, context.shared, context.dag_filter)


def get_vanished(poll: TasksPoll, postponed: Collection[RunKey]) -> list[bytes]:
    """Task instances that were active and are in no list, though those of their run were read."""
    return [
        key
        for key, record in poll.known.items()
        if key not in poll.rows and record.state in TIS_ACTIVE and (record.dag_id, record.run_id) not in postponed
    ]


def format_task_instance(key: bytes, poll: TasksPoll) -> str:
    """A task instance, for the log."""
    subject = poll.subject(key)
    name = f"{subject.dag_id} {subject.run_id} {subject.task_id}"
    return f"{name} [{subject.map_index}]" if subject.map_index >= 0 else name


def state_entered_at(row: TaskInstance) -> float | None:
    """When the row entered its state, in Unix seconds; None where Airflow does not report it."""
    match row.state:
        case "scheduled":
            return row.scheduled_when
        case "queued":
            return row.queued_when
        case "running":
            return row.start_date
        case "up_for_retry" | "up_for_reschedule" | "restarting":
            return row.end_date
    return None


def state_tables(rows: Iterable[TaskInstance]) -> dict[Family, dict[Labels, float]]:
    """The gauges of active task instances: how many, and the oldest of each state."""
    active: Counter[Labels] = Counter()
    oldest: dict[Labels, float] = {}
    waiting: dict[Labels, float] = {}
    weights: dict[Labels, list[int]] = {}
    for row in rows:
        state = row.state or ""
        active[(row.dag_id, row.pool, row.queue, state)] += 1
        since = state_entered_at(row)
        if since is not None:
            key = (row.dag_id, state)
            oldest[key] = min(since, oldest.get(key, since))
        if state == "scheduled":
            weights.setdefault((row.pool,), []).append(row.priority_weight)
            if since is not None:
                waiting[(row.pool,)] = min(since, waiting.get((row.pool,), since))
    return {
        tasks.ACTIVE: dict(active),
        tasks.OLDEST_STATE_ENTRY: oldest,
        pools.OLDEST_WAITING: waiting,
        pools.WAITING_PRIORITY_MIN: {pool: min(values) for pool, values in weights.items()},
        pools.WAITING_PRIORITY_MAX: {pool: max(values) for pool, values in weights.items()},
    }

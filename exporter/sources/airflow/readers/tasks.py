"""The reader of task instances: those that are active, and every try and outcome, counted once.

A poll walks the active states first, then what ended since the last complete poll (see ended.py); it counts nothing
unless every page of both came. A task instance that was active and is in neither list is asked for its tries.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from exporter.config.dag_filter import Scope
from exporter.metrics.catalogue.api import pools, tasks
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Change, Memory, ReaderError, Reading
from exporter.sources.airflow.api.models import TIS_ACTIVE, TaskInstance
from exporter.sources.airflow.api.protocol import Airflow
from exporter.sources.airflow.counting.by_time import Finder, Key
from exporter.sources.airflow.counting.changes import count
from exporter.sources.airflow.counting.cursor import RETENTION, SPACE, Window
from exporter.sources.airflow.counting.retry_later import MAX_FAILURES, Refusals, is_about_one, is_about_question
from exporter.sources.airflow.counting.rows import Event, Finding, Record, leave_undated, observe
from exporter.sources.airflow.counting.try_history import give_up, settle, settle_deleted
from exporter.sources.airflow.saved_entries import decode_all
from exporter.sources.airflow.shared import Overview, find_cleared

log = logging.getLogger(__name__)

ACTIVE = "task_instances.active"
SETTLED = "task_instances.settled"
QUESTIONS = 200
"""How many task instances a poll asks the tries of; the others are asked for in the next polls."""
SECONDS = 5.0
"""After how many seconds of asking a poll leaves the others to the next one: polls have a deadline."""
DOUBTS = 20
"""How many it asks for though their rows would do."""

Rows = Mapping[bytes, TaskInstance]
Records = Mapping[bytes, Record]


class Poll(NamedTuple):
    """What one poll found: the newest row of each task instance, a row of it that was found a moment earlier, and what
    was known before."""

    rows: Rows
    earlier: Rows
    known: Records
    window: Window

    def subject(self, key: bytes) -> TaskInstance | Record:
        """What a question is about: its row, or what is remembered of it."""
        return self.rows.get(key) or self.known[key]


class TasksReader:
    """Reads task instances of one Airflow."""

    name = "tasks"
    help = "Task instances: active ones, tries, outcomes and waits"
    families: Sequence[Family] = (
        tasks.ACTIVE,
        tasks.OLDEST_STATE_ENTRY,
        pools.OLDEST_WAITING,
        pools.WAITING_PRIORITY_MIN,
        pools.WAITING_PRIORITY_MAX,
    )

    def __init__(
        self,
        airflow: Airflow,
        finder: Finder,
        memory: Memory,
        overview: Overview,
        scope: Scope,
        interval: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.interval = interval
        self._airflow = airflow
        self._finder = finder
        self._memory = memory
        self._overview = overview
        self._scope = scope
        self._clock = clock
        self._refusals: Refusals[bytes] = Refusals(clock)

    def read(self) -> Reading:
        """Read one window. Raises ReaderError."""
        seen: list[Sequence[TaskInstance]] = []

        def read_active() -> Sequence[TaskInstance]:
            seen.append(self._scope.select(self._airflow.task_instances_active()))
            return seen[-1]

        found = self._finder.find(read_active)
        window = found.window
        active = seen[-1] if seen else ()
        ended = self._scope.select(found.rows)
        rows = newest([*active, *ended])
        for row in rows.values():
            self._overview.directory.tell_try(row.dag_id, row.task_id, row.uuid)
        self._overview.directory.tell_poll()
        earlier = {key: row for row in active if rows[key := identify(row)] is not row}
        poll = Poll(rows, earlier, self._recall(rows), window)
        vanished = find_vanished(poll, found.later) if seen else []
        findings, asked, left = self._settle(poll, vanished)
        events = [event for finding in findings.values() for event in finding.events]
        note = f"{len(active)} active, {len(ended)} ended, {len(events)} events, {asked} asked for their tries"
        return Reading(
            tables=state_tables(active) if seen else {},
            changes=[*self._count(events), *(Change(tasks.UNACCOUNTED, ("unanswered",)) for _ in found.unanswered)],
            memories=self._remember(findings, poll.known)
            | {SPACE: self._finder.postpone(left) if left else found.cursors},
            notes=[f"{note}; {found.note}"],
            again=window.until is not None,
            moment=window.after.complete,
            forget={SETTLED: window.since - RETENTION},
        )

    def _recall(self, rows: Rows) -> dict[bytes, Record]:
        """Everything active, and what is remembered of the rows."""
        decode = msgspec.msgpack.Decoder(Record).decode
        found = decode_all(self._memory, ACTIVE, self._memory.recall_all(ACTIVE), decode)
        settled = self._memory.recall(SETTLED, (key for key in rows if key not in found))
        return found | decode_all(self._memory, SETTLED, settled, decode)

    def _settle(self, poll: Poll, vanished: Sequence[bytes]) -> tuple[dict[bytes, Finding], int, frozenset[Key]]:
        """A finding for each task instance that can be told of, how many were asked for, and the runs of those left."""
        findings: dict[bytes, Finding] = {}
        questions: list[bytes] = []
        doubts: list[bytes] = []
        for key, row in poll.rows.items():
            cleared = self._overview.cleared.get((row.dag_id, row.run_id))
            finding = observe(row, poll.known.get(key), poll.window.edge, cleared)
            if finding.ask:
                questions.append(key)
            else:
                findings[key] = leave_undated(finding) if poll.window.first else finding
                if finding.doubt:
                    doubts.append(key)
        urgent = self._refusals.put_last([*questions, *vanished])
        asked = self._ask_in_time([*urgent[:QUESTIONS], *doubts[:DOUBTS]], poll)
        for key in doubts[:DOUBTS]:
            if key not in asked:
                # The next poll asks: it is counted then.
                del findings[key]
        left = frozenset((poll.rows[key].dag_id, poll.rows[key].run_id) for key in questions if key not in asked)
        return findings | asked, len(asked), left

    def _ask_in_time(self, keys: Sequence[bytes], poll: Poll) -> dict[bytes, Finding]:
        """Findings of the first of these, as many as there is time to ask for.

        One that fails is passed over, and asked last by the next poll. Raises ReaderError if there are none, and the
        failure is not about that one alone.
        """
        findings: dict[bytes, Finding] = {}
        failures = 0
        if keys and self._airflow.major >= 3:
            # How a try ended that was cleared shows only beside the time of the clear.
            self._overview.cleared = find_cleared(self._airflow.dag_runs_active())
        end = self._clock() + SECONDS
        for key in self._refusals.put_last(keys):
            try:
                findings[key] = self._ask(key, poll)
            except ReaderError as error:
                if self._refusals.refuse(key, error):
                    log.warning("the tries of %s are given up, they are not told: %s", describe(key, poll), error)
                    findings[key] = give_up(poll.rows.get(key), poll.known.get(key), poll.window.edge)
                    continue
                if not findings and not is_about_question(error):
                    raise
                log.warning("the tries of %s are asked for again: %s", describe(key, poll), error)
                failures += 1
                if not is_about_one(error) or failures >= MAX_FAILURES:
                    break
            else:
                self._refusals.answer(key)
            if self._clock() >= end:
                break
        return findings

    def _ask(self, key: bytes, poll: Poll) -> Finding:
        row, record = poll.rows.get(key), poll.known.get(key)
        of = poll.subject(key)
        tries = self._airflow.tries(of.dag_id, of.run_id, of.task_id, of.map_index)
        cleared = self._overview.cleared.get((of.dag_id, of.run_id))
        if not tries:
            return settle_deleted(record)
        return settle(row, record, tries, poll.window.edge, cleared, poll.earlier.get(key))

    def _count(self, events: Iterable[Event]) -> Iterator[Change]:
        for event in events:
            yield from count(event, self._scope)

    def _remember(self, findings: Mapping[bytes, Finding], known: Records) -> dict[str, dict[bytes, bytes | None]]:
        """Active records and settled ones lie apart: the settled ones are forgotten after a while."""
        active: dict[bytes, bytes | None] = {}
        settled: dict[bytes, bytes | None] = {}
        encode = msgspec.msgpack.Encoder().encode
        for key, (record, *_) in findings.items():
            if record == known.get(key):
                continue
            is_active = record is not None and record.state in TIS_ACTIVE
            active[key] = encode(record) if is_active else None
            settled[key] = encode(record) if record is not None and not is_active else None
        return {ACTIVE: active, SETTLED: settled}


def find_vanished(poll: Poll, later: Collection[Key]) -> list[bytes]:
    """Task instances that were active and are in no list, though those of their run were read."""
    return [
        key
        for key, record in poll.known.items()
        if key not in poll.rows and record.state in TIS_ACTIVE and (record.dag_id, record.run_id) not in later
    ]


def describe(key: bytes, poll: Poll) -> str:
    """A task instance, for the log."""
    of = poll.subject(key)
    return f"{of.dag_id} {of.run_id} {of.task_id}" + (f" [{of.map_index}]" if of.map_index >= 0 else "")


def identify(row: TaskInstance) -> bytes:
    """A short key of a task instance: its DAG, run, task and map index."""
    text = f"{row.dag_id}\0{row.run_id}\0{row.task_id}\0{row.map_index}"
    return blake2b(text.encode(), digest_size=16).digest()


def newest(rows: Iterable[TaskInstance]) -> dict[bytes, TaskInstance]:
    """One row of each task instance: of several the one with the highest try, of those the one read last."""
    found: dict[bytes, TaskInstance] = {}
    for row in rows:
        key = identify(row)
        other = found.get(key)
        if other is None or other.try_number <= row.try_number:
            found[key] = row
    return found


def entered(row: TaskInstance) -> float | None:
    """Since when the row is in its state, in Unix seconds; None where Airflow does not say."""
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
    """The state families of the active task instances."""
    active: Counter[Labels] = Counter()
    oldest: dict[Labels, float] = {}
    waiting: dict[Labels, float] = {}
    weights: dict[Labels, list[int]] = {}
    for row in rows:
        state = row.state or ""
        active[(row.dag_id, row.pool, row.queue, state)] += 1
        since = entered(row)
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

"""Runs a source in its own thread: schedule, deadlines, error handling, and the way of each reading into the store.

read → commit changes and memories in one transaction → publish the changes in the ledger → publish the state tables.
If a reader fails, nothing is lost: its last data stays for three of its intervals, and its next read continues after
the last committed one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial

from exporter import logs
from exporter.collect.pauses import ReaderLoad, compute_pauses
from exporter.collect.reader_state import MAX_NAMED_OBJECTS, AttemptResult, ReaderState, summarize
from exporter.collect.status import ReadCycle, ReaderStatus, SourceStatus
from exporter.metrics.reading import NOTHING, Memories, Reader, ReaderError, Reading, Source
from exporter.redaction import redact_foreign
from exporter.store.ledger import Ledger
from exporter.store.persistence.state_store import StateError, StateStore
from exporter.store.store import Store

log = logging.getLogger(__name__)

LIFE_INTERVALS = 3
"""Data is exposed for this many intervals after the last successful read."""
MAX_BUSY_RATIO = 0.1
"""The part of the time for which the reads of a source may keep the other side busy."""
CONNECTION_CHECK_INTERVAL = 300.0
"""Seconds between checks of a working connection; they detect upgrades of Airflow."""
BACKOFF = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds to wait before the next attempt to connect, after one failure, two failures, and so on."""
NOT_CURED_BY_RECONNECT = frozenset({"forbidden", "rate_limited", "deadline", "state_file", "internal", "bad_request"})
"""Reasons of failures that a new connection does not cure. After any other failure the connection is checked at once.
"""
CONNECTION = "connection"


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    """Whether a source's counters are saved, and the part of the time its reads may take."""

    persists: bool = True
    max_busy_ratio: float = MAX_BUSY_RATIO


class Supervisor:
    """Runs one source in its own thread."""

    def __init__(
        self,
        source: Source,
        store: Store,
        ledger: Ledger,
        state: StateStore,
        *,
        policy: SourcePolicy | None = None,
        on_error: Callable[[str, str], None] = lambda *_: None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._store = store
        self._ledger = ledger
        self._state = state
        self._generation = state.generation
        self._policy = policy or SourcePolicy()
        self._on_error = on_error
        self._clock = clock
        self._wall = wall
        connection = ReaderStatus(
            CONNECTION, "The connection itself", CONNECTION_CHECK_INTERVAL, CONNECTION_CHECK_INTERVAL
        )
        self._states = {CONNECTION: ReaderState(connection)}
        self._connected = self._attempted = self._introduced = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"source-{source.name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> bool:
        """Stop after the current read; False if it did not end within `timeout` seconds."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def status(self) -> SourceStatus:
        """The current status. Any thread may call it."""
        states = list(self._states.values())
        readers = tuple(state.status for state in states)
        cycles = sorted((cycle for state in states for cycle in state.cycles), key=lambda cycle: -cycle.started)
        detail = str(self._source)
        return SourceStatus(self._source.name, self._is_up(), self._attempted, detail, readers, tuple(cycles))

    def _is_up(self) -> bool:
        """Whether the source is up; errors about single objects or one list do not matter."""
        if not self._connected or self._source.refused:
            return False
        if self._source.vital:
            state = self._states.get(self._source.vital)
            return state is not None and self._clock() < state.fresh_until
        return any(one.status.outcome == "ok" for one in list(self._states.values()) if one.status.name != CONNECTION)

    def run_due(self) -> float:
        """Connect and read whatever is due; returns the seconds until something is due again."""
        if not self._connect():
            self._attempted = True
            self._reveal_due()
            return max(0.0, self._states[CONNECTION].due - self._clock())
        readers = self._source.readers
        for reader in readers:
            state = self._get_state(reader)
            # A check of the connection may find another release of Airflow, which has other readers.
            if self._stop.is_set() or not self._connect() or self._source.readers is not readers:
                break
            if state.due <= self._clock():
                self._cycle(reader, state)
        self._attempted = True
        self._introduce()
        return max(0.0, min(state.due for state in self._states.values()) - self._clock())

    def _introduce(self) -> None:
        """Log what is connected, once, after the first round with a successful read."""
        if not self._introduced and self.status().up:
            self._introduced = True
            fields = {"from": str(self._source), **getattr(self._source, "summary", dict)()}
            log.info("%s: the first read succeeded", self._source.name, extra=fields)

    def _run(self) -> None:
        while not self._stop.wait(self.run_due()):
            pass
        self._source.close()

    def _get_state(self, reader: Reader) -> ReaderState:
        if reader.name not in self._states:
            status = ReaderStatus(reader.name, reader.help, reader.interval, reader.interval)
            self._states[reader.name] = ReaderState(status)
        return self._states[reader.name]

    def _connect(self) -> bool:
        state = self._states[CONNECTION]
        if self._connected and state.due > self._clock():
            return True
        result = self._guard(state, self._source.connect)
        self._connected = result.outcome == "ok"
        pause = CONNECTION_CHECK_INTERVAL if self._connected else BACKOFF[min(state.failures, len(BACKOFF)) - 1]
        state.due = self._clock() + pause
        state.status = replace(state.status, pause=pause)
        return self._connected

    def _cycle(self, reader: Reader, state: ReaderState) -> None:
        before = state.typical_duration
        result = self._guard(state, partial(self._read_and_commit, reader))
        self._schedule(reader, state, result)
        if state.typical_duration < before:
            self._bring_forward()
        if result.outcome != "ok":
            self._reveal_due()
            if result.outcome not in NOT_CURED_BY_RECONNECT:
                self._states[CONNECTION].due = self._clock()

    def _read_and_commit(self, reader: Reader) -> Reading:
        self._source.begin(self._clock() + max(reader.interval, 30.0) * 0.9)
        reading = reader.read()
        if reading is NOTHING:
            return reading
        self._commit(reading)
        reading.after_commit()
        if reading.tables:
            self._store.publish(reading.tables, expires=self._clock() + self._life(self._pause(reader)))
        for note in (*reading.notes, *reading.unanswered[:MAX_NAMED_OBJECTS]):
            log.debug("%s: %s", reader.name, note)
        return reading

    def _schedule(self, reader: Reader, state: ReaderState, result: AttemptResult) -> None:
        """Set when the next read is due, and when the data of this one expires."""
        pause = self._pause(reader)
        if result.outcome == "ok":
            state.fresh_until = self._clock() + self._life(pause)
            if reader.families:
                self._store.extend(reader.families, state.fresh_until)
        else:
            pause = min(pause, reader.interval * state.failures)
        if (state.status.interval, state.status.pause) != (reader.interval, pause):
            state.status = replace(state.status, interval=reader.interval, pause=pause)
        state.ended = self._clock()
        state.due = state.ended + (0.0 if result.again else pause)

    def _pause(self, reader: Reader) -> float:
        """The interval of a reader; longer if all readers together would keep the other side too busy."""
        return self._pauses()[reader.name]

    def _pauses(self) -> dict[str, float]:
        typical = {name: state.typical_duration for name, state in self._states.items()}
        loads = {one.name: ReaderLoad(one.interval, typical.get(one.name, 0.0)) for one in self._source.readers}
        return compute_pauses(loads, self._policy.max_busy_ratio)

    def _bring_forward(self) -> None:
        """Shorten the pauses of the other readers after a quicker read: there is more time for theirs."""
        for name, pause in self._pauses().items():
            state = self._states.get(name)
            if state is not None and state.ended + pause < state.due:
                state.due = state.ended + pause
                state.status = replace(state.status, pause=pause)

    def _life(self, pause: float) -> float:
        """Seconds that data lives: its reader reads again after a pause, and after the reads of the others."""
        turns = sum(self._states[one.name].typical_duration for one in self._source.readers if one.name in self._states)
        return LIFE_INTERVALS * (pause + turns)

    def _commit(self, reading: Reading) -> None:
        if self._policy.persists:
            self._state.verify()
        generation = self._state.generation
        memories = self._forget_dags(reading)
        staged = self._ledger.stage(reading.changes)
        rows = self._ledger.rows(staged) if self._policy.persists else []
        if generation != self._generation and self._policy.persists:
            # The file lost its content: write all series again.
            rows = [*self._ledger.dump(), *rows]
        if rows or memories or reading.forget:
            self._state.commit(rows, memories, moment=reading.moment, forget=reading.forget)
        self._generation = generation
        self._ledger.publish(staged)

    def _forget_dags(self, reading: Reading) -> Memories:
        """Delete the series of DAGs that were removed from Airflow, so that they do not fill the families."""
        if reading.dags is None:
            return reading.memories
        # An exporter on a worker has no list of DAGs and must not load what this imports.
        from exporter.collect import absent_dags  # noqa: PLC0415

        return absent_dags.forget_removed(reading, self._ledger, self._state, self._wall())

    def _reveal_due(self) -> None:
        """Reveal series that were exposed as 0 for long enough, although nothing new was read."""
        try:
            self._commit(Reading())
        except StateError as error:
            log.warning("%s", error)

    def _guard(self, state: ReaderState, attempt: Callable[[], Reading | None]) -> AttemptResult:
        """Run one attempt: measure it, collect its log lines, catch every error. The only broad `except` there is."""
        started, begun = self._wall(), self._clock()
        with logs.capture() as lines:
            try:
                result = summarize(attempt())
            except ReaderError as error:
                result = AttemptResult(error.reason, str(error))
            except StateError as error:
                result = AttemptResult("state_file", str(error))
            except Exception as error:
                log.exception("%s: %s failed with an unexpected error", self._source.name, state.status.name)
                said = redact_foreign(f"{type(error).__name__}: {error}")
                result = AttemptResult("internal", f"{said}; please report it with the log")
            duration = self._clock() - begun
            self._record(state, result, started, duration)
        state.record_cycle(ReadCycle(state.status.name, started, duration, result.outcome, tuple(lines)))
        return result

    def _record(self, state: ReaderState, result: AttemptResult, started: float, duration: float) -> None:
        """Record the outcome; log the first failure with a reason and the first success after it, not each one."""
        before = state.status
        succeeded = result.outcome == "ok"
        state.failures = 0 if succeeded else state.failures + 1
        if succeeded:
            state.record_duration(duration)
        state.status = replace(
            before,
            last_attempt=started,
            last_success=started if succeeded else before.last_success,
            outcome=result.outcome,
            message=result.message,
            duration=duration,
            unanswered=result.unanswered,
        )
        name = f"{self._source.name}/{before.name}"
        if not succeeded:
            self._on_error(self._source.name, result.outcome)
            level = logging.WARNING if before.outcome != result.outcome else logging.DEBUG
            log.log(level, "%s failed (%s): %s", name, result.outcome, result.message)
        elif before.outcome not in ("ok", ""):
            log.info("%s works again", name)


def all_attempted(statuses: Iterable[SourceStatus]) -> bool:
    """Whether each source made its first attempt. An Airflow that is down does not make the exporter unready."""
    return all(status.attempted for status in statuses)

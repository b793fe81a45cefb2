"""One thread a source: schedule, deadline, the one guard, and the way of a reading into the store.

read → commit the changes and what to remember in one transaction → apply them to the ledger → publish the state.
A reader that fails loses nothing: its last data stays for three of its intervals, its next read takes up where the
last committed one ended.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from exporter import logs
from exporter.collect.reader_state import MESSAGES, Result, Track, summarize
from exporter.collect.status import Cycle, ReaderStatus, SourceStatus
from exporter.metrics.family import Labels
from exporter.metrics.reading import NOTHING, Memories, Reader, ReaderError, Reading, Source
from exporter.redaction import redact_foreign
from exporter.store.ledger import Ledger
from exporter.store.persistence.state_store import Keeper, StateError
from exporter.store.store import Store

log = logging.getLogger(__name__)

LIFE = 3
"""For how many intervals data is exposed that was not renewed."""
SHARE = 0.1
"""The part of the time for which a source may keep the other side busy."""
RECONNECT = 300.0
"""How often the connection is checked while all goes well, in seconds; it finds upgrades."""
BACKOFF = (1.0, 2.0, 5.0, 10.0, 30.0)
"""How long to wait before connecting anew, after one failure, two, and so on, in seconds."""
LASTING = frozenset({"forbidden", "rate_limited", "deadline", "state_file", "internal", "bad_request"})
"""Failures that a new connection does not cure; after any other one the connection is checked at once."""
CONNECTION = "connection"


@dataclass(frozen=True, slots=True)
class Manner:
    """How a source is driven: whether its counters outlive the process, and the part of the time it may take."""

    persists: bool = True
    share: float = SHARE


class Supervisor:
    """Runs one source in a thread of its own."""

    def __init__(
        self,
        source: Source,
        store: Store,
        ledger: Ledger,
        state: Keeper,
        *,
        manner: Manner | None = None,
        on_error: Callable[[str, str], None] = lambda *_: None,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._source = source
        self._store = store
        self._ledger = ledger
        self._state = state
        self._generation = state.generation
        self._manner = manner or Manner()
        self._on_error = on_error
        self._clock = clock
        self._wall = wall
        self._tracks = {CONNECTION: Track(ReaderStatus(CONNECTION, "The connection itself", RECONNECT, RECONNECT))}
        self._connected = self._attempted = self._introduced = False
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"source-{source.name}", daemon=True)

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self, timeout: float = 10.0) -> bool:
        """Stop after the read under way; says whether it ended in time. The state is committed read by read."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def status(self) -> SourceStatus:
        """How the source fares now; any thread may ask."""
        tracks = list(self._tracks.values())
        readers = tuple(track.status for track in tracks)
        cycles = sorted((cycle for track in tracks for cycle in tuple(track.cycles)), key=lambda cycle: -cycle.started)
        detail = str(self._source)
        return SourceStatus(self._source.name, self._is_up(), self._attempted, detail, readers, tuple(cycles))

    def _is_up(self) -> bool:
        """Whether the source is there: what it says of single objects, or of one list, does not matter."""
        if not self._connected or self._source.refused:
            return False
        if self._source.vital:
            track = self._tracks.get(self._source.vital)
            return track is not None and self._clock() < track.fresh_until
        return any(one.status.outcome == "ok" for one in list(self._tracks.values()) if one.status.name != CONNECTION)

    def run_due(self) -> float:
        """Do all that is due; returns in how many seconds something is due again."""
        if not self._connect():
            self._attempted = True
            self._promote()
            return max(0.0, self._tracks[CONNECTION].due - self._clock())
        readers = self._source.readers
        for reader in readers:
            track = self._track(reader)
            # A check of the connection may find another release, which has readers of its own.
            if self._stop.is_set() or not self._connect() or self._source.readers is not readers:
                break
            if track.due <= self._clock():
                self._cycle(reader, track)
        self._attempted = True
        self._introduce()
        return max(0.0, min(track.due for track in self._tracks.values()) - self._clock())

    def _introduce(self) -> None:
        """Log what is read, once, after the first round in which a reader succeeded."""
        if not self._introduced and self.status().up:
            self._introduced = True
            fields = {"from": str(self._source), **getattr(self._source, "summary", dict)()}
            log.info("%s: the first read succeeded", self._source.name, extra=fields)

    def _run(self) -> None:
        while not self._stop.wait(self.run_due()):
            pass
        self._source.close()

    def _track(self, reader: Reader) -> Track:
        if reader.name not in self._tracks:
            status = ReaderStatus(reader.name, reader.help, reader.interval, reader.interval)
            self._tracks[reader.name] = Track(status)
        return self._tracks[reader.name]

    def _connect(self) -> bool:
        track = self._tracks[CONNECTION]
        if self._connected and track.due > self._clock():
            return True
        result = self._guard(track, self._source.connect)
        self._connected = result.outcome == "ok"
        pause = RECONNECT if self._connected else BACKOFF[min(track.failures, len(BACKOFF)) - 1]
        track.due = self._clock() + pause
        track.status = replace(track.status, pause=pause)
        return self._connected

    def _cycle(self, reader: Reader, track: Track) -> None:
        def read_and_commit() -> Reading:
            self._source.begin(self._clock() + max(reader.interval, 30.0) * 0.9)
            reading = reader.read()
            if reading is NOTHING:
                return reading
            self._commit(reading)
            if reading.tables:
                self._store.publish(reading.tables, expires=self._clock() + self._life(self._pause(reader)))
            for note in (*reading.notes, *reading.unanswered[:MESSAGES]):
                log.debug("%s: %s", reader.name, note)
            return reading

        result = self._guard(track, read_and_commit)
        pause = self._pause(reader)
        if result.outcome == "ok":
            track.fresh_until = self._clock() + self._life(pause)
            if reader.families:
                self._store.keep(reader.families, track.fresh_until)
        else:
            pause = min(pause, reader.interval * track.failures)
        if (track.status.interval, track.status.pause) != (reader.interval, pause):
            track.status = replace(track.status, interval=reader.interval, pause=pause)
        track.due = self._clock() + (0.0 if result.again else pause)
        if result.outcome != "ok":
            self._promote()
            if result.outcome not in LASTING:
                self._tracks[CONNECTION].due = self._clock()

    def _pause(self, reader: Reader) -> float:
        """The reader's interval; longer for the slowest, where all together would keep the other side too busy."""
        usual = {one.name: self._tracks[one.name].usual for one in self._source.readers if one.name in self._tracks}
        shares = {one.name: usual.get(one.name, 0.0) / one.interval for one in self._source.readers}
        ceiling = find_ceiling(shares.values(), self._manner.share)
        return reader.interval if shares[reader.name] <= ceiling else usual[reader.name] / ceiling

    def _life(self, pause: float) -> float:
        """For how many seconds data lives: its reader's turn comes after a pause, and after those of the others."""
        turns = sum(self._tracks[one.name].usual for one in self._source.readers if one.name in self._tracks)
        return LIFE * (pause + turns)

    def _commit(self, reading: Reading) -> None:
        self._state.verify()
        generation = self._state.generation
        removed, memories = self._forget_dags(reading)
        staged = self._ledger.stage(reading.changes)
        rows = self._ledger.rows(staged) if self._manner.persists else []
        if generation != self._generation and self._manner.persists:
            # The file lost what it had: all that was counted is written once more.
            rows = [*self._ledger.dump(), *rows]
        if rows or memories or reading.forget or removed:
            self._state.commit(rows, memories, moment=reading.moment, forget=reading.forget, removed=removed)
        self._generation = generation
        self._ledger.adopt(staged)

    def _forget_dags(self, reading: Reading) -> tuple[list[tuple[str, Labels]], Memories]:
        """Drop what was counted of DAGs that are gone for good, so that they do not fill the families for ever."""
        if reading.dags is None:
            return [], reading.memories
        # A worker, which has no list of DAGs, must not pay for what this imports.
        from exporter.collect import absent_dags  # noqa: PLC0415

        verdict = absent_dags.judge(reading.dags, reading.dag_spaces, self._ledger, self._state, self._wall())
        return absent_dags.forget(self._ledger, verdict.gone), {**reading.memories, **verdict.memories}

    def _promote(self) -> None:
        """Let series show their value that were born at zero, though nothing new was read."""
        try:
            self._commit(Reading())
        except StateError as error:
            log.warning("%s", error)

    def _guard(self, track: Track, attempt: Callable[[], Reading | None]) -> Result:
        """Run one attempt: time it, keep its log lines, let no error out. The only broad except there is."""
        started, begun = self._wall(), self._clock()
        with logs.capture() as lines:
            try:
                result = summarize(attempt())
            except ReaderError as error:
                result = Result(error.reason, str(error))
            except StateError as error:
                result = Result("state_file", str(error))
            except Exception as error:
                log.exception("%s: %s failed in a way that is not foreseen", self._source.name, track.status.name)
                said = redact_foreign(f"{type(error).__name__}: {error}")
                result = Result("internal", f"{said}; please report it with the log")
            duration = self._clock() - begun
            self._record(track, result, started, duration)
        track.cycles.appendleft(Cycle(track.status.name, started, duration, result.outcome, tuple(lines)))
        return result

    def _record(self, track: Track, result: Result, started: float, duration: float) -> None:
        """Note the outcome; log when it turns bad and when it turns good, not each time."""
        before = track.status
        succeeded = result.outcome == "ok"
        track.failures = 0 if succeeded else track.failures + 1
        if succeeded:
            track.note_duration(duration)
        track.status = replace(
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


def find_ceiling(shares: Iterable[float], budget: float) -> float:
    """The largest share that each may have so that all together keep within the budget: the small ones in full."""
    ordered = sorted(shares)
    for index, share in enumerate(ordered):
        even = budget / (len(ordered) - index)
        if share > even:
            return even
        budget -= share
    return math.inf


def all_attempted(statuses: Iterable[SourceStatus]) -> bool:
    """Whether each source made its first attempt: a dead Airflow must not make the exporter unready."""
    return all(status.attempted for status in statuses)

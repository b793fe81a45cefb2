"""Finding what ended on Airflow 2: run by run.

Runs are listed: each that ended, each whose active task instances changed, and at times those that stand still, since
what began and ended in them between two polls shows nowhere else. Of a run that was listed before, only what was
touched since is asked for. A poll lists as many as it has time for; the others, and those that fail, wait for the next
poll. One that fails again and again goes last and is given up in the end. What was listed counts as known only once it
was committed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from exporter.config.dag_filter import Scope
from exporter.metrics.reading import Memory, ReaderError
from exporter.sources.airflow.api.models import DagRun, TaskInstance
from exporter.sources.airflow.api.protocol import AirflowByRun
from exporter.sources.airflow.counting.by_time import Found, Key
from exporter.sources.airflow.counting.cursor import (
    OVERLAP,
    SPACE,
    Window,
    hold,
    open_window,
    read_cursor,
    write_cursor,
)
from exporter.sources.airflow.counting.retry_later import MAX_FAILURES, Refusals, is_about_one, is_about_question
from exporter.sources.airflow.saved_entries import decode_all
from exporter.sources.airflow.shared import Overview

log = logging.getLogger(__name__)

LISTINGS = 40
"""How many runs one poll lists."""
SECONDS = 5.0
"""After how many seconds of listing a poll leaves the others to the next one: polls have a deadline."""
BUSY = 60.0
"""After how many seconds a run in which the same task instances stay active is listed again, at first."""
EMPTY = 5.0
"""The same for a run in which none is active: those that are next may begin and end before the next poll."""
ALONE = 300.0
"""The longest time for which a run is left alone, in seconds, while few stand still."""
ALONE_EACH = 1.5
"""The same for each run that stands still, where that is longer: a poll each half minute then lists twenty of them."""
KEPT = 3600.0
"""For how many seconds before the window it is remembered which runs were listed."""
SERIAL = b"tasks.listed"

UNKNOWN: frozenset[tuple[object, ...]] = frozenset({("unknown",)})
"""The sign of a run that nobody has."""

Signs = Mapping[Key, frozenset[tuple[object, ...]]]
"""For each run what tells whether its active task instances changed."""


class Pause(NamedTuple):
    """From when on a run that stands still is to be listed, and how long it is then left alone, in seconds."""

    due: float
    length: float


class Look(NamedTuple):
    """One find, until it is known whether it was committed."""

    serial: int
    window: Window
    ended: list[DagRun]
    """Those that were listed."""
    signs: Signs
    pauses: dict[Key, Pause]
    read: dict[Key, float]
    """When the runs were listed, on the server's clock."""


class Listing(NamedTuple):
    """What one poll read of the runs that it listed, whether it ended with one that failed, and which it gave up."""

    rows: Mapping[Key, Sequence[TaskInstance]]
    unanswered: frozenset[Key] = frozenset()
    failed: bool = False


class ByRun:
    """Lists the runs in which something may have ended."""

    def __init__(
        self,
        airflow: AirflowByRun,
        memory: Memory,
        overview: Overview,
        scope: Scope,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._airflow = airflow
        self._memory = memory
        self._overview = overview
        self._scope = scope
        self._clock = clock
        self._signs: Signs = {}
        """Nothing is known after a start: every active run is listed once."""
        self._listed: dict[tuple[Key, float | None], float] = {}
        self._pauses: dict[Key, Pause] = {}
        self._read: dict[Key, float] = {}
        self._refusals: Refusals[Key] = Refusals(clock)
        self._look: Look | None = None

    def find(self, active: Callable[[], Sequence[TaskInstance]]) -> Found:
        """Look once. Raises ReaderError."""
        serial = self._adopt()
        now = self._airflow.server_time()
        window = open_window(read_cursor(self._memory, "tasks"), now, sliced=False)
        signs = sign(active())
        ended = self._find_ended(window.since)
        changed = self._find_changed(signs, ended)
        pauses = self._find_pauses(signs, {key_of(run) for run in ended} | set(changed))
        still = [key for key in sorted(pauses, key=pauses.__getitem__) if pauses[key].due <= self._clock()]
        listing = self._list_in_time([*map(key_of, ended), *changed, *still])
        listed = listing.rows
        later = frozenset({*map(key_of, ended), *changed} - listed.keys())
        if left := [run for run in ended if key_of(run) in later]:
            window = stop_at(window, left[0], again=not listing.failed)
            ended = [run for run in ended if key_of(run) in listed]
        pauses |= {key: lengthen(pauses[key], self._clock(), len(pauses)) for key in still if key in listed}
        read = {key: when for key, when in self._read.items() if key in pauses or key in signs}
        self._look = Look(serial + 1, window, ended, keep_back(signs, later), pauses, read | dict.fromkeys(listed, now))
        rows = [row for rows in listed.values() for row in rows]
        note = f"{len(listed)} runs listed, {len(later)} left"
        return Found(rows, window, self._cursors(), note, later, listing.unanswered)

    def postpone(self, runs: Collection[Key]) -> Mapping[bytes, bytes | None]:
        """The next find lists these runs again."""
        look = self._look
        assert look is not None  # noqa: S101 - something was found before
        ended = [run for run in look.ended if key_of(run) not in runs]
        read = {key: when for key, when in look.read.items() if key not in runs}
        read |= {key: self._read[key] for key in runs if key in self._read}
        signs = keep_back(look.signs, runs)
        self._look = look._replace(window=hold(look.window), ended=ended, signs=signs, read=read)
        return self._cursors()

    def _adopt(self) -> int:
        """Take what the last find listed as known, if it was committed; the number of the last one that was."""
        found = self._memory.recall(SPACE, [SERIAL])
        known = decode_all(self._memory, SPACE, found, msgspec.msgpack.Decoder(int).decode)
        serial = known.get(SERIAL, 0)
        look, self._look = self._look, None
        if look is not None and look.serial == serial:
            self._signs, self._pauses, self._read = look.signs, look.pauses, look.read
            self._listed.update(((key_of(run), run.end_date), look.window.after.complete) for run in look.ended)
            oldest = look.window.since - KEPT
            self._listed = {entry: moment for entry, moment in self._listed.items() if moment >= oldest}
        return serial

    def _cursors(self) -> dict[bytes, bytes | None]:
        assert self._look is not None  # noqa: S101 - something was found before
        return {**write_cursor("tasks", self._look.window), SERIAL: msgspec.msgpack.encode(self._look.serial)}

    def _find_ended(self, since: float) -> list[DagRun]:
        """Runs that ended and were not listed since, the oldest end first."""
        runs = self._scope.select(self._airflow.dag_runs_ended(since))
        fresh = [run for run in runs if (key_of(run), run.end_date) not in self._listed]
        return sorted(fresh, key=lambda run: run.end_date or 0.0)

    def _find_changed(self, signs: Signs, ended: Iterable[DagRun]) -> list[Key]:
        """Runs whose active task instances are not what they were at the last poll."""
        done = {key_of(run) for run in ended}
        keys = {**self._signs, **signs}
        return [key for key in keys if key not in done and self._signs.get(key) != signs.get(key)]

    def _find_pauses(self, signs: Signs, moving: set[Key]) -> dict[Key, Pause]:
        """When each active run that stands still is to be listed: it may do so for ever (its DAG is paused)."""
        now = self._clock()
        runs = {key for key in self._overview.active_runs if self._scope.covers(key[0])} | set(signs)
        first = {False: Pause(now, EMPTY), True: Pause(now + BUSY, BUSY)}
        return {key: self._pauses.get(key, first[key in signs]) for key in runs - moving}

    def _list_in_time(self, keys: Sequence[Key]) -> Listing:
        """What ended in the first of these runs, as many as there is time for.

        One that fails is passed over, and listed last by the next poll. Raises ReaderError if there are none, and the
        failure is not about that run alone.
        """
        end = self._clock() + SECONDS
        found: dict[Key, Sequence[TaskInstance]] = {}
        unanswered: set[Key] = set()
        failures = 0
        for key in self._refusals.put_last(keys)[:LISTINGS]:
            try:
                found[key] = self._list(key)
            except ReaderError as error:
                if self._refusals.refuse(key, error):
                    log.warning("what ended in %s %s is given up, Airflow does not tell it: %s", *key, error)
                    found[key] = ()
                    unanswered.add(key)
                    continue
                if not found and not is_about_question(error):
                    raise
                log.warning("what ended in %s %s is asked for again: %s", *key, error)
                failures += 1
                if not is_about_one(error) or failures >= MAX_FAILURES:
                    break
            else:
                self._refusals.answer(key)
            if self._clock() >= end:
                break
        return Listing(found, frozenset(unanswered), failed=failures > 0)

    def _list(self, key: Key) -> Sequence[TaskInstance]:
        since = self._read[key] - OVERLAP if key in self._read else None
        return self._airflow.task_instances_ended_of_run(*key, since) or ()


def keep_back(signs: Signs, runs: Collection[Key]) -> Signs:
    """The signs to remember: runs that still have to be listed are taken for changed whatever they show next."""
    return {**signs, **dict.fromkeys(runs, UNKNOWN)}


def stop_at(window: Window, left: DagRun, *, again: bool) -> Window:
    """The window up to the first run that ended and was not listed; bounded if another is to follow at once."""
    before = hold(window).after.complete
    complete = min(max(before, left.end_date or before), window.after.complete)
    return window._replace(until=complete if again else None, after=window.after._replace(complete=complete))


def lengthen(pause: Pause, now: float, count: int) -> Pause:
    """The pause after a run was listed that stands still, one of so many."""
    return Pause(now + pause.length, min(2 * pause.length, max(ALONE, ALONE_EACH * count)))


def key_of(run: DagRun) -> Key:
    return (run.dag_id, run.run_id)


def sign(rows: Iterable[TaskInstance]) -> Signs:
    """What tells whether a run's active task instances changed."""
    runs: dict[Key, set[tuple[object, ...]]] = {}
    for row in rows:
        task = (row.task_id, row.map_index, row.try_number, row.state)
        runs.setdefault((row.dag_id, row.run_id), set()).add(task)
    return {key: frozenset(tasks) for key, tasks in runs.items()}

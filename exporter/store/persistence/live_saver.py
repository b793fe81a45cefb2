"""Keeps the counters, histograms and summaries of live tables in the state file, at next to no cost to reception.

Every few seconds what changed is written in one transaction, by the thread of the source's readers and not by the
receiving one. Whether a series changed is seen by comparing it with what was written last, so receiving it does no more
work than without a state file. A write is followed by the next one the later the more CPU time it took.

What is exposed is what was written: after a crash no counter is lower than what Prometheus has seen, which would count
its whole value once more. Only while nothing can be written are values exposed as they are.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import NamedTuple, cast

import msgspec

from exporter.metrics.family import Family
from exporter.metrics.family_spec import FamilySpec
from exporter.metrics.reading import NOTHING, Reading
from exporter.store.live_rows import LiveChanges, LiveRow
from exporter.store.live_table import Live
from exporter.store.live_tables import Events
from exporter.store.persistence.live_file import describe_family, encode_cells
from exporter.store.persistence.state_store import Keeper, StateError
from exporter.store.senders import Window
from exporter.store.store import Kept, Series

log = logging.getLogger(__name__)

INTERVAL = 5.0
"""Seconds between two writes: a crash loses what was received within them."""
MAX_INTERVAL = 30.0
"""The longest that this may become."""
CPU_SHARE = 0.01
"""The part of a CPU's time that writing may take."""
CHUNK = 1_000
"""Series that are compared without letting other threads in."""
MAX_SILENCE = 30 * 86_400.0
"""Seconds after which a series that did not change is left behind at a start: what it counted is gone by then."""
SPACE = "live"
CONFIGURED = b"configuration"


encode = msgspec.msgpack.encode


class Changed(NamedTuple):
    """A series that has to be written: what it is worth now, and whether that is shown from now on."""

    series: Kept | Window
    live: Live
    cells: float | list[float]
    shown: bool


class LiveSaver:
    """Writes what changed; a reader of the source whose tables it keeps."""

    name = "state_file"
    help = "Counters and histograms of StatsD, as they are written to the state file"
    families: Sequence[Family] = ()

    def __init__(self, events: Events, state: Keeper, *, wall: Callable[[], float] | None = None) -> None:
        self.interval = INTERVAL
        self._events = events
        self._state = state
        self._wall = wall or time.time
        self._generation = state.generation
        self._numbers = count(1)
        self._owed: dict[Kept | Window, None] = {}
        """Series whose last change could not be written."""
        self._fresh: list[Live | Kept | Window] = []
        """What got its row in the write under way."""
        self.configuration = b""
        """What the families are fed by: another one may feed others."""
        self._written_configuration = b""

    def restore(self, configuration: bytes, find_family: Callable[[FamilySpec], Family | None]) -> None:
        """Take back what an earlier process kept, before anything is received. Raises StateError.

        Under the same `configuration` all series are exposed at once. Under another one each waits until something
        is received for it: nothing else says whether it would still be fed.
        """
        contents = self._state.read_live()
        self._numbers = count(contents.newest + 1)
        stale = [row.id for row in contents.rows if not self._hold_back(contents.families[row.family], row)]
        self._events.waiting.discarded.extend((*stale, *contents.lost))
        before = self._state.recall(SPACE, [CONFIGURED]).get(CONFIGURED, b"")
        self.configuration, self._written_configuration = configuration, before
        waiting = len(contents.rows) - len(stale)
        if before == configuration:
            log.info("%d of %d series of StatsD go on where they were", self._events.restore(find_family), waiting)
        elif waiting:
            log.info("StatsD's configuration changed: each of %d series goes on when it is sent again", waiting)

    def _hold_back(self, spec: FamilySpec, row: LiveRow) -> bool:
        """Let a series of an earlier process go on when it is made again; says whether it is not too old."""
        silent = max(0.0, self._wall() - row.changed)
        if silent > (min(spec.ttl, MAX_SILENCE) if spec.ttl else MAX_SILENCE):
            return False
        self._events.waiting.hold_back(spec, row, self._events.clock() - silent)
        return True

    def read(self) -> Reading:
        """Write what changed since the last time. Raises StateError."""
        self.save()
        return NOTHING

    def finish(self) -> None:
        """Write the rest, once nothing is received any more."""
        try:
            self.save()
        except StateError as error:
            log.warning("%s", error)

    def save(self) -> None:
        """Write what changed since the last time. Raises StateError, after which values are exposed as they are."""
        begun = time.thread_time()
        self._state.verify()
        if self._generation != self._state.generation:
            self._forget_rows()
        changed = self._find_changed()
        self._write(self._make_changes(changed), changed)
        spent = time.thread_time() - begun
        self.interval = min(MAX_INTERVAL, max(INTERVAL, spent / CPU_SHARE))
        log.debug("%d series written in %.0f ms of CPU time", len(changed), spent * 1000)

    def _find_changed(self) -> list[Changed]:
        """Series whose value changed, or that are to be shown from now on."""
        ripe = self._events.clock() - self._events.hold
        found: list[Changed] = []
        for live in self._events.list_kept():
            series = live.table.series
            for start in range(0, len(series), CHUNK):
                for one in pick_candidates(series[start : start + CHUNK]):
                    shown = one.shown or 0 < one.exposed_at <= ripe
                    if one.value == one.kept and shown == one.shown and one.row and one not in self._owed:
                        # It is not shown, and waits to be exposed as 0.
                        continue
                    cells = one.take()
                    if cells != one.kept or shown != one.shown or not one.row or one in self._owed:
                        found.append(Changed(one, live, cells, shown))
                # Other threads need not wait for the interpreter until all are compared.
                time.sleep(0)
        return found

    def _make_changes(self, changed: Sequence[Changed]) -> LiveChanges:
        changes = LiveChanges(everything=self._generation != self._state.generation)
        now = int(self._wall())
        for one, live, cells, shown in changed:
            if not live.row:
                live.row = next(self._numbers)
                self._fresh.append(live)
                changes.families.append((live.row, encode(describe_family(live.table))))
            if not one.row:
                one.row = next(self._numbers)
                self._fresh.append(one)
                changes.series.append((one.row, live.row, encode(one.labels)))
            changes.values.append((one.row, encode_cells(cells), shown, now))
        # Afterwards, so that what expired meanwhile has a row, which goes again.
        changes.gone.extend(self._events.take_gone())
        return changes

    def _write(self, changes: LiveChanges, changed: Sequence[Changed]) -> None:
        reconfigured = self.configuration != self._written_configuration or changes.everything
        memories = {SPACE: {CONFIGURED: self.configuration}} if reconfigured else {}
        try:
            if changes or memories:
                self._state.write_live(changes, memories)
        except StateError:
            self._owed.update(dict.fromkeys(one.series for one in changed))
            self._events.waiting.discarded.extend(changes.gone)
            for fresh in self._fresh:
                fresh.row = 0
            raise
        finally:
            self._fresh.clear()
            for one in changed:
                one.series.kept, one.series.shown = one.cells, one.shown
        self._owed.clear()
        self._generation = self._state.generation
        self._written_configuration = self.configuration

    def _forget_rows(self) -> None:
        """The state file lost what it had: everything is written once more."""
        for live in self._events.list_kept():
            live.row = 0
            for one in live.table.series:
                if isinstance(one, Kept | Window):
                    one.row = 0


def pick_candidates(series: Sequence[Series]) -> list[Kept | Window]:
    """Those that may have changed, in as little time as possible: of all, each few seconds."""
    kept = cast("Sequence[Kept]", series)
    return [one for one in kept if one.value != one.kept or not one.shown or not one.row]

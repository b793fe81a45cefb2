"""Writes the counters, histograms and summaries of live tables to the state file, without load on the receiving thread.

Every few seconds the thread of the source's readers compares each series with its last saved value, and writes the
changes in one transaction. The more CPU time a write takes, the later is the next one.

The saved values are exposed. So after a crash no counter is lower than what Prometheus has seen; Prometheus would take
that for a reset and count its whole value again. Only if the file cannot be written, current values are exposed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import count
from typing import NamedTuple, cast

import msgspec

from exporter.metrics.family import Family
from exporter.metrics.family_spec import FamilySpec
from exporter.metrics.reading import NOTHING, Reading
from exporter.store.live_rows import LiveChanges, LiveRow
from exporter.store.live_table import LiveTable
from exporter.store.live_tables import REMOVED, LiveTables
from exporter.store.persistence.live_file import describe_family, encode_cells
from exporter.store.persistence.state_store import StateError, StateStore
from exporter.store.senders import SummarySeries
from exporter.store.store import PersistentSeries, Series

log = logging.getLogger(__name__)

INTERVAL = 5.0
"""Seconds between two writes: what arrived after the last write is lost in a crash."""
MAX_INTERVAL = 30.0
"""The longest time between two writes, in seconds."""
CPU_SHARE = 0.01
"""The fraction of one CPU that writing may use."""
SERIES_PER_SLICE = 1_000
"""Series that are compared before other threads may run."""
MAX_SILENCE = 30 * 86_400.0
"""Seconds: at a start, a series that did not change for longer is not restored."""
MEMORY_SPACE = "live"
CONFIGURATION_KEY = b"configuration"


encode = msgspec.msgpack.encode


class ChangedSeries(NamedTuple):
    """A series to write, its current value, and whether it is revealed from now on."""

    series: PersistentSeries | SummarySeries
    live: LiveTable
    cells: float | list[float]
    revealed: bool


class LiveSaver:
    """Writes changed series. It runs as one more reader of the source whose tables it saves."""

    name = "state_file"
    help = "Writes the counters and histograms of StatsD to the state file"
    families: Sequence[Family] = ()

    def __init__(self, tables: LiveTables, state: StateStore, *, wall: Callable[[], float] | None = None) -> None:
        self.interval = INTERVAL
        self._tables = tables
        self._state = state
        self._wall = wall or time.time
        self._generation = state.generation
        self._numbers = count(1)
        self._unwritten: dict[PersistentSeries | SummarySeries, None] = {}
        """Series whose last change was not written because of an error."""
        self._new_rows: list[LiveTable | PersistentSeries | SummarySeries] = []
        """Tables and series that got their row id in the current write."""
        self.configuration = b""
        """A digest of the settings that decide which families are fed."""
        self._written_configuration = b""

    def restore(self, configuration: bytes, find_family: Callable[[FamilySpec], Family | None]) -> None:
        """Restore what an earlier process saved, before the first event. Raises StateError.

        With the same `configuration` all series are exposed at once. If it changed, each series waits for its next
        event, because it is not known whether it is still fed.
        """
        contents = self._state.read_live()
        self._numbers = count(contents.newest + 1)
        stale = [row.id for row in contents.rows if not self._keep_unclaimed(contents.families[row.family], row)]
        self._tables.unclaimed.discarded.extend((*stale, *contents.lost))
        before = self._state.recall(MEMORY_SPACE, [CONFIGURATION_KEY]).get(CONFIGURATION_KEY, b"")
        self.configuration, self._written_configuration = configuration, before
        waiting = len(contents.rows) - len(stale)
        if before == configuration:
            log.info("%d of %d saved series of StatsD were restored", self._tables.restore(find_family), waiting)
        elif waiting:
            log.info("StatsD's configuration changed: %d saved series are restored when they are sent again", waiting)

    def _keep_unclaimed(self, spec: FamilySpec, row: LiveRow) -> bool:
        """Keep a saved series until it is created; False if it is too old."""
        silent = max(0.0, self._wall() - row.changed)
        if silent > (min(spec.ttl, MAX_SILENCE) if spec.ttl else MAX_SILENCE):
            return False
        self._tables.unclaimed.add(spec, row, self._tables.clock() - silent)
        return True

    def read(self) -> Reading:
        """Write the changes. Raises StateError."""
        self.save()
        return NOTHING

    def finish(self) -> None:
        """Write the last changes, after the last event; an error is only logged."""
        try:
            self.save()
        except StateError as error:
            log.warning("%s", error)

    def save(self) -> None:
        """Write the changes. Raises StateError; then the current values are exposed although they are not saved."""
        begun = time.thread_time()
        try:
            self._state.verify()
        except StateError:
            changed = self._find_changed()
            self._keep_unwritten(changed, self._tables.pop_removed_rows())
            expose(changed)
            raise
        # As of now: if another thread finds meanwhile that the file lost its content, the next write is of everything.
        generation = self._state.generation
        is_lost = self._generation != generation
        if is_lost:
            self._forget_rows()
        changed = self._find_changed()
        self._write(self._make_changes(changed, everything=is_lost), changed)
        self._generation = generation
        spent = time.thread_time() - begun
        self.interval = min(MAX_INTERVAL, max(INTERVAL, spent / CPU_SHARE))
        log.debug("%d series written in %.0f ms of CPU time", len(changed), spent * 1000)

    def _find_changed(self) -> list[ChangedSeries]:
        """Series whose value changed, or that are due to be revealed."""
        due = self._tables.clock() - self._tables.birth_hold
        found: list[ChangedSeries] = []
        for live in self._tables.list_persistent():
            series = live.table.series
            for start in range(0, len(series), SERIES_PER_SLICE):
                for one in pick_candidates(series[start : start + SERIES_PER_SLICE], self._unwritten):
                    revealed = one.revealed or 0 < one.exposed_at <= due
                    if one.value == one.saved and revealed == one.revealed and one.row and one not in self._unwritten:
                        # Not revealed, and not yet exposed as 0 for long enough.
                        continue
                    cells = one.snapshot()
                    if cells != one.saved or revealed != one.revealed or not one.row or one in self._unwritten:
                        found.append(ChangedSeries(one, live, cells, revealed))
                # Release the GIL, so that other threads do not wait until all series are compared.
                time.sleep(0)
        return found

    def _make_changes(self, changed: Sequence[ChangedSeries], *, everything: bool) -> LiveChanges:
        changes = LiveChanges(everything=everything)
        now = int(self._wall())
        for one, live, cells, revealed in changed:
            if not live.row:
                live.row = next(self._numbers)
                self._new_rows.append(live)
                changes.families.append((live.row, encode(describe_family(live.table))))
            if not one.row:
                one.row = next(self._numbers)
                self._new_rows.append(one)
                changes.series.append((one.row, live.row, encode(one.labels)))
            changes.values.append((one.row, encode_cells(cells), revealed, now))
        # After the loop: a series that expired meanwhile has its row id by now, and is deleted again.
        changes.gone.extend(self._tables.pop_removed_rows())
        return changes

    def _write(self, changes: LiveChanges, changed: Sequence[ChangedSeries]) -> None:
        reconfigured = self.configuration != self._written_configuration or changes.everything
        memories = {MEMORY_SPACE: {CONFIGURATION_KEY: self.configuration}} if reconfigured else {}
        try:
            if changes or memories:
                self._state.write_live(changes, memories)
        except StateError:
            self._keep_unwritten(changed, changes.gone)
            for new in self._new_rows:
                new.row = 0
            raise
        finally:
            self._new_rows.clear()
            expose(changed)
        self._unwritten.clear()
        self._written_configuration = self.configuration

    def _keep_unwritten(self, changed: Iterable[ChangedSeries], gone: Iterable[int]) -> None:
        """Keep what a write that failed leaves to the next one: changed series, and the ids of rows to delete."""
        unwritten = (*self._unwritten, *(one.series for one in changed))
        self._unwritten = {one: None for one in unwritten if one.exposed_at != REMOVED}
        self._tables.unclaimed.discarded.extend(gone)

    def _forget_rows(self) -> None:
        """The state file lost its content: write everything again."""
        for live in self._tables.list_persistent():
            live.row = 0
            for one in live.table.series:
                if isinstance(one, PersistentSeries | SummarySeries):
                    one.row = 0


def expose(changed: Iterable[ChangedSeries]) -> None:
    """Expose the values that were written, or that could not be."""
    for one in changed:
        one.series.saved, one.series.revealed = one.cells, one.revealed


def pick_candidates(
    series: Sequence[Series], unwritten: Collection[PersistentSeries | SummarySeries] = ()
) -> list[PersistentSeries | SummarySeries]:
    """Series that may have changed. It runs over all series every few seconds, so it is one fast loop."""
    kept = cast("Sequence[PersistentSeries]", series)
    if unwritten:
        return [one for one in kept if one.value != one.saved or not one.revealed or not one.row or one in unwritten]
    return [one for one in kept if one.value != one.saved or not one.revealed or not one.row]

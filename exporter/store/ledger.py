"""Counters and histograms that only grow, across restarts too.

A change is staged, written to the state file with the reader's memory in one transaction, and only
then adopted, so that what was exposed is never ahead of what a restart will find.

Born at zero: a child is exposed as 0 first. It shows its value only after a commit has recorded that
the 0 was exposed, at least `hold` seconds ago; so `increase()` sees the first failure of a task, a second
Prometheus scraping a little later sees it too, and a crash in between never looks like a reset.
"""

from __future__ import annotations

import sys
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import NamedTuple
from zlib import crc32

from exporter.metrics.family import OTHER, Family, Kind, Labels
from exporter.metrics.reading import Change
from exporter.store.store import Scope, Series, Table, clean_labels

EXACT = 2**53
"""Up to here whole numbers are kept as integers; a float is exact up to here too."""
LARGEST = sys.float_info.max
"""The largest number that a counter can be, or grow by."""


class Row(NamedTuple):
    """A series as the state file keeps it.

    `shape` is a fingerprint of the family's kind, labels and buckets: cells of another shape mean something else.
    """

    family: str
    labels: Labels
    cells: list[float]
    shown: bool
    shape: int = 0


class Staged(NamedTuple):
    """New cells of every series that changes, not yet exposed, and the series to be shown from now on.

    `folded` and `refused` are how many changes went to a coarser series or nowhere, by family.
    """

    cells: dict[tuple[Family, Labels], list[float]]
    ripe: list[tuple[Family, Series]]
    folded: Counter[Family]
    refused: Counter[Family]


class Ledger:
    """The growing families of one source; only that source's thread calls it."""

    def __init__(
        self,
        families: Iterable[Family],
        *,
        cap: Callable[[Family], int] = lambda family: family.cap,
        hold: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        scope: Scope = (),
        buckets: Mapping[Family, tuple[float, ...]] | None = None,
    ) -> None:
        self._cap = cap
        self._hold = hold
        self._clock = clock
        self._series: dict[Family, dict[Labels, Series]] = {family: {} for family in families}
        self._hidden: dict[Family, list[Series]] = {family: [] for family in self._series}
        chosen = buckets or {}
        self.tables = {family: Table(family, [], scope=scope, buckets=chosen.get(family)) for family in self._series}
        self._shapes = {family: fingerprint(table) for family, table in self.tables.items()}
        self.folded: Counter[Family] = Counter()
        self.refused: Counter[Family] = Counter()

    def series(self, family: Family, labels: Labels) -> Series | None:
        """The series with exactly these labels."""
        return self._series[family].get(labels)

    def seed(self, family: Family, labels: Labels) -> None:
        """Let a series exist before anything happened to it. Raises ValueError where the labels do not fit.

        It is born at zero like every other: what happens before a scrape saw the 0 is shown after.
        """
        if labels not in self._series[family]:
            self._add(family, clean_labels(family, labels), [0] * self._width(family), shown=False)

    def restore(self, rows: Iterable[Row]) -> int:
        """Take back what the state file kept, before anything is staged; returns how many rows fit no family."""
        families = {family.name: family for family in self._series}
        unfit = 0
        for row in rows:
            family = families.get(row.family)
            if family is None or row.shape != self._shapes[family]:
                unfit += 1
            else:
                self._add(family, row.labels, row.cells, shown=row.shown)
        return unfit

    def seed_closed(self) -> None:
        """Seed every series of the families whose labels all have a closed set of values."""
        for family in self._series:
            if family.labels and all(label in family.closed for label in family.labels):
                for labels in product(*(family.closed[label] for label in family.labels)):
                    self.seed(family, labels)

    def stage(self, changes: Iterable[Change]) -> Staged:
        """Work out the new cells without touching what is exposed.

        A negative change, one that is no finite number and one that would take a sum out of the finite are refused:
        they could not be taken back. Without any
        changes it still has to be called now and then, for series that have been exposed as 0 for long enough.
        Raises ValueError where labels do not fit their family.
        """
        staged = Staged({}, self._ripe(), Counter(), Counter())
        sizes = {family: len(known) for family, known in self._series.items()}
        for family, wanted, value in changes:
            if not 0 <= value <= LARGEST:
                staged.refused[family] += 1
                continue
            labels = self._place(family, wanted, staged, sizes[family])
            cells = staged.cells.get((family, labels))
            if cells is None:
                known = self._series[family].get(labels)
                sizes[family] += known is None
                cells = list(known.cells) if known else [0] * self._width(family)
                staged.cells[family, labels] = cells
            if not self._record(family, cells, value):
                staged.refused[family] += 1
        return staged

    def rows(self, staged: Staged) -> list[Row]:
        """What the state file has to write."""
        ripe = {(family, series.labels): series.cells for family, series in staged.ripe}
        rows = []
        for (family, labels), cells in {**ripe, **staged.cells}.items():
            known = self._series[family].get(labels)
            shown = (family, labels) in ripe or (known is not None and known.shown)
            rows.append(Row(family.name, labels, cells, shown, self._shapes[family]))
        return rows

    def dump(self) -> list[Row]:
        """Every series, as `restore` takes it back."""
        return [
            Row(family.name, labels, list(series.cells), series.shown, self._shapes[family])
            for family, known in self._series.items()
            for labels, series in known.items()
        ]

    def adopt(self, staged: Staged) -> None:
        """Expose what has been committed."""
        for (family, labels), cells in staged.cells.items():
            known = self._series[family].get(labels)
            if known is None:
                self._add(family, labels, cells, shown=False)
            else:
                known.cells = cells
        for _, series in staged.ripe:
            series.shown = True
        for family in {family for family, _ in staged.ripe}:
            self._hidden[family] = [series for series in self._hidden[family] if not series.shown]
        self.folded.update(staged.folded)
        self.refused.update(staged.refused)

    def forget(self, family: Family, gone: Callable[[Labels], bool]) -> list[Labels]:
        """Remove series by their labels, before the next stage; returns those removed, for the next commit."""
        known = self._series[family]
        removed = {labels: known.pop(labels) for labels in list(known) if gone(labels)}
        if removed:
            self.tables[family].series = list(known.values())
            lost = set(map(id, removed.values()))
            self._hidden[family] = [series for series in self._hidden[family] if id(series) not in lost]
        return list(removed)

    def _add(self, family: Family, labels: Labels, cells: list[float], *, shown: bool) -> None:
        seeded = self._series[family].get(labels)
        if seeded is not None:
            seeded.cells, seeded.shown = cells, shown
            return
        series = Series(labels, cells, shown=shown)
        self._series[family][series.labels] = series
        self.tables[family].series.append(series)
        if not shown:
            self._hidden[family].append(series)

    def _ripe(self) -> list[tuple[Family, Series]]:
        limit = self._clock() - self._hold
        return [
            (family, series)
            for family, hidden in self._hidden.items()
            for series in hidden
            if 0 < series.exposed_at <= limit
        ]

    def _place(self, family: Family, wanted: Labels, staged: Staged, size: int) -> Labels:
        """The labels that there is room for: coarser ones once the cap is reached.

        A tenth more than the cap is kept for the folded series themselves.
        """
        known, cap = self._series[family], self._cap(family)
        if wanted in known or (family, wanted) in staged.cells:
            return wanted
        labels = clean_labels(family, wanted)
        if labels in known or (family, labels) in staged.cells or size < cap or not labels:
            return labels
        staged.folded[family] += 1
        return coarsen(family, labels, lambda one: one in known or (family, one) in staged.cells or size < cap * 1.1)

    def _width(self, family: Family) -> int:
        return 1 if family.kind is not Kind.HISTOGRAM else len(self.tables[family].buckets) + 2

    def _record(self, family: Family, cells: list[float], value: float) -> bool:
        """Count a change; says whether the sum could take it: not where it would leave the finite."""
        if not cells[-1] + value <= LARGEST:
            return False
        if family.kind is Kind.HISTOGRAM:
            cells[bisect_left(self.tables[family].buckets, value)] += 1
        cells[-1] = tidy(cells[-1] + value)
        return True


def fold(family: Family, labels: Labels) -> Iterator[Labels]:
    """Yield coarser and coarser labels, from the right; labels whose values are a closed set stay what they are."""
    folded = list(labels)
    open_labels = [place for place, name in enumerate(family.labels) if name not in family.closed]
    # There are few teams, so that folding them makes little room.
    open_labels.sort(key=lambda place: family.labels[place] != "team")
    for place in reversed(open_labels or range(len(labels))):
        folded[place] = OTHER
        yield tuple(folded)


def coarsen(family: Family, labels: Labels, fits: Callable[[Labels], bool]) -> Labels:
    """The first coarser labels that fit; else the coarsest."""
    coarser = labels
    for coarser in fold(family, labels):
        if fits(coarser):
            break
    return coarser


def fingerprint(table: Table) -> int:
    """A number that differs where cells of the same family cannot be carried on."""
    return crc32(repr((table.family.kind.value, table.family.labels, tuple(map(float, table.buckets)))).encode())


def tidy(value: float) -> float:
    """The same number, as an integer where that is exact."""
    return int(value) if value < EXACT and value == int(value) else float(value)

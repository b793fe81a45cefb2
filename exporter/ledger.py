"""Counters and histograms that only grow, across restarts too.

A change is staged, written to the state file with the reader's memory in one transaction, and only
then adopted, so that what was exposed is never ahead of what a restart will find.

Born at zero: a child is exposed as 0 first. It shows its value only after a commit has recorded that
the 0 was exposed, at least `hold` seconds ago; so `increase()` sees the first failure of a task, a second
Prometheus scraping a little later sees it too, and a crash in between never looks like a reset.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping
from itertools import product
from typing import NamedTuple

from exporter.family import OTHER, Family, Kind, Labels
from exporter.reading import Change
from exporter.store import Scope, Series, Table


class Row(NamedTuple):
    """A series as the state file keeps it."""

    family: str
    labels: Labels
    cells: list[float]
    shown: bool


class Staged(NamedTuple):
    """New cells of every series that changes, not yet exposed, and the series to be shown from now on."""

    cells: dict[tuple[Family, Labels], list[float]]
    ripe: list[tuple[Family, Series]]


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
        self._hidden: list[tuple[Family, Series]] = []
        chosen = buckets or {}
        self.tables = {family: Table(family, [], scope=scope, buckets=chosen.get(family)) for family in self._series}
        self.folded: dict[Family, int] = {}

    def series(self, family: Family, labels: Labels) -> Series | None:
        """The series with exactly these labels."""
        return self._series[family].get(labels)

    def restore(self, rows: Iterable[Row]) -> int:
        """Take back what the state file kept; returns how many rows no family fits any more."""
        families = {family.name: family for family in self._series}
        unfit = 0
        for row in rows:
            family = families.get(row.family)
            if family is None or len(row.cells) != self._width(family) or len(row.labels) != len(family.labels):
                unfit += 1
                continue
            self._add(family, row.labels, row.cells, shown=row.shown)
        return unfit

    def seed(self, family: Family, labels: Labels) -> None:
        """Expose a series at 0 from the start, where its labels are known beforehand."""
        if labels not in self._series[family]:
            self._add(family, labels, [0] * self._width(family), shown=True)

    def seed_closed(self) -> None:
        """Seed every series of the families whose labels all have a closed set of values."""
        for family in self._series:
            if family.labels and all(label in family.closed for label in family.labels):
                for labels in product(*(family.closed[label] for label in family.labels)):
                    self.seed(family, labels)

    def stage(self, changes: Iterable[Change]) -> Staged:
        """Work out the new cells without touching what is exposed."""
        cells: dict[tuple[Family, Labels], list[float]] = {}
        sizes = {family: len(known) for family, known in self._series.items()}
        for family, wanted, value in changes:
            labels = self._place(family, wanted, cells, sizes[family])
            key = (family, labels)
            if key not in cells:
                known = self._series[family].get(labels)
                sizes[family] += known is None
                cells[key] = list(known.cells) if known else [0] * self._width(family)
            self._record(family, cells[key], value)
        return Staged(cells, self._ripe())

    def rows(self, staged: Staged) -> list[Row]:
        """What the state file has to write."""
        ripe = {(family, series.labels): series.cells for family, series in staged.ripe}
        rows = []
        for (family, labels), cells in {**ripe, **staged.cells}.items():
            known = self._series[family].get(labels)
            shown = (family, labels) in ripe or (known is not None and known.shown)
            rows.append(Row(family.name, labels, cells, shown))
        return rows

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
        self._hidden = [entry for entry in self._hidden if not entry[1].shown]

    def forget(self, family: Family, gone: Callable[[Labels], bool]) -> list[Labels]:
        """Remove series by their labels; returns those removed."""
        removed = [labels for labels in self._series[family] if gone(labels)]
        for labels in removed:
            del self._series[family][labels]
        if removed:
            self.tables[family].series = list(self._series[family].values())
        return removed

    def _add(self, family: Family, labels: Labels, cells: list[float], *, shown: bool) -> None:
        series = Series(labels, cells, shown=shown)
        self._series[family][labels] = series
        self.tables[family].series.append(series)
        if not shown:
            self._hidden.append((family, series))

    def _ripe(self) -> list[tuple[Family, Series]]:
        limit = self._clock() - self._hold
        return [entry for entry in self._hidden if 0 < entry[1].exposed_at <= limit]

    def _place(
        self, family: Family, labels: Labels, staged: Mapping[tuple[Family, Labels], list[float]], size: int
    ) -> Labels:
        """The labels that there is room for: folded from the right once the cap is reached.

        A tenth more than the cap is kept for the folded series themselves.
        """
        known = self._series[family]
        if labels in known or (family, labels) in staged or size < self._cap(family) or not labels:
            return labels
        self.folded[family] = self.folded.get(family, 0) + 1
        for kept in range(len(labels) - 1, 0, -1):
            folded = labels[:kept] + (OTHER,) * (len(labels) - kept)
            if folded in known or (family, folded) in staged or size < self._cap(family) * 1.1:
                return folded
        return (OTHER,) * len(labels)

    def _width(self, family: Family) -> int:
        return 1 if family.kind is not Kind.HISTOGRAM else len(self.tables[family].buckets) + 2

    def _record(self, family: Family, cells: list[float], value: float) -> None:
        if family.kind is not Kind.HISTOGRAM:
            cells[0] += value
            return
        cells[bisect_left(self.tables[family].buckets, value)] += 1
        cells[-1] += value

"""Counters and histograms that only grow, also across restarts.

A change is staged, written to the state file in one transaction with what the reader remembers, and then published:
no exposed value is ahead of the state file, so after a crash no counter looks as if it was reset.

Born at zero: a new series is exposed as 0 first. Its value is revealed by the first commit that is at least
`birth_hold` seconds after a scrape saw the 0. So `increase()` sees the first failure of a task, and so does a second
Prometheus that scrapes a little later.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product
from typing import NamedTuple
from zlib import crc32

from exporter.metrics.family import OTHER, Family, HistogramForm, Kind, Labels
from exporter.metrics.reading import Change
from exporter.store.native import EMPTY, add_native, observe, remove_native
from exporter.store.store import MAX_VALUE, FamilyTable, Scope, Series, clean_labels

MAX_EXACT_INTEGER = 2**53
"""Whole numbers below it are integers; a float represents them exactly too."""


class LedgerRow(NamedTuple):
    """A series in the state file.

    `shape` is a fingerprint of the family's kind, labels and buckets: cells of another shape have another meaning.
    """

    family: str
    labels: Labels
    cells: list[float]
    revealed: bool
    shape: int = 0


class StagedChanges(NamedTuple):
    """The new cells of each changed series, not exposed yet, and the series that are due to be revealed.

    `folded` and `refused` count, by family, changes that went to a coarser series or were not accepted.
    """

    cells: dict[tuple[Family, Labels], list[float]]
    due: list[tuple[Family, Series]]
    folded: Counter[Family]
    refused: Counter[Family]


class Ledger:
    """The counters and histograms of one source. Only that source's thread calls it."""

    def __init__(
        self,
        families: Iterable[Family],
        *,
        cap: Callable[[Family], int] = lambda family: family.cap,
        birth_hold: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
        scope: Scope = (),
        buckets: Mapping[Family, tuple[float, ...]] | None = None,
        forms: Mapping[Family, HistogramForm] | None = None,
    ) -> None:
        self._cap = cap
        self._birth_hold = birth_hold
        self._clock = clock
        self._series: dict[Family, dict[Labels, Series]] = {family: {} for family in families}
        self._hidden: dict[Family, list[Series]] = {family: [] for family in self._series}
        chosen = buckets or {}
        self.tables = {
            family: FamilyTable(family, [], scope=scope, buckets=chosen.get(family)) for family in self._series
        }
        for family, form in (forms or {}).items():
            if family in self.tables:
                self.tables[family].form = form
        self._shapes = {family: fingerprint(table) for family, table in self.tables.items()}
        self.folded: Counter[Family] = Counter()
        self.refused: Counter[Family] = Counter()

    def series(self, family: Family, labels: Labels) -> Series | None:
        """The series with exactly these labels, or None."""
        return self._series[family].get(labels)

    def seed(self, family: Family, labels: Labels) -> None:
        """Create a series with the value 0, before its first change. Raises ValueError if the labels do not fit."""
        if labels not in self._series[family]:
            self._add(family, clean_labels(family, labels), self._make_cells(family), revealed=False)

    def restore(self, rows: Iterable[LedgerRow]) -> int:
        """Create the saved series, before the first change; returns the number of rows that fit no family."""
        families = {family.name: family for family in self._series}
        unfit = 0
        for row in rows:
            family = families.get(row.family)
            cells = self._read_cells(family, row) if family else None
            if family is None or cells is None:
                unfit += 1
            else:
                self._add(family, row.labels, cells, revealed=row.revealed)
        return unfit

    def _read_cells(self, family: Family, row: LedgerRow) -> list[float] | None:
        same = row.shape == self._shapes[family]
        return row.cells if same else adapt_cells(row, self.tables[family])

    def seed_closed(self) -> None:
        """Seed all series of the families whose label values are all known in advance."""
        for family in self._series:
            if family.labels and all(label in family.closed for label in family.labels):
                for labels in product(*(family.closed[label] for label in family.labels)):
                    self.seed(family, labels)

    def stage(self, changes: Iterable[Change]) -> StagedChanges:
        """Compute the new cells without a change to what is exposed.

        A change that is negative, not finite, or would overflow a sum is refused, because it could not be undone.
        Call it also without changes, to reveal series that were exposed as 0 for long enough.
        Raises ValueError if labels do not fit their family.
        """
        staged = StagedChanges({}, self._find_due(), Counter(), Counter())
        sizes = {family: len(known) for family, known in self._series.items()}
        for family, wanted, value in changes:
            if not 0 <= value <= MAX_VALUE:
                staged.refused[family] += 1
                continue
            labels = self._place(family, wanted, staged, sizes[family])
            cells = staged.cells.get((family, labels))
            if cells is None:
                known = self._series[family].get(labels)
                sizes[family] += known is None
                cells = list(known.cells) if known else self._make_cells(family)
                staged.cells[family, labels] = cells
            if not self._record(family, cells, value):
                staged.refused[family] += 1
        return staged

    def rows(self, staged: StagedChanges) -> list[LedgerRow]:
        """The rows to write to the state file."""
        due = {(family, series.labels): series.cells for family, series in staged.due}
        rows = []
        for (family, labels), cells in {**due, **staged.cells}.items():
            known = self._series[family].get(labels)
            revealed = (family, labels) in due or (known is not None and known.revealed)
            rows.append(LedgerRow(family.name, labels, cells, revealed, self._shapes[family]))
        return rows

    def dump(self) -> list[LedgerRow]:
        """All series, as rows for `restore`."""
        return [
            LedgerRow(family.name, labels, list(series.cells), series.revealed, self._shapes[family])
            for family, known in self._series.items()
            for labels, series in known.items()
        ]

    def publish(self, staged: StagedChanges) -> None:
        """Expose committed changes, and reveal the series that were due."""
        for (family, labels), cells in staged.cells.items():
            known = self._series[family].get(labels)
            if known is None:
                self._add(family, labels, cells, revealed=False)
            else:
                known.cells = cells
        for _, series in staged.due:
            series.revealed = True
        for family in {family for family, _ in staged.due}:
            self._hidden[family] = [series for series in self._hidden[family] if not series.revealed]
        self.folded.update(staged.folded)
        self.refused.update(staged.refused)

    def forget(self, family: Family, gone: Callable[[Labels], bool]) -> list[Labels]:
        """Remove series by their labels; returns the labels of those removed, for the next commit."""
        known = self._series[family]
        removed = {labels: known.pop(labels) for labels in list(known) if gone(labels)}
        if removed:
            self.tables[family].series = list(known.values())
            ids = set(map(id, removed.values()))
            self._hidden[family] = [series for series in self._hidden[family] if id(series) not in ids]
        return list(removed)

    def _add(self, family: Family, labels: Labels, cells: list[float], *, revealed: bool) -> None:
        seeded = self._series[family].get(labels)
        if seeded is not None:
            seeded.cells, seeded.revealed = cells, revealed
            return
        series = Series(labels, cells, revealed=revealed)
        self._series[family][series.labels] = series
        self.tables[family].series.append(series)
        if not revealed:
            self._hidden[family].append(series)

    def _find_due(self) -> list[tuple[Family, Series]]:
        limit = self._clock() - self._birth_hold
        return [
            (family, series)
            for family, hidden in self._hidden.items()
            for series in hidden
            if 0 < series.exposed_at <= limit
        ]

    def _place(self, family: Family, wanted: Labels, staged: StagedChanges, size: int) -> Labels:
        """The labels of the series that a change goes to: coarser ones once the cap is reached.

        Folded series may exceed the cap by a tenth.
        """
        known, cap = self._series[family], self._cap(family)
        if wanted in known or (family, wanted) in staged.cells:
            return wanted
        labels = clean_labels(family, wanted)
        if labels in known or (family, labels) in staged.cells or size < cap or not labels:
            return labels
        staged.folded[family] += 1
        return coarsen(family, labels, lambda one: one in known or (family, one) in staged.cells or size < cap * 1.1)

    def _make_cells(self, family: Family) -> list[float]:
        """The cells of a new series."""
        if family.kind is not Kind.HISTOGRAM:
            return [0]
        table = self.tables[family]
        return [0] * (len(table.buckets) + 1) + [*(() if table.form is HistogramForm.CLASSIC else EMPTY), 0]

    def _record(self, family: Family, cells: list[float], value: float) -> bool:
        """Add a change to the cells; False, without effect, if the sum would overflow."""
        if not cells[-1] + value <= MAX_VALUE:
            return False
        if family.kind is Kind.HISTOGRAM:
            table = self.tables[family]
            cells[bisect_left(table.buckets, value)] += 1
            if table.form is not HistogramForm.CLASSIC:
                observe(cells, len(table.buckets) + 1, value)
        cells[-1] = to_exact_integer(cells[-1] + value)
        return True


def fold(family: Family, labels: Labels) -> Iterator[Labels]:
    """Yield labels with more and more values replaced by `_other`, from the right; closed sets of values are kept."""
    folded = list(labels)
    open_labels = [place for place, name in enumerate(family.labels) if name not in family.closed]
    # There are few teams, so folding them would save few series.
    open_labels.sort(key=lambda place: family.labels[place] != "team")
    for place in reversed(open_labels or range(len(labels))):
        folded[place] = OTHER
        yield tuple(folded)


def coarsen(family: Family, labels: Labels, fits: Callable[[Labels], bool]) -> Labels:
    """The first coarser labels for which `fits` is true, else the coarsest."""
    coarser = labels
    for coarser in fold(family, labels):
        if fits(coarser):
            break
    return coarser


def fingerprint(table: FamilyTable, *, native: bool | None = None) -> int:
    """A checksum of kind, labels, buckets, and whether there is a native histogram: what the cells mean."""
    shape: tuple[object, ...] = table.family.kind.value, table.family.labels, tuple(map(float, table.buckets))
    has_native = table.form is not HistogramForm.CLASSIC if native is None else native
    return crc32(repr((*shape, "native") if has_native else shape).encode())


def adapt_cells(row: LedgerRow, table: FamilyTable) -> list[float] | None:
    """Cells saved with or without a native histogram, as the table has them now; None if they mean something else."""
    if row.shape == fingerprint(table, native=True):
        return remove_native(row.cells, table.buckets)
    return add_native(row.cells, table.buckets) if row.shape == fingerprint(table, native=False) else None


def to_exact_integer(value: float) -> float:
    """The same number, as an integer if that is exact."""
    return int(value) if value < MAX_EXACT_INTEGER and value == int(value) else float(value)

"""The newest data of every source, kept family by family for exposition.

One writer a table: a reader publishes finished state tables by one reference swap, a ledger or an
event source keeps a live table of its own. Nothing here takes a lock; whoever removes series swaps
in a new list.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from exporter.family import Family, Kind, Labels

Scope = tuple[tuple[str, str], ...]
"""Labels put before a table's own, as name and value pairs; empty where one Airflow is served."""


class Series:
    """One child of a family.

    `cells` is `[value]`, or for a histogram the count of each bucket (not cumulated, the last one
    for +Inf) followed by the sum. `prefix` is exposition's cache of the text before a value.
    A series that is not `shown` is exposed as zero (see ledger.py); `exposed_at` is when that
    happened first, in monotonic seconds, 0 before.
    """

    __slots__ = ("cells", "exposed_at", "labels", "prefix", "shown")

    def __init__(self, labels: Labels, cells: list[float], *, shown: bool = True) -> None:
        self.labels = labels
        self.cells = cells
        self.shown = shown
        self.exposed_at = 0.0
        self.prefix: str | tuple[str, ...] | None = None


class Table:
    """The series of one family under one scope, valid until `expires` (monotonic seconds).

    `buckets` are a histogram's upper bounds as configured, without +Inf.
    """

    __slots__ = ("buckets", "expires", "family", "scope", "series")

    def __init__(
        self,
        family: Family,
        series: list[Series],
        *,
        expires: float = float("inf"),
        scope: Scope = (),
        buckets: tuple[float, ...] | None = None,
    ) -> None:
        self.family = family
        self.series = series
        self.expires = expires
        self.scope = scope
        self.buckets = family.buckets if buckets is None else buckets


class Store:
    """All tables, walked in the order of the catalogue."""

    def __init__(self, families: Iterable[Family], clock: Callable[[], float] = time.monotonic) -> None:
        self._tables: dict[Family, dict[Scope, Table]] = {family: {} for family in families}
        self._clock = clock
        self._caps: dict[Family, int] = {}
        self.dropped: dict[Family, int] = {}

    def limit(self, caps: Mapping[Family, int]) -> None:
        """Override the caps of some families."""
        self._caps = dict(caps)

    def cap(self, family: Family) -> int:
        """The largest number of series that the family may have."""
        return self._caps.get(family, family.cap)

    def register(self, family: Family) -> None:
        """Take a family that the catalogue does not declare (users' own metrics).

        Raises ValueError where another family already exposes the name.
        """
        for known in self._tables:
            if known is not family and known.base_name == family.base_name:
                raise ValueError(f"the name {family.name} is taken by another family")
        self._tables.setdefault(family, {})

    def attach(self, table: Table) -> None:
        """Add or replace a live table, whose owner keeps changing it."""
        self._tables[table.family][table.scope] = table

    def publish(
        self, tables: Mapping[Family, Mapping[Labels, float]], *, expires: float = float("inf"), scope: Scope = ()
    ) -> None:
        """Replace the state of each family given; prefixes of series that stay are kept."""
        for family, values in tables.items():
            known = self._tables[family].get(scope)
            series = self._build(family, values, known)
            self._tables[family][scope] = Table(family, series, expires=expires, scope=scope)

    def withdraw(self, families: Iterable[Family], *, scope: Scope = ()) -> None:
        """Forget the state of families whose reader failed."""
        for family in families:
            self._tables[family].pop(scope, None)

    def walk(self) -> Iterator[tuple[Family, list[Table]]]:
        """Yield each family with its tables that are still valid; families without a series are left out."""
        now = self._clock()
        for family, by_scope in list(self._tables.items()):
            tables = [table for table in list(by_scope.values()) if table.series and table.expires > now]
            if tables:
                yield family, tables

    def count(self) -> dict[Family, int]:
        """How many series each family exposes now."""
        return {family: sum(len(table.series) for table in tables) for family, tables in self.walk()}

    def _build(self, family: Family, values: Mapping[Labels, float], known: Table | None) -> list[Series]:
        if family.kind is Kind.HISTOGRAM:
            raise ValueError(f"{family.name} is a histogram: it needs a ledger, not a state table")
        cap = self.cap(family)
        if len(values) > cap:
            self.dropped[family] = self.dropped.get(family, 0) + len(values) - cap
            values = {labels: values[labels] for labels in sorted(values)[:cap]}
        prefixes = {series.labels: series.prefix for series in known.series} if known else {}
        built = []
        for labels, value in values.items():
            series = Series(labels, [value])
            series.prefix = prefixes.get(labels)
            built.append(series)
        return built

"""The newest data of every source, by family, with the cap on series of each family.

One writer a table: a reader publishes finished state tables by one reference swap, a ledger or an
event source keeps a live table of its own. Nothing here takes a lock; whoever removes series swaps
in a new list.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from sys import intern

from exporter.metrics.family import Family, Kind, Labels

Scope = tuple[tuple[str, str], ...]
"""Labels put before a table's own, as name and value pairs; empty where one Airflow is served."""


class Series:
    """One child of a family.

    `value` is a number, or for a histogram a list: the count of each bucket (not cumulated, the last
    one for +Inf) followed by the sum. A series that is not `shown` is exposed as zero (see ledger.py);
    `exposed_at` is when that happened first, in monotonic seconds, 0 before.
    `text` and `written` belong to exposition: what it keeps of its lines, and the value that this says (of a histogram
    the sum).
    """

    __slots__ = ("exposed_at", "labels", "shown", "text", "value", "written")

    def __init__(self, labels: Labels, cells: list[float], *, shown: bool = True) -> None:
        # A DAG and a task are in many series: their ids are kept once.
        self.labels = tuple(map(intern, map(str, labels)))
        self.value: float | list[float] = cells if len(cells) > 1 else cells[0]
        self.shown = shown
        self.exposed_at = 0.0
        self.text = b""
        self.written: float | list[float] | None = None

    @property
    def cells(self) -> list[float]:
        """The value of every kind as a list, which is the series' own for a histogram only; to be replaced whole."""
        value = self.value
        return value if isinstance(value, list) else [value]

    @cells.setter
    def cells(self, cells: list[float]) -> None:
        self.value = cells if len(cells) > 1 else cells[0]


class Kept(Series):
    """A counter or histogram that outlives the process: `value` goes ahead, `kept` is exposed.

    `kept` is what the state file has, so that after a crash no counter is lower than what was scraped; `row` is its
    row there, 0 for none yet.
    """

    __slots__ = ("kept", "row")

    def __init__(self, labels: Labels, cells: list[float], *, shown: bool = True) -> None:
        super().__init__(labels, cells, shown=shown)
        self.kept: float | list[float] = self.take()
        self.row = 0

    def take(self) -> float | list[float]:
        """The value as it is now."""
        value = self.value
        return value.copy() if isinstance(value, list) else value

    def resume(self, cells: list[float]) -> None:
        """Go on where an earlier process stopped."""
        self.cells = cells
        self.kept = self.take()


class Table:
    """The series of one family under one scope, valid until `expires` (monotonic seconds).

    `buckets` are a histogram's upper bounds as configured, without +Inf. `form` belongs to exposition: what the lines
    of all its histograms have in common. `kept` says that its series are all of class Kept.
    """

    __slots__ = ("buckets", "expires", "family", "form", "kept", "scope", "series")

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
        self.form = ""
        self.kept = False


class Store:
    """All tables, walked in the order of the catalogue."""

    def __init__(self, families: Iterable[Family], clock: Callable[[], float] = time.monotonic) -> None:
        self._tables: dict[Family, dict[Scope, Table]] = {family: {} for family in families}
        self._kin: dict[Family, tuple[Family, ...]] = {family: (family,) for family in self._tables}
        self._owners = {name: family for family in self._tables for name in claim_names(family)}
        self.clock = clock
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

        It shares the header of one of its name and kind whose label names are others, if both came at run time.
        Raises ValueError where another family already exposes the name, or one of its samples' names.
        """
        if family in self._tables:
            return
        owners = {owner for name in claim_names(family) if (owner := self._owners.get(name))}
        head = next(iter(owners), family)
        if len(owners) > 1 or (owners and not may_share(family, self._kin[head])):
            raise ValueError(f"the name {family.name} is taken by another family")
        self._tables[family] = {}
        self._kin[head] = (*self._kin.get(head, ()), family)
        self._owners.update(dict.fromkeys(claim_names(family), head))

    def unregister(self, family: Family) -> None:
        """Forget a family, and its series."""
        head = self._owners[family.name]
        rest = tuple(one for one in self._kin.pop(head) if one is not family)
        for name in claim_names(family):
            self._owners.pop(name)
        if rest:
            self._kin[rest[0]] = rest
            self._owners.update(dict.fromkeys(claim_names(rest[0]), rest[0]))
        del self._tables[family]

    def release(self, families: Iterable[Family]) -> None:
        """Let others have the names of families that nothing feeds and that have no series."""
        for family in families:
            if family in self._tables and not self._tables[family]:
                self.unregister(family)

    def attach(self, table: Table) -> None:
        """Add or replace a live table, whose owner keeps changing it."""
        self._tables[table.family][table.scope] = table

    def publish(
        self, tables: Mapping[Family, Mapping[Labels, float]], *, expires: float = float("inf"), scope: Scope = ()
    ) -> None:
        """Replace the state of each family given.

        Raises ValueError or TypeError where labels or values do not fit their family; nothing is replaced then.
        """
        built = [
            Table(family, self._build(family, values, self._tables[family].get(scope)), expires=expires, scope=scope)
            for family, values in tables.items()
        ]
        for table in built:
            self.attach(table)

    def keep(self, families: Iterable[Family], expires: float, *, scope: Scope = ()) -> None:
        """Say until when (monotonic seconds) the state of families holds that was published before."""
        for family in families:
            table = self._tables[family].get(scope)
            if table:
                table.expires = expires

    def withdraw(self, families: Iterable[Family], *, scope: Scope = ()) -> None:
        """Forget the state of families whose reader failed."""
        for family in families:
            self._tables[family].pop(scope, None)

    def walk(self) -> Iterator[tuple[Family, list[Table]]]:
        """Yield each family with its tables that are still valid; families without a series are left out.

        Families that share a name are one: the first of them comes with the tables of all.
        """
        now = self.clock()
        known = self._tables.get
        # Others register families meanwhile. list(….items()) is no one step: it makes tuples, so the collector may run.
        for head, families in self._kin.copy().items():
            filled = list(filter(None, map(known, families)))
            if not filled:
                continue
            tables = [table for one in filled for table in list(one.values()) if table.series and table.expires > now]
            if tables:
                yield head, tables

    def count(self) -> dict[Family, int]:
        """How many series each family exposes now."""
        return {family: sum(len(table.series) for table in tables) for family, tables in self.walk()}

    def _build(self, family: Family, values: Mapping[Labels, float], known: Table | None) -> list[Series]:
        if family.kind in (Kind.HISTOGRAM, Kind.SUMMARY):
            raise ValueError(f"{family.name} is a {family.kind}: it needs a live table, not a state table")
        cap = self.cap(family)
        if len(values) > cap:
            self.dropped[family] = self.dropped.get(family, 0) + len(values) - cap
            values = {labels: values[labels] for labels in sorted(values)[:cap]}
        old = {series.labels: series for series in known.series} if known else {}
        return [renew(family, labels, value, old.get(labels)) for labels, value in values.items()]


def renew(family: Family, labels: Labels, value: float, old: Series | None) -> Series:
    """The series for a newer value: the old one where it says the same.

    Raises ValueError or TypeError where labels or value do not fit the family.
    """
    if old is None:
        return Series(clean_labels(family, labels), [+value])
    if old.value == value:
        return old
    series = Series(old.labels, [+value])
    series.text = old.text
    return series


def clean_labels(family: Family, labels: Labels) -> Labels:
    """Labels that every encoder can write: what is no valid Unicode becomes a question mark.

    Raises ValueError where their number is not the family's, TypeError where one is no text.
    """
    if len(labels) != len(family.labels):
        raise ValueError(f"{family.name} has {len(family.labels)} labels, not {len(labels)}")
    try:
        "".join(labels).encode()
    except UnicodeEncodeError:
        return tuple(label.encode(errors="replace").decode() for label in labels)
    return labels


def may_share(family: Family, others: Iterable[Family]) -> bool:
    """Whether it may stand under one header with families that have its name: no series can be in two of them."""
    return not any(
        other.declared
        or family.declared
        or other.kind is not family.kind
        or other.name != family.name
        or set(other.labels) == set(family.labels)
        for other in others
    )


def sample_names(family: Family) -> tuple[str, ...]:
    """The names that the family's samples have."""
    suffixes = {Kind.HISTOGRAM: ("_bucket", "_sum", "_count"), Kind.SUMMARY: ("", "_sum", "_count")}
    return tuple(family.name + suffix for suffix in suffixes.get(family.kind, ("",)))


def claim_names(family: Family) -> frozenset[str]:
    """Every name that no other family may use."""
    return frozenset((family.name, family.base_name, *sample_names(family)))

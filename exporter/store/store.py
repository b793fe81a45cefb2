"""The newest data of every source, by family, with the cap on series of each family.

There are no locks, because each table has one writer. A reader's state table is replaced as a whole; ledgers and live
tables change their series in place, and remove some by replacing the list.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from sys import float_info, intern

from exporter.metrics.family import Family, HistogramForm, Kind, Labels

MAX_VALUE = float_info.max
"""The largest finite value of a series."""
Scope = tuple[tuple[str, str], ...]
"""Labels (name and value) written before a table's own labels; empty if the exporter serves one Airflow."""


class Series:
    """One series of a family.

    `value` is a number, or for a histogram a list: the count of each bucket (not cumulative, +Inf last), then the sum.
    A series that is not `revealed` is exposed as zero (see ledger.py); `exposed_at` is when it was first exposed so, in
    monotonic seconds, 0 before. `text` and `rendered_value` are a cache of exposition.py: the rendered line, and the
    value in it. Of a histogram they are all lines and all cells, or labels with the sum, and the sum. `wire` is a cache
    of protobuf.py: the encoded labels; or a whole native histogram, and then `wired` is the list that it was made of.
    """

    __slots__ = ("exposed_at", "labels", "rendered_value", "revealed", "text", "value", "wire", "wired")

    def __init__(self, labels: Labels, cells: list[float], *, revealed: bool = True) -> None:
        # Many series share the ids of a DAG and its tasks: interned, each id is in memory once.
        try:
            self.labels = tuple(map(intern, labels))
        except TypeError:
            # A member of a StrEnum is a string, but cannot be interned.
            self.labels = tuple(map(intern, map(str, labels)))
        self.value: float | list[float] = cells if len(cells) > 1 else cells[0]
        self.revealed = revealed
        self.exposed_at = 0.0
        self.text = b""
        self.wire = b""
        self.wired: list[float] | None = None
        self.rendered_value: float | list[float] | None = None

    @property
    def cells(self) -> list[float]:
        """The value as a list, for every kind. Assign a new list to change it: only a histogram returns its own one."""
        value = self.value
        return value if isinstance(value, list) else [value]

    @cells.setter
    def cells(self, cells: list[float]) -> None:
        self.value = cells if len(cells) > 1 else cells[0]


class PersistentSeries(Series):
    """A counter or histogram that the state file keeps. `value` is the newest value, `saved` is the exposed one.

    `saved` is the value in the state file, so that after a crash no counter is lower than what was scraped. `row` is
    the id of its row there, 0 before the first write.
    """

    __slots__ = ("row", "saved")

    def __init__(self, labels: Labels, cells: list[float], *, revealed: bool = True) -> None:
        super().__init__(labels, cells, revealed=revealed)
        self.saved: float | list[float] = self.snapshot()
        self.row = 0

    def snapshot(self) -> float | list[float]:
        """A copy of the value."""
        value = self.value
        return value.copy() if isinstance(value, list) else value

    def resume(self, cells: list[float]) -> None:
        """Continue from the value that an earlier process saved."""
        self.cells = cells
        self.saved = self.snapshot()


class FamilyTable:
    """The series of one family under one scope, valid until `expires` (monotonic seconds).

    `buckets` are a histogram's upper bounds as configured, without +Inf. `template` is a cache of exposition.py: the
    text that all histograms of the table have in common. If `persistent`, all series are a PersistentSeries. Unless
    `form` is classic, the cells have a native histogram too (native.py). A `native_only` table is not in the text
    formats.
    """

    __slots__ = ("buckets", "expires", "family", "form", "native_only", "persistent", "scope", "series", "template")

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
        self.template = ""
        self.persistent = False
        self.form = HistogramForm.CLASSIC
        self.native_only = False


class Store:
    """All tables, in the order of the catalogue."""

    def __init__(self, families: Iterable[Family], clock: Callable[[], float] = time.monotonic) -> None:
        self._tables: dict[Family, dict[Scope, FamilyTable]] = {family: {} for family in families}
        self._heads: dict[Family, tuple[Family, ...]] = {family: (family,) for family in self._tables}
        self._owners = {name: family for family in self._tables for name in list_claimed_names(family)}
        self.clock = clock
        self._caps: dict[Family, int] = {}
        self.dropped: dict[Family, int] = {}

    def set_caps(self, caps: Mapping[Family, int]) -> None:
        """Set the caps of some families; the others have the cap of the catalogue."""
        self._caps = dict(caps)

    def cap(self, family: Family) -> int:
        """The maximum number of series of a family."""
        return self._caps.get(family, family.cap)

    def register(self, family: Family) -> None:
        """Add a family that is not in the catalogue (users' own metrics).

        Two families made at run time with equal names and kinds, but other label names, share one header.
        Raises ValueError if another family already uses the name or the name of one of its samples.
        """
        if family in self._tables:
            return
        owners = {owner for name in list_claimed_names(family) if (owner := self._owners.get(name))}
        head = next(iter(owners), family)
        if len(owners) > 1 or (owners and not may_share(family, self._heads[head])):
            raise ValueError(f"the name {family.name} is already used by another family")
        self._tables[family] = {}
        self._heads[head] = (*self._heads.get(head, ()), family)
        self._owners.update(dict.fromkeys(list_claimed_names(family), head))

    def unregister(self, family: Family) -> None:
        """Remove a family and its series."""
        head = self._owners[family.name]
        rest = tuple(one for one in self._heads.pop(head) if one is not family)
        for name in list_claimed_names(family):
            self._owners.pop(name)
        if rest:
            self._heads[rest[0]] = rest
            self._owners.update(dict.fromkeys(list_claimed_names(rest[0]), rest[0]))
        del self._tables[family]

    def release(self, families: Iterable[Family]) -> None:
        """Free the names of families without series, so that users' metrics may have them."""
        for family in families:
            if family in self._tables and not self._tables[family]:
                self.unregister(family)

    def attach(self, table: FamilyTable) -> None:
        """Add or replace a table whose owner changes it in place."""
        self._tables[table.family][table.scope] = table

    def publish(
        self, tables: Mapping[Family, Mapping[Labels, float]], *, expires: float = float("inf"), scope: Scope = ()
    ) -> None:
        """Replace the state of each given family.

        Raises ValueError or TypeError if labels or values do not fit their family; then nothing is replaced.
        """
        built = [
            FamilyTable(
                family, self._build(family, values, self._tables[family].get(scope)), expires=expires, scope=scope
            )
            for family, values in tables.items()
        ]
        for table in built:
            self.attach(table)

    def extend(self, families: Iterable[Family], expires: float, *, scope: Scope = ()) -> None:
        """Set the expiry (monotonic seconds) of state that was published before."""
        for family in families:
            table = self._tables[family].get(scope)
            if table:
                table.expires = expires

    def withdraw(self, families: Iterable[Family], *, scope: Scope = ()) -> None:
        """Remove the state of families."""
        for family in families:
            self._tables[family].pop(scope, None)

    def walk(self) -> Iterator[tuple[Family, list[FamilyTable]]]:
        """Yield each family that has series, with its tables that have not expired.

        Families that share a name are yielded as one: the first of them, with the tables of all.
        """
        now = self.clock()
        known = self._tables.get
        # Other threads register families meanwhile. copy() is atomic; list(….items()) is not: it allocates tuples, so
        # the garbage collector may run and switch threads.
        for head, families in self._heads.copy().items():
            filled = list(filter(None, map(known, families)))
            if not filled:
                continue
            tables = [table for one in filled for table in list(one.values()) if table.series and table.expires > now]
            if tables:
                yield head, tables

    def read(self, family: Family) -> dict[Labels, float]:
        """The values of a family of gauges now; any thread may call it."""
        now = self.clock()
        tables = [table for table in list(self._tables.get(family, {}).values()) if table.expires > now]
        values = [(one.labels, one.value) for table in tables for one in table.series]
        return {labels: value for labels, value in values if not isinstance(value, list)}

    def count(self) -> dict[Family, int]:
        """The number of series that each family exposes now."""
        return {family: sum(len(table.series) for table in tables) for family, tables in self.walk()}

    def _build(self, family: Family, values: Mapping[Labels, float], known: FamilyTable | None) -> list[Series]:
        if family.kind in (Kind.HISTOGRAM, Kind.SUMMARY):
            raise ValueError(f"{family.name} is a {family.kind}: it needs a live table, not a state table")
        cap = self.cap(family)
        if len(values) > cap:
            self.dropped[family] = self.dropped.get(family, 0) + len(values) - cap
            values = {labels: values[labels] for labels in sorted(values)[:cap]}
        old = {series.labels: series for series in known.series} if known else {}
        return [build_series(family, labels, value, old.get(labels)) for labels, value in values.items()]


def build_series(family: Family, labels: Labels, value: float, old: Series | None) -> Series:
    """The series for a new value: the old one if the value is equal, so that its rendered text is kept.

    Raises ValueError or TypeError if labels or value do not fit the family.
    """
    if old is not None and old.value == value:
        return old
    if isinstance(value, int) and not -MAX_VALUE <= value <= MAX_VALUE:
        raise ValueError(f"{family.name}: a whole number of {value.bit_length()} bits is beyond every float")
    if old is None:
        return Series(clean_labels(family, labels), [+value])
    series = Series(old.labels, [+value])
    series.text, series.wire = old.text, old.wire
    return series


def clean_labels(family: Family, labels: Labels) -> Labels:
    """The labels in valid Unicode; a character that is not becomes a question mark.

    Raises ValueError if there are too many or too few labels, TypeError if one is not a string.
    """
    if len(labels) != len(family.labels):
        raise ValueError(f"{family.name} has {len(family.labels)} labels, not {len(labels)}")
    joined = "".join(labels)
    if joined.isascii():
        return labels
    try:
        joined.encode()
    except UnicodeEncodeError:
        return tuple(label.encode(errors="replace").decode() for label in labels)
    return labels


def may_share(family: Family, others: Iterable[Family]) -> bool:
    """Whether a family may share the header of others with its name: their label names have to differ."""
    return not any(
        other.declared
        or family.declared
        or other.kind is not family.kind
        or other.name != family.name
        or set(other.labels) == set(family.labels)
        for other in others
    )


def list_sample_names(family: Family) -> tuple[str, ...]:
    """The names of the family's samples."""
    suffixes = {Kind.HISTOGRAM: ("_bucket", "_sum", "_count"), Kind.SUMMARY: ("", "_sum", "_count")}
    return tuple(family.name + suffix for suffix in suffixes.get(family.kind, ("",)))


def list_claimed_names(family: Family) -> frozenset[str]:
    """All names that no other family may use."""
    return frozenset((family.name, family.base_name, *list_sample_names(family)))

"""Families created at run time: one per name and label names, never two kinds under one name."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable

from exporter.metrics.family import Family, FamilyError, Kind
from exporter.sources.statsd.mapping.file import ObserverOptions

MAX_NAMES = 20_000
"""Names of families. Without a mapping every task of plain StatsD has its own names."""
MAX_FAMILIES = 25_000
"""Families: names with their label names."""
MAX_SERIES_PER_FAMILY = 50_000
"""Series of one family."""
HELP = "Received over StatsD"
PARTS = {Kind.HISTOGRAM: ("_sum", "_count", "_bucket"), Kind.SUMMARY: ("_sum", "_count")}


Claim = Callable[[], object] | None
"""Reserves the name of a new family; None if the family exists."""


class MappedFamilies:
    """All families created so far. A family keeps its first kind and options, also after a reload."""

    def __init__(self, reserved: Container[str] = (), reader: str = "") -> None:
        """`reserved` are the names of samples that belong to others; `reader` that of the families."""
        self._reserved = reserved
        self._reader = reader
        self._kinds: dict[str, Kind] = {}
        self._made: dict[tuple[str, tuple[str, ...]], Family] = {}

    def get(
        self, name: str, labels: tuple[str, ...], kind: Kind, options: ObserverOptions, ttl: float, text: str
    ) -> tuple[Family | str, Claim]:
        """The family of a name with these labels, with the function that reserves its name if it is new.

        If there is none: the reason, one of DROP_REASONS.
        """
        if self._kinds.get(name, kind) is not kind:
            return "conflict", None
        known = self._made.get((name, labels))
        return (known, None) if known else self._make(name, labels, kind, options, ttl, text)

    def _make(
        self, name: str, labels: tuple[str, ...], kind: Kind, options: ObserverOptions, ttl: float, text: str
    ) -> tuple[Family | str, Claim]:
        if self._collides(name, kind):
            return "conflict", None
        if len(self._made) >= MAX_FAMILIES or (name not in self._kinds and len(self._kinds) >= MAX_NAMES):
            return "capped", None
        try:
            family = Family(
                name=name,
                kind=kind,
                help=text or HELP,
                labels=labels,
                source="statsd",
                reader=self._reader,
                buckets=options.buckets if kind is Kind.HISTOGRAM else (),
                objectives=options.quantiles if kind is Kind.SUMMARY else (),
                max_age=options.max_age,
                age_buckets=options.age_buckets,
                cap=MAX_SERIES_PER_FAMILY,
                ttl=ttl,
                declared=False,
            )
        except FamilyError:
            return "conflict", None
        return family, lambda: self._keep(family)

    def release(self, families: Iterable[Family]) -> None:
        """Free the names of families whose last series expired, so that others may be made."""
        gone = [one.name for one in families if self._made.pop((one.name, one.labels), None) is not None]
        left = {name for name, _ in self._made} if gone else set()
        for name in gone:
            if name not in left:
                self._kinds.pop(name, None)

    def _keep(self, family: Family) -> None:
        """Reserve the name of a family, with its kind."""
        self._kinds[family.name] = family.kind
        self._made[family.name, family.labels] = family

    def _collides(self, name: str, kind: Kind) -> bool:
        """Whether a sample of the family would have the same name as a sample of another."""
        if any(name + part in self._reserved for part in ("", "_total", *PARTS.get(kind, ()))):
            return True
        if kind in PARTS:
            return any(self._kinds.get(name + part, kind) is not kind for part in PARTS[kind])
        bases = (name.removesuffix(part) for part in PARTS[Kind.HISTOGRAM] if name.endswith(part))
        return any(self._kinds.get(base, Kind.COUNTER) is not Kind.COUNTER for base in bases)

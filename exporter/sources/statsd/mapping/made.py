"""Families made at run time: one for each name and its label names, never two kinds under one name."""

from __future__ import annotations

from exporter.family import Family, FamilyError, Kind
from exporter.sources.statsd.mapping.file import Options

NAMES = 20_000
"""How many names are made at most: without a mapping every task of plain StatsD has names of its own."""
SHAPES = 25_000
"""How many families: names with different label names."""
SERIES = 50_000
"""How many series one of them may have."""
HELP = "Received over StatsD"
PARTS = {Kind.HISTOGRAM: ("_sum", "_count", "_bucket"), Kind.SUMMARY: ("_sum", "_count")}


class RefusedError(Exception):
    """Why no family is made: one of DROPS."""


class Families:
    """All that were made. The first kind that a name had stays, and what a family was made with, also over a reload."""

    def __init__(self) -> None:
        self._kinds: dict[str, Kind] = {}
        self._made: dict[tuple[str, tuple[str, ...]], Family] = {}

    def find(self, name: str, labels: tuple[str, ...], kind: Kind, options: Options, ttl: float, text: str) -> Family:
        """The family of a name with these labels; made if it is new. Raises RefusedError."""
        if self._kinds.get(name, kind) is not kind:
            raise RefusedError("conflict")
        known = self._made.get((name, labels))
        return known or self._make(name, labels, kind, options, ttl, text)

    def _make(self, name: str, labels: tuple[str, ...], kind: Kind, options: Options, ttl: float, text: str) -> Family:
        if self._collides(name, kind):
            raise RefusedError("conflict")
        if len(self._made) >= SHAPES or (name not in self._kinds and len(self._kinds) >= NAMES):
            raise RefusedError("capped")
        try:
            family = Family(
                name=name,
                kind=kind,
                help=text or HELP,
                labels=labels,
                source="statsd",
                buckets=options.buckets if kind is Kind.HISTOGRAM else (),
                objectives=options.quantiles if kind is Kind.SUMMARY else (),
                max_age=options.max_age,
                age_buckets=options.age_buckets,
                cap=SERIES,
                ttl=ttl,
                declared=False,
            )
        except FamilyError as error:
            raise RefusedError("conflict") from error
        self._kinds[name] = kind
        self._made[name, labels] = family
        return family

    def _collides(self, name: str, kind: Kind) -> bool:
        """Whether a row of one family would look like a row of another."""
        if kind in PARTS:
            return any(self._kinds.get(name + part, kind) is not kind for part in PARTS[kind])
        bases = (name.removesuffix(part) for part in PARTS[Kind.HISTOGRAM] if name.endswith(part))
        return any(self._kinds.get(base, Kind.COUNTER) is not Kind.COUNTER for base in bases)

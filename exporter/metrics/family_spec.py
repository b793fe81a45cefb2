"""A family as plain data: what the state file keeps of it, so that a later process can create it again."""

from __future__ import annotations

from typing import NamedTuple

from exporter.metrics.family import Kind

Shape = tuple[Kind, tuple[float, ...]]
"""Kind and buckets: cells of another shape mean something else."""


class FamilySpec(NamedTuple):
    """What has to be known of a family to make it again, and to see whether its cells can be carried on."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    buckets: tuple[float, ...] = ()
    declared: bool = True
    help: str = ""
    ttl: float = 0.0
    objectives: tuple[tuple[float, float], ...] = ()
    max_age: float = 600.0
    age_buckets: int = 5

    @property
    def shape(self) -> Shape:
        """What the cells mean."""
        return self.kind, self.buckets

    @property
    def width(self) -> int:
        """How many cells a series has: of a summary only sum and count are kept."""
        return {Kind.HISTOGRAM: len(self.buckets) + 2, Kind.SUMMARY: 2}.get(self.kind, 1)

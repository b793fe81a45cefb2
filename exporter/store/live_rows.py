"""Rows of live tables, as they are written to the state file and read from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.metrics.family import Labels
from exporter.metrics.family_spec import FamilySpec


class LiveRow(NamedTuple):
    """One series: `id` is its key in the file, `changed` is when its value last changed, in Unix seconds."""

    id: int
    family: int
    labels: Labels
    cells: list[float]
    revealed: bool
    changed: float


@dataclass(slots=True)
class LiveContents:
    """All rows in the state file; `lost` has the ids of those that cannot be decoded."""

    families: dict[int, FamilySpec] = field(default_factory=dict)
    rows: list[LiveRow] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    newest: int = 0
    """The highest id in use."""


@dataclass(slots=True)
class LiveChanges:
    """The changes of one transaction, already encoded."""

    families: list[tuple[int, bytes]] = field(default_factory=list)
    series: list[tuple[int, int, bytes]] = field(default_factory=list)
    values: list[tuple[int, object, bool, int]] = field(default_factory=list)
    """Id, cells, whether the series is revealed, and the time in Unix seconds."""
    gone: list[int] = field(default_factory=list)
    everything: bool = False
    """Whether all rows that are in the file are deleted first."""

    def __bool__(self) -> bool:
        return bool(self.everything or self.families or self.series or self.values or self.gone)

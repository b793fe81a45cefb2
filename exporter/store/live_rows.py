"""What is kept of a live table: the terms of those who write it to the state file and of those who find it there."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.metrics.family import Labels
from exporter.metrics.family_spec import FamilySpec


class LiveRow(NamedTuple):
    """One series: `changed` is when it last changed, in Unix seconds, `id` what it has in the file."""

    id: int
    family: int
    labels: Labels
    cells: list[float]
    shown: bool
    changed: float


@dataclass(slots=True)
class LiveContents:
    """What the state file has of the live tables; `lost` are the ids of rows that cannot be decoded."""

    families: dict[int, FamilySpec] = field(default_factory=dict)
    rows: list[LiveRow] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    newest: int = 0
    """The highest id that is in use."""


@dataclass(slots=True)
class LiveChanges:
    """What one write changes."""

    families: list[tuple[int, bytes]] = field(default_factory=list)
    series: list[tuple[int, int, bytes]] = field(default_factory=list)
    values: list[tuple[int, object, bool, int]] = field(default_factory=list)
    """Id, cells, whether they are shown, and the moment in Unix seconds."""
    gone: list[int] = field(default_factory=list)
    everything: bool = False
    """Whether nothing of what the file has is to stay."""

    def __bool__(self) -> bool:
        return bool(self.everything or self.families or self.series or self.values or self.gone)

"""Series that an earlier process kept, until their family and they themselves are made again."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping

from exporter.metrics.family import Labels
from exporter.metrics.family_spec import FamilySpec
from exporter.store.live_rows import LiveRow
from exporter.store.store import Table

log = logging.getLogger(__name__)

WaitingRows = dict[Labels, tuple[LiveRow, float]]
"""By labels, each with when it was last sent, in monotonic seconds."""


class Waiting:
    """All that waits; one thread puts in and takes out."""

    def __init__(self) -> None:
        self._families: dict[tuple[str, tuple[str, ...]], tuple[FamilySpec, WaitingRows]] = {}
        self.discarded: deque[int] = deque()
        """Rows of the state file that are of no use any more."""

    def hold_back(self, spec: FamilySpec, row: LiveRow, seen: float) -> None:
        """Let a series go on once it is made again; `seen` is when it was last sent, in monotonic seconds."""
        known, rows = self._families.setdefault((spec.name, spec.labels), (spec, {}))
        if known.shape != spec.shape or row.labels in rows:
            self.discarded.append(row.id)
        else:
            rows[row.labels] = row, seen

    def list_families(self) -> list[FamilySpec]:
        """Families that were not made again."""
        return [spec for spec, _ in self._families.values()]

    def claim(self, table: Table) -> WaitingRows:
        """What waits for a family; cells of another kind or other buckets cannot go on, and are discarded."""
        family = table.family
        spec, rows = self._families.pop((family.name, family.labels), (None, {}))
        if spec and spec.shape != (family.kind, tuple(map(float, table.buckets))):
            log.warning("%s has another kind or other buckets than before: it starts at zero", family.name)
            self.discard(rows)
            return {}
        return rows

    def discard(self, rows: Mapping[Labels, tuple[LiveRow, float]]) -> None:
        """These are not waited for."""
        self.discarded.extend(row.id for row, _ in rows.values())

    def clear(self) -> None:
        """The same names mean other things now."""
        for _, rows in self._families.values():
            self.discard(rows)
        self._families.clear()

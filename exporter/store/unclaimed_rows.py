"""Saved series of an earlier process, until this process creates the same series."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping

from exporter.metrics.family import Labels
from exporter.metrics.family_spec import FamilySpec
from exporter.store.live_rows import LiveRow
from exporter.store.store import FamilyTable

log = logging.getLogger(__name__)

RowsByLabels = dict[Labels, tuple[LiveRow, float]]
"""Rows by their labels, each with the time of its last event, in monotonic seconds."""


class UnclaimedRows:
    """Saved rows by family. Only one thread adds and claims rows."""

    def __init__(self) -> None:
        self._families: dict[tuple[str, tuple[str, ...]], tuple[FamilySpec, RowsByLabels]] = {}
        self.discarded: deque[int] = deque()
        """Ids of rows to delete from the state file."""

    def add(self, spec: FamilySpec, row: LiveRow, seen: float) -> None:
        """Keep a row until its series is created; `seen` is the time of its last event, in monotonic seconds."""
        known, rows = self._families.setdefault((spec.name, spec.labels), (spec, {}))
        if known.shape != spec.shape or row.labels in rows:
            self.discarded.append(row.id)
        else:
            rows[row.labels] = row, seen

    def list_families(self) -> list[FamilySpec]:
        """Families that this process did not create yet."""
        return [spec for spec, _ in self._families.values()]

    def claim(self, table: FamilyTable) -> RowsByLabels:
        """Remove and return the rows of a family; if its kind or buckets changed, they are discarded."""
        family = table.family
        spec, rows = self._families.pop((family.name, family.labels), (None, {}))
        if spec and spec.shape != (family.kind, tuple(map(float, table.buckets))):
            log.warning("the kind or the buckets of %s changed: it starts at zero", family.name)
            self.discard(rows)
            return {}
        return rows

    def discard(self, rows: Mapping[Labels, tuple[LiveRow, float]]) -> None:
        """Mark rows for deletion."""
        self.discarded.extend(row.id for row, _ in rows.values())

    def clear(self) -> None:
        """Discard all rows, because the same names have another meaning now."""
        for _, rows in self._families.values():
            self.discard(rows)
        self._families.clear()

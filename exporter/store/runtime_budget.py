"""How many families and series that are created at run time may exist: users' own, and those of a mapping file."""

from __future__ import annotations

from exporter.metrics.family import MAPPED, Family

MAX_FAMILIES = 25_000
"""Families that may be created at run time."""
MAX_SERIES = 200_000
"""Series that all families created at run time may have together."""


class RuntimeBudget:
    """Counts families that are not in the catalogue, and their series."""

    def __init__(self) -> None:
        self._families = 0
        self._series = 0
        self._mapped = 0
        """The number of series that a mapping file feeds beside Airflow's names."""
        self.max_mapped = MAX_SERIES
        """How many of those may exist."""

    def open(self, family: Family) -> None:
        """Count a new family. Raises ValueError if there are too many."""
        if not family.declared:
            if self._families >= MAX_FAMILIES:
                raise ValueError("too many families were created at run time")
            self._families += 1

    def close(self, family: Family) -> None:
        """Count a family that is removed."""
        self._families -= not family.declared

    def add(self, family: Family, change: int) -> None:
        """Count series that were created, or removed if the change is negative."""
        if not family.declared:
            self._series += change
            if family.reader == MAPPED:
                self._mapped += change

    def has_room(self, family: Family) -> bool:
        """Whether the family may have one more series."""
        if family.declared:
            return True
        return self._series < MAX_SERIES and (family.reader != MAPPED or self._mapped < self.max_mapped)

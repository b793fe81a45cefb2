"""How many rows of lists are left out now, because Airflow does not serve them or they cannot be decoded."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Hashable
from typing import NamedTuple

MAX_AGE = 3600.0
"""After how many seconds a list counts no more that was not read again, such as the runs of a DAG asked for once."""


class Entry(NamedTuple):
    """How many rows of a list the newest walk left out, and when it ended (monotonic seconds)."""

    endpoint: str
    rows: int
    noted: float


class LeftOut:
    """Rows left out, list by list. One thread writes; any may count."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lists: dict[Hashable, Entry] = {}
        self._endpoints: frozenset[str] = frozenset()

    def record(self, endpoint: str, name: Hashable, rows: int) -> None:
        """Record how many rows were skipped in a list of an endpoint."""
        # Replaced, not changed: another thread may be counting.
        self._endpoints = self._endpoints | {endpoint}
        lists = {key: entry for key, entry in self._lists.items() if key != (endpoint, name)}
        if rows:
            lists[endpoint, name] = Entry(endpoint, rows, self._clock())
        if lists != self._lists:
            self._lists = lists

    def count(self) -> dict[str, int]:
        """The rows that are left out, by endpoint; 0 for an endpoint of which all were read."""
        oldest = self._clock() - MAX_AGE
        counts = Counter(dict.fromkeys(self._endpoints, 0))
        for entry in self._lists.values():
            if entry.noted >= oldest:
                counts[entry.endpoint] += entry.rows
        return dict(counts)

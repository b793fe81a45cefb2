"""Priority: which waiting task instances were overtaken by others of their pool."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict

from exporter.diagnosis import reasons
from exporter.diagnosis.reasons import Reason
from exporter.diagnosis.situation import ActiveTaskInstance, Situation
from exporter.diagnosis.waits.usage import OCCUPYING


class Overtaking:
    """Which waiting task instances were overtaken: others of their pool, of a higher weight, became ready later."""

    def __init__(self, situation: Situation) -> None:
        self._rows = situation.tasks
        self._pools: dict[str, tuple[list[int], list[float]]] | None = None

    def get_reason(self, row: ActiveTaskInstance) -> Reason:
        """`priority` where it was overtaken, else `pool`. Airflow 2 does not show when a task became ready."""
        if row.scheduled_when is None:
            return reasons.POOL
        if self._pools is None:
            self._pools = self._collect()
        weights, newest = self._pools.get(row.pool, ([], []))
        place = bisect_left(weights, row.priority_weight + 1)
        return reasons.PRIORITY if place < len(weights) and newest[place] > row.scheduled_when else reasons.POOL

    def _collect(self) -> dict[str, tuple[list[int], list[float]]]:
        """Of each pool the weights of what holds its slots, rising, with the newest of all at least that heavy."""
        holders: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        for row in self._rows:
            if row.state in OCCUPYING and row.scheduled_when is not None:
                holders[row.pool].append((row.priority_weight, row.scheduled_when))
        found = {}
        for pool, rows in holders.items():
            rows.sort()
            newest = [moment for _, moment in rows]
            for place in range(len(newest) - 2, -1, -1):
                newest[place] = max(newest[place], newest[place + 1])
            found[pool] = ([weight for weight, _ in rows], newest)
        return found

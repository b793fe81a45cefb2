"""Priority: which waiting task instances were overtaken by others of their pool."""

from __future__ import annotations

import math
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
        self.get_ready = situation.get_ready
        self._pools: dict[str, tuple[list[int], list[float]]] | None = None
        self._newest: dict[tuple[str, int], float] = {}
        """When the newest holder of a pool, of a higher weight than this, became ready; -inf where there is none."""

    def get_reason(self, row: ActiveTaskInstance) -> Reason:
        """`priority` where it was overtaken, else `pool`."""
        ready = self.get_ready(row)
        if ready is None:
            return reasons.POOL
        key = (row.pool, row.priority_weight)
        newest = self._newest.get(key)
        if newest is None:
            newest = self._newest[key] = self.find_newest(*key)
        return reasons.PRIORITY if newest > ready else reasons.POOL

    def find_newest(self, pool: str, weight: int) -> float:
        """When the newest holder of a pool, of a higher weight, became ready (Unix seconds); -inf where none is."""
        if self._pools is None:
            self._pools = self._collect()
        weights, newest = self._pools.get(pool, ([], []))
        place = bisect_left(weights, weight + 1)
        return newest[place] if place < len(weights) else -math.inf

    def _collect(self) -> dict[str, tuple[list[int], list[float]]]:
        """Of each pool the weights of what holds its slots, rising, with the newest of all at least that heavy."""
        holders: defaultdict[str, list[tuple[int, float]]] = defaultdict(list)
        for row in self._rows:
            if row.state in OCCUPYING and (ready := self.get_ready(row)) is not None:
                holders[row.pool].append((row.priority_weight, ready))
        found = {}
        for pool, rows in holders.items():
            rows.sort()
            newest = [moment for _, moment in rows]
            for place in range(len(newest) - 2, -1, -1):
                newest[place] = max(newest[place], newest[place + 1])
            found[pool] = ([weight for weight, _ in rows], newest)
        return found

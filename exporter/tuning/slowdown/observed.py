"""What really ran beside each try, and how long it would have taken alone. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

from exporter.tuning.simulation.recorded import RecordedTry
from exporter.tuning.slowdown.model import FULL, SHARES, Slowdown, get_demand

ALMOST_NOTHING = 1e-9

LevelOf = Callable[[str], int]
"""What the tries of a DAG want, as a place in SHARES."""


class ObservedWork(NamedTuple):
    """Tries without what others added to them."""

    seconds: list[float]
    """How long each would have taken alone."""
    factors: Sequence[float]
    """How many times as long a start took when each started: starts need the CPU."""


class Overlaps:
    """Which tries ran at once: the steps of time between starts and ends, and how many of each level ran in each."""

    def __init__(self, tries: Sequence[RecordedTry], get_level: LevelOf) -> None:
        self.levels = [get_level(one.dag_id) for one in tries]
        moments = sorted({one.started_at for one in tries} | {one.ended_at for one in tries})
        places = {moment: place for place, moment in enumerate(moments)}
        self._begins = [places[one.started_at] for one in tries]
        self._ends = [places[one.ended_at] for one in tries]
        self._steps = [later - moment for moment, later in pairwise(moments)]
        self._keys: list[tuple[int, ...]] = self._count(len(moments))

    def _count(self, moments: int) -> list[tuple[int, ...]]:
        changes: list[list[tuple[int, int]]] = [[] for _ in range(moments)]
        for level, begin, end in zip(self.levels, self._begins, self._ends, strict=True):
            changes[begin].append((level, 1))
            changes[end].append((level, -1))
        counts, keys = [0] * len(SHARES), []
        for change in changes:
            for level, number in change:
                counts[level] += number
            keys.append(tuple(counts))
        return keys

    def measure_work(self, slowdown: Slowdown) -> ObservedWork:
        """How long each try would have taken alone."""
        known = {key: slowdown.get_factors(key) for key in set(self._keys)}
        factors = [known[key] for key in self._keys]
        done = {level: self._add_up(factors, level) for level in set(self.levels)}
        seconds = [
            max(0.0, done[level][end] - done[level][begin])
            for level, begin, end in zip(self.levels, self._begins, self._ends, strict=True)
        ]
        return ObservedWork(seconds, [factors[begin][FULL] for begin in self._begins])

    def _add_up(self, factors: Sequence[Sequence[float]], level: int) -> list[float]:
        rates = (step / factor[level] for step, factor in zip(self._steps, factors, strict=False))
        return list(accumulate(rates, initial=0.0))

    def get_highest_demand(self, share: float = 1.0) -> float:
        """The demand that was not exceeded in this part of the time in which something was wanted."""
        spent: dict[float, float] = {}
        for step, key in zip(self._steps, self._keys, strict=False):
            demand = get_demand(key)
            if demand:
                spent[demand] = spent.get(demand, 0.0) + step
        left = share * sum(spent.values())
        for demand in sorted(spent):
            left -= spent[demand]
            if left <= ALMOST_NOTHING:
                return demand
        return max(spent, default=0.0)


def measure_work(tries: Sequence[RecordedTry], slowdown: Slowdown) -> ObservedWork:
    """How long each try would have taken alone."""
    return Overlaps(tries, slowdown.get_level).measure_work(slowdown)


def get_highest_demand(tries: Sequence[RecordedTry], slowdown: Slowdown, share: float = 1.0) -> float:
    """The demand that was not exceeded in this part of the time in which something was wanted."""
    return Overlaps(tries, slowdown.get_level).get_highest_demand(share)

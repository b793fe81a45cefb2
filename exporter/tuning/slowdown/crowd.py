"""The tries of a simulation that run at once, and how fast each of them goes on."""

from __future__ import annotations

import math
from collections.abc import Iterator

from exporter.tuning.simulation.machines import Resource
from exporter.tuning.slowdown.model import FULL, SHARES, Slowdown, get_demand


class Crowd:
    """What runs; for each share of a CPU that tries want, one resource whose users all go on at the same rate."""

    def __init__(self, slowdown: Slowdown) -> None:
        self._slowdown = slowdown
        self._known: dict[tuple[int, ...], list[float]] = {}
        self._demand_since = -math.inf
        self.counts = [0] * len(SHARES)
        self.resources = [Resource(math.inf) for _ in SHARES]
        self.seconds_by_demand: dict[float, float] = {}
        """For how long tries wanted this many CPUs."""

    @property
    def start_factor(self) -> float:
        """How many times as long a start takes now: it needs the CPU."""
        return self.resources[FULL].slowdown

    def change(self, now: float, level: int, number: int) -> Iterator[Resource]:
        """Note that tries of a level started, or ended; those resources whose rate changes."""
        self._note_demand(now)
        self.counts[level] += number
        if math.isinf(self._slowdown.capacity):
            return
        key = tuple(self.counts)
        factors = self._known.get(key)
        if factors is None:
            factors = self._known[key] = self._slowdown.get_factors(self.counts)
        for resource, factor in zip(self.resources, factors, strict=True):
            if factor != resource.slowdown:
                resource.slow_down(now, factor)
                yield resource

    def _note_demand(self, now: float) -> None:
        demand = get_demand(self.counts)
        if demand and now > self._demand_since:
            spent = self.seconds_by_demand
            spent[demand] = spent.get(demand, 0.0) + now - self._demand_since
        self._demand_since = now

    def get_share_above(self, demand: float) -> float:
        """In what part of the time tries wanted more than that."""
        total = sum(self.seconds_by_demand.values())
        return sum(spent for value, spent in self.seconds_by_demand.items() if value > demand) / total if total else 0.0

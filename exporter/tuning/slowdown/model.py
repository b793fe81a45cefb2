"""How much longer tries take because others run beside them: together they want more than the machines can do. Pure.

Each try wants a share of a CPU while it runs. If all of them together want more than there is, the part of each try
that needs the CPU takes longer, for all by the same factor. Where it is not known what tries want, each counts as one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from exporter.tuning.knee import shape

SHARES = (0.0, 0.03, 0.07, 0.15, 0.25, 0.4, 0.55, 0.7, 0.8, 0.9, 1.0)
"""Shares of a CPU that tries are told apart by."""
FULL = len(SHARES) - 1
"""The place of a whole CPU."""
MAX_STEPS = 40
MOST_SHARED, MANY_CPUS = 0.97, 30.0
PRECISION = 1e-6


@dataclass(frozen=True, slots=True)
class Slowdown:
    """What the machines can do, and what the tries of each DAG want of it."""

    capacity: float = math.inf
    """CPUs; tries at once where it is not known what they want. Infinite: they never slow each other down."""
    sharpness: float | None = None
    """How suddenly it begins (`knee.shape`); None: by what tries want."""
    levels: Mapping[str, int] = field(default_factory=dict)
    """The places in SHARES, by DAG; a whole CPU where a DAG is missing."""

    @property
    def knows_shares(self) -> bool:
        """Whether it is known what tries want."""
        return bool(self.levels)

    def get_level(self, dag_id: str) -> int:
        """What the tries of a DAG want, as a place in SHARES."""
        return self.levels.get(dag_id, FULL)

    def get_factors(self, counts: Sequence[int]) -> list[float]:
        """How many times as long tries of each level take, with these numbers of running tries of each level."""
        excess = self._get_excess(counts)
        return [1 + share * excess for share in SHARES]

    def _get_excess(self, counts: Sequence[int]) -> float:
        """How much longer the CPU part takes, less one.

        A try of share w then uses w / (1 + w x) CPUs. Newton's method: the sum falls and is convex, so that it comes
        nearer from one side.
        """
        demand = get_demand(counts)
        if math.isinf(self.capacity) or not demand:
            return 0.0
        sharpness = get_sharpness(counts, self.capacity) if self.sharpness is None else self.sharpness
        used = shape(demand, self.capacity, math.inf, 0.0, sharpness)
        excess = 0.0
        for _ in range(MAX_STEPS):
            surplus, slope = -used, 0.0
            for share, count in zip(SHARES, counts, strict=True):
                part = share / (1 + share * excess)
                surplus += count * part
                slope += count * part * part
            if surplus <= PRECISION * used:
                break
            excess += surplus / slope
        return excess


def get_demand(counts: Sequence[int]) -> float:
    """CPUs that these numbers of tries of each level want."""
    return sum(share * count for share, count in zip(SHARES, counts, strict=True))


def get_sharpness(counts: Sequence[int], capacity: float) -> float:
    """How suddenly tries begin to disturb each other.

    Tries that want the CPU all the time do so when it is full; others before, by chance, the more so the fewer CPUs
    there are. The numbers are within 4 % of what queueing theory says (a closed network, solved exactly).
    """
    demand = get_demand(counts)
    share = sum(share * share * count for share, count in zip(SHARES, counts, strict=True)) / demand
    if share > MOST_SHARED:
        return math.inf
    return min(capacity, MANY_CPUS) + 2 + max(0.0, 1.3 / (1 - share) - 2.3)


def find_level(share: float) -> int:
    """The place in SHARES that is nearest."""
    return min(range(len(SHARES)), key=lambda place: abs(SHARES[place] - share))

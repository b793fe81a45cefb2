"""How much a machine gets done with N tasks at once: a closed queueing network, solved exactly (Buzen's algorithm)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Station(NamedTuple):
    """A resource that tasks share."""

    demand: float
    """The part of a task's time alone that it needs this resource."""
    units: float
    """Seconds of work that it does in a second."""


def compute_throughput(number: int, stations: Sequence[Station], waiting: float, slowdown: float) -> float:
    """Work done per second, in seconds that it takes alone; `waiting` is the part of a task's time that needs nothing.

    The first station and the waiting take `slowdown` times as long, because the machine pages.
    """
    if not number:
        return 0.0
    cpu, *others = stations
    weights = [1.0]
    for place in range(1, number + 1):
        weights.append(weights[-1] * waiting * slowdown / place)
    for station in (cpu._replace(demand=cpu.demand * slowdown), *others):
        weights = convolve(weights, station)
    return weights[number - 1] / weights[number]


def convolve(weights: Sequence[float], station: Station) -> list[float]:
    """The weights of a network with one more station."""
    own = [1.0]
    for place in range(1, len(weights)):
        own.append(own[-1] * station.demand / min(place, station.units))
    return [sum(own[part] * weights[total - part] for part in range(total + 1)) for total in range(len(weights))]

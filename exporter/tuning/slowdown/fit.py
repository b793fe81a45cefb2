"""Finds what the machines can do in what really ran: where more ran, the same tasks took longer. Pure.

If it is right how much others added to each try, then what remains of the tries of a task is the same at all loads. So
the capacity is the one with which the durations of each task differ least from each other.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from exporter.tuning.knee import ROUND, SHARP, LoadBin, shape
from exporter.tuning.simulation.recorded import RecordedTry
from exporter.tuning.slowdown.model import Slowdown, find_level
from exporter.tuning.slowdown.observed import Overlaps, get_highest_demand, measure_work

MAX_TRIES = 3_000
"""Tries that are looked at: the newest ones."""
CAPACITIES, FINER = 12, 4
"""Capacities that are tried between a tenth of the highest demand and all of it; then around the best one."""
SIGNIFICANT = 15.0
"""By how much the logarithm of the likelihood must grow: less is chance."""
ROUNDS = 3
"""How often the shares of DAGs are worked out again, because what tries take alone follows from them too."""
MAX_DAGS = 8
"""DAGs of which it is found out whether others slow them down: the largest ones."""
USUAL = 0.995
"""The highest demand is the one that was not exceeded in this part of the time: shorter moments say nothing."""
MIN_SECONDS = 0.01

Scored = Callable[[Slowdown], float]
"""The error of a slowdown."""


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What is known of the machines and of tries beside what ran."""

    cpus: float = math.inf
    """CPUs that tasks can use, over all machines; infinite where they are not known."""
    cpu_seconds: Mapping[str, float] = field(default_factory=dict)
    """Of a try, by DAG."""
    bins: Sequence[LoadBin] = ()
    """Stretch by running tasks, as the rules record it."""


class FittedSlowdown(NamedTuple):
    """How much tries slow each other down, and how that is known."""

    slowdown: Slowdown
    demand: float
    """The highest demand in the window."""
    basis: str
    """What it follows from: durations, cpus or stretch; empty where nothing shows it."""


class Spread:
    """How much the tries of each task differ from each other without what others added."""

    def __init__(self, tries: Sequence[RecordedTry], levels: Mapping[str, int]) -> None:
        self.free = Slowdown(levels=levels)
        self._overlaps = Overlaps(tries, self.free.get_level)
        tasks: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        for place, one in enumerate(tries):
            tasks[one.dag_id, one.task_id].append(place)
        self._tasks = list(tasks.values())
        self._count = len(tries)

    def measure(self, slowdown: Slowdown) -> float:
        """The variance of the logarithms."""
        logs = [math.log(max(one, MIN_SECONDS)) for one in self._overlaps.measure_work(slowdown).seconds]
        total = 0.0
        for places in self._tasks:
            values = [logs[place] for place in places]
            middle = sum(values) / len(values)
            total += sum((one - middle) ** 2 for one in values)
        return total / self._count if self._count else 0.0

    def fit(self) -> tuple[Slowdown, float]:
        """The capacity with which they differ least, and that variance; infinite where that is no better."""
        highest = self._overlaps.get_highest_demand()
        best, least = search(highest, self.free, self.measure)
        free = self.measure(self.free)
        return (best, least) if self.is_better(least, free) else (self.free, free)

    def is_better(self, variance: float, other: float) -> bool:
        """Whether one variance is smaller than another by more than chance."""
        return is_better(self._count, variance, other)


def is_better(count: int, variance: float, other: float) -> bool:
    """Whether the variance of this number of values is smaller than another by more than chance."""
    return other > 0 and (variance <= 0 or count / 2 * math.log(other / variance) > SIGNIFICANT)


def fit_slowdown(tries: Sequence[RecordedTry], facts: MachineFacts) -> FittedSlowdown:
    """What the machines can do, by what ran; else by their CPUs."""
    part = tries[-MAX_TRIES:]
    found = fit_shares(part, facts) if facts.cpu_seconds else fit_dags(part)
    if not math.isinf(found.capacity):
        return FittedSlowdown(found, get_highest_demand(tries, found, USUAL), "durations")
    demand = get_highest_demand(tries, found, USUAL)
    if math.isinf(facts.cpus) or not found.knows_shares:
        return FittedSlowdown(found, demand, "")
    return FittedSlowdown(take_cpus(part, found, demand, facts.cpus), demand, "cpus")


def take_cpus(tries: Sequence[RecordedTry], free: Slowdown, demand: float, cpus: float) -> Slowdown:
    """The CPUs as the capacity, unless durations show that there are more."""
    limited, spread = Slowdown(cpus, None, free.levels), Spread(tries, free.levels)
    if cpus < demand and spread.is_better(spread.measure(free), spread.measure(limited)):
        return Slowdown(demand, None, free.levels)
    return limited


def fit_shares(tries: Sequence[RecordedTry], facts: MachineFacts) -> Slowdown:
    """With the shares of a CPU that tries want."""
    found = Slowdown()
    for _ in range(ROUNDS):
        levels = find_levels(tries, facts.cpu_seconds, found)
        if levels == found.levels:
            break
        found, _ = Spread(tries, levels).fit()
        if math.isinf(found.capacity) and not math.isinf(facts.cpus):
            found = Slowdown(facts.cpus, None, levels)
    levels = find_levels(tries, facts.cpu_seconds, found)
    return Spread(tries, levels).fit()[0]


def find_levels(tries: Sequence[RecordedTry], cpu_seconds: Mapping[str, float], slowdown: Slowdown) -> dict[str, int]:
    """What the tries of each DAG want: their CPU seconds over what they take alone."""
    alone: defaultdict[str, list[float]] = defaultdict(list)
    for one, seconds in zip(tries, measure_work(tries, slowdown).seconds, strict=True):
        alone[one.dag_id].append(seconds)
    return {
        dag_id: find_level(cpu_seconds[dag_id] * len(seconds) / max(sum(seconds), MIN_SECONDS))
        for dag_id, seconds in alone.items()
        if dag_id in cpu_seconds
    }


def fit_dags(tries: Sequence[RecordedTry]) -> Slowdown:
    """Where it is not known what tries want: the DAGs that slow each other down are those that want a CPU."""
    spent: Counter[str] = Counter()
    for one in tries:
        spent[one.dag_id] += one.ended_at - one.started_at  # type: ignore[assignment]
    levels: dict[str, int] = {}
    best, least = Spread(tries, levels).fit()
    for dag_id, _ in spent.most_common(MAX_DAGS):
        without = {**levels, dag_id: 0}
        found, variance = Spread(tries, without).fit()
        if not math.isinf(found.capacity) and is_better(len(tries), variance, least):
            levels, best, least = without, found, variance
    return best


def fit_bins(bins: Sequence[LoadBin]) -> FittedSlowdown:
    """From the stretch by running tasks, as the rules record it: each task counts as one."""
    highest = max((one.running for one in bins), default=0.0)

    def get_error(slowdown: Slowdown) -> float:
        errors = ((one.points, one.stretch * take(one.running, slowdown) / one.running) for one in bins)
        return sum(points * math.log(ratio) ** 2 for points, ratio in errors)

    best = min(
        (search(highest, Slowdown(sharpness=sharpness), get_error) for sharpness in (SHARP, *ROUND)),
        key=lambda pair: pair[1],
    )
    free = get_error(Slowdown())
    count = sum(one.points for one in bins)
    if not bins or not is_better(count, best[1], free):
        return FittedSlowdown(Slowdown(), highest, "")
    return FittedSlowdown(best[0], highest, "stretch")


def take(running: float, slowdown: Slowdown) -> float:
    """How many of the running tasks seem to run undisturbed, where each wants a CPU."""
    if math.isinf(slowdown.capacity):
        return running
    return shape(running, slowdown.capacity, math.inf, 0.0, slowdown.sharpness or SHARP)


def search(highest: float, free: Slowdown, get_error: Scored) -> tuple[Slowdown, float]:
    """The best of many capacities, and then of some around it; with its error."""

    def find_best(capacities: Iterable[float]) -> tuple[Slowdown, float]:
        made = [Slowdown(capacity, free.sharpness, free.levels) for capacity in capacities]
        return min(((one, get_error(one)) for one in made), key=lambda pair: pair[1])

    coarse, _ = find_best(highest * 10 ** (-step / CAPACITIES) for step in range(CAPACITIES + 1))
    width = 1 / CAPACITIES / FINER
    return find_best(coarse.capacity * 10 ** (step * width) for step in range(1 - FINER, FINER))

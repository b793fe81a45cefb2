"""What a running task uses, and how many of them the machines have room for."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import StatisticsError, correlation, linear_regression, mean
from typing import NamedTuple

from exporter.tuning.knee import MIN_RUNNING
from exporter.tuning.queries import (
    HOST_CPU,
    HOST_CPUS,
    HOST_MEMORY,
    HOST_MEMORY_BYTES,
    RUNNING,
    TASK_CPUS,
    TASK_MEMORY,
)
from exporter.tuning.series import HOUR, AirflowHistory, add_up, median, quantile

BUSY = 0.8
"""Share of the CPUs in use above which a task may get less CPU than it wants."""
FOLLOWS = 0.8
"""Correlation from which on the CPUs in use of a machine follow the number of running tasks."""
MIN_MOMENTS = 6
"""Moments that say what a task uses: half an hour. For other machines so many hours are needed."""
MEMORY_SHARE = 0.95
"""Of the machine's memory: the rest is for the kernel and for what was not seen."""


class Room(NamedTuple):
    """One resource of the machines on which tasks run."""

    resource: str
    """CPU, memory, or the CPU of a machine that is named"""
    per_task: float
    """CPUs or bytes that a running task uses."""
    available: float
    """What the machines have, without what others than tasks use."""
    total: float

    @property
    def tasks(self) -> float:
        """How many tasks fit."""
        return self.available / self.per_task


class Capacity(NamedTuple):
    """What is known of the machines."""

    machines: int = 0
    cpu: Room | None = None
    memory: Room | None = None
    shared: Sequence[Room] = ()
    """Machines on which no tasks run but whose CPUs they use: of the database, of the API server."""

    @property
    def rooms(self) -> Sequence[Room]:
        """All that is known."""
        return [room for room in (self.cpu, self.memory, *self.shared) if room is not None]

    @property
    def narrowest(self) -> Room | None:
        """The resource that fits the fewest tasks."""
        return min(self.rooms, key=lambda room: room.tasks, default=None)


def measure_capacity(seen: AirflowHistory) -> Capacity:
    """What the machines on which tasks run have room for."""
    machines = find_task_machines(seen)
    running = get_running(seen, machines)
    if not machines or not running:
        return Capacity()
    return Capacity(
        len(machines),
        measure_cpu(seen, machines, running),
        measure_memory(seen, machines, running),
        list(measure_shared(seen, machines, running)),
    )


def measure_cpu_of_tasks(seen: AirflowHistory) -> Room | None:
    """The CPUs of the machines on which tasks run; None where they are not known."""
    machines = find_task_machines(seen)
    return measure_cpu(seen, machines, get_running(seen, machines))


def get_running(seen: AirflowHistory, machines: set[str]) -> dict[float, float]:
    """Running tasks while just these machines were there: else others' tasks would be divided by their CPUs."""
    there: dict[float, set[str]] = defaultdict(set)
    for query in (HOST_CPU, TASK_CPUS, TASK_MEMORY):
        for series in seen.list(query):
            name = series.labels.get("instance", "")
            for moment, value in series.points.items():
                if name in machines or (query is not HOST_CPU and value > 0):
                    there[moment].add(name)
    whole = {moment for moment, names in there.items() if names == machines}
    return {moment: count for moment, count in seen.get(RUNNING).items() if moment in whole}


def find_task_machines(seen: AirflowHistory) -> set[str]:
    """The machines on which processes of tasks were seen."""
    found = {
        series.labels.get("instance", "")
        for query in (TASK_CPUS, TASK_MEMORY)
        for series in seen.list(query)
        if any(value > 0 for value in series.points.values())
    }
    return found & {name for (name,) in seen.by(HOST_CPUS, "instance")} or found


def measure_cpu(seen: AirflowHistory, machines: set[str], running: Mapping[float, float]) -> Room | None:
    """CPUs of a running task, from moments at which CPUs were free; None where that is not known."""
    cores = {name: value for (name,), value in seen.by(HOST_CPUS, "instance").items() if name in machines}
    used = add_up(one for one in seen.list(TASK_CPUS) if one.labels.get("instance") in machines)
    busy = get_used_cpus(seen, cores)
    total = sum(cores.values())
    moments = [moment for moment, count in running.items() if count >= MIN_RUNNING and used.get(moment, 0.0) > 0]
    free = [moment for moment in moments if busy.get(moment, used[moment]) < BUSY * total]
    if not total or len(moments) < MIN_MOMENTS:
        return None
    if len(free) >= MIN_MOMENTS:
        per_task = sum(used[moment] for moment in free) / sum(running[moment] for moment in free)
    else:
        per_task = quantile((used[moment] / running[moment] for moment in moments), 0.9)
    others = [max(0.0, busy[moment] - used[moment]) for moment in free if moment in busy]
    available = total - (median(others) if others else 0.0)
    return Room("CPU", per_task, max(0.0, available), total) if per_task > 0 else None


def get_used_cpus(seen: AirflowHistory, cores: Mapping[str, float]) -> dict[float, float]:
    """CPUs in use on all these machines."""
    found: dict[float, float] = {}
    for series in seen.list(HOST_CPU):
        count = cores.get(series.labels.get("instance", ""), 0.0)
        for moment, share in series.points.items() if count else ():
            found[moment] = found.get(moment, 0.0) + share * count
    return found


def measure_shared(seen: AirflowHistory, machines: set[str], running: Mapping[float, float]) -> Iterator[Room]:
    """Yield the machines without tasks whose CPUs are used the more, the more tasks run."""
    for (name,), cores in seen.by(HOST_CPUS, "instance").items():
        if name in machines or not cores:
            continue
        used = get_used_cpus(seen, {name: cores})
        line = fit_line(list(average_hours(running, used, BUSY * cores)))
        if line is not None and line.correlation >= FOLLOWS and line.slope > 0:
            yield Room(f"the CPUs of {name}", line.slope, max(0.0, cores - max(0.0, line.start)), cores)


def average_hours(
    running: Mapping[float, float], used: Mapping[float, float], most: float
) -> Iterator[tuple[float, float]]:
    """Yield running tasks and CPUs in use, each averaged over an hour in which no more than `most` CPUs were used.

    Both are of not quite the same minutes, and tasks that begin together use the machine by turns: over an hour that
    does not matter.
    """
    hours: defaultdict[int, list[float]] = defaultdict(list)
    for moment in running:
        if moment in used:
            hours[int(moment // HOUR)].append(moment)
    for moments in hours.values():
        if max(used[moment] for moment in moments) <= most:
            yield mean(running[moment] for moment in moments), mean(used[moment] for moment in moments)


class FittedLine(NamedTuple):
    """A straight line through points."""

    start: float
    slope: float
    correlation: float


def fit_line(points: Sequence[tuple[float, float]]) -> FittedLine | None:
    """The line with the least squares; None for too few points, or if they are all at one place."""
    if len(points) < MIN_MOMENTS:
        return None
    try:
        slope, start = linear_regression(*zip(*points, strict=True))
        return FittedLine(start, slope, correlation(*zip(*points, strict=True)))
    except StatisticsError:
        return None


def measure_memory(seen: AirflowHistory, machines: set[str], running: Mapping[float, float]) -> Room | None:
    """Memory of a running task, when as many run as fit in 19 of 20 moments; None where that is not known.

    Few tasks may all be large ones, many of them are not: what varies grows with the square root of their number.
    """
    sizes = {name: value for (name,), value in seen.by(HOST_MEMORY_BYTES, "instance").items() if name in machines}
    used = add_up(one for one in seen.list(TASK_MEMORY) if one.labels.get("instance") in machines)
    moments = [moment for moment, count in running.items() if count >= 1 and used.get(moment, 0.0) > 0]
    total = sum(sizes.values())
    if not total or len(moments) < MIN_MOMENTS:
        return None
    average = sum(used[moment] for moment in moments) / sum(running[moment] for moment in moments)
    excess = [(used[moment] - average * running[moment]) / math.sqrt(running[moment]) for moment in moments]
    in_use: dict[float, float] = {}
    for series in seen.list(HOST_MEMORY):
        size = sizes.get(series.labels.get("instance", ""), 0.0)
        for moment, share in series.points.items() if size else ():
            in_use[moment] = in_use.get(moment, 0.0) + share * size
    others = [max(0.0, in_use[moment] - used[moment]) for moment in moments if moment in in_use]
    available = MEMORY_SHARE * total - (median(others) if others else 0.0)
    fits = fit_many(max(0.0, available), average, max(0.0, quantile(excess, 0.95)))
    return Room("memory", average if not fits else available / fits, max(0.0, available), total)


def fit_many(available: float, average: float, excess: float) -> float:
    """How many fit, if n of them use n times the average and the excess times the square root of n."""
    root = (math.sqrt(excess * excess + 4 * average * available) - excess) / (2 * average)
    return root * root

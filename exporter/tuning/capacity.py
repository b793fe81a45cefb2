"""What a running task uses, and how many of them the machines have room for."""

from __future__ import annotations

from collections.abc import Mapping
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
from exporter.tuning.series import AirflowHistory, add_up, median, quantile

BUSY = 0.8
"""Share of the CPUs in use above which a task may get less CPU than it wants."""
MIN_MOMENTS = 6
"""Moments that say what a task uses: half an hour."""
MEMORY_SHARE = 0.95
"""Of the machine's memory: the rest is for the kernel and for what was not seen."""


class Room(NamedTuple):
    """One resource of the machines on which tasks run."""

    resource: str
    """CPU or memory"""
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

    @property
    def narrowest(self) -> Room | None:
        """The resource that fits the fewest tasks."""
        rooms = [room for room in (self.cpu, self.memory) if room is not None]
        return min(rooms, key=lambda room: room.tasks, default=None)


def measure_capacity(seen: AirflowHistory) -> Capacity:
    """What the machines on which tasks run have room for."""
    machines = find_task_machines(seen)
    running = seen.get(RUNNING)
    if not machines or not running:
        return Capacity()
    return Capacity(len(machines), measure_cpu(seen, machines, running), measure_memory(seen, machines, running))


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


def measure_memory(seen: AirflowHistory, machines: set[str], running: Mapping[float, float]) -> Room | None:
    """Memory of a running task, in 19 of 20 moments at most; None where that is not known."""
    sizes = {name: value for (name,), value in seen.by(HOST_MEMORY_BYTES, "instance").items() if name in machines}
    used = add_up(one for one in seen.list(TASK_MEMORY) if one.labels.get("instance") in machines)
    moments = [moment for moment, count in running.items() if count >= 1 and used.get(moment, 0.0) > 0]
    total = sum(sizes.values())
    if not total or len(moments) < MIN_MOMENTS:
        return None
    per_task = quantile((used[moment] / running[moment] for moment in moments), 0.95)
    in_use: dict[float, float] = {}
    for series in seen.list(HOST_MEMORY):
        size = sizes.get(series.labels.get("instance", ""), 0.0)
        for moment, share in series.points.items() if size else ():
            in_use[moment] = in_use.get(moment, 0.0) + share * size
    others = [max(0.0, in_use[moment] - used[moment]) for moment in moments if moment in in_use]
    available = MEMORY_SHARE * total - (median(others) if others else 0.0)
    return Room("memory", per_task, max(0.0, available), total)

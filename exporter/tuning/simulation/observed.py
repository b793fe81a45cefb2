"""The settings of an Airflow as series of the exporter show them, with the times at which they changed. Pure."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from exporter.tuning.simulation.settings import CeleryWorker, QueueWorkers, SimulatedSettings

Points = Mapping[float, float]
"""Values of a series by time."""


@dataclass(frozen=True, slots=True)
class ObservedWorker:
    """One worker of Celery."""

    name: str
    slots: Points
    """While it answered."""
    queues: frozenset[str] = frozenset()
    """Those that it consumes; empty where that is not known: then it is taken to consume all."""


@dataclass(frozen=True, slots=True)
class ObservedLimits:
    """What is known of the limits of an Airflow in a window. What is missing is taken as unlimited."""

    airflow_major: int = 3
    executor: str = ""
    """The class of the default executor; empty where it is not known."""
    parallelism: Points = field(default_factory=dict)
    """Over all schedulers."""
    pools: Mapping[str, Points] = field(default_factory=dict)
    max_active_tasks: Mapping[str, float] = field(default_factory=dict)
    max_active_runs: Mapping[str, float] = field(default_factory=dict)
    workers: Sequence[ObservedWorker] = ()
    """Of Celery."""
    unseen_queues: frozenset[str] = frozenset()
    """Queues of tries that ran, of which no worker was seen: there is no limit for them."""
    ranks_tasks_of_runs: bool = False
    """Whether the scheduler looks at the first max_active_tasks ready task instances of a run only (Airflow 3.2 on)."""

    @property
    def is_local(self) -> bool:
        """Whether it is the LocalExecutor of Airflow 3, which queues tries itself."""
        return self.airflow_major >= 3 and self.executor.rpartition(".")[2] == "LocalExecutor"

    @property
    def readings(self) -> Sequence[float]:
        """The times at which workers were read."""
        return sorted({moment for worker in self.workers for moment in worker.slots})


def build_timeline(limits: ObservedLimits) -> list[tuple[float, SimulatedSettings]]:
    """The settings, with the times from which they held; the first ones held from the start."""
    readings = limits.readings
    moments = {-math.inf, *find_worker_changes(limits, readings)}
    for points in (limits.parallelism, *limits.pools.values()):
        moments |= set(find_changes(points))
    return [(moment, build_settings(limits, moment, readings)) for moment in sorted(moments)]


def find_worker_changes(limits: ObservedLimits, readings: Sequence[float]) -> Iterable[float]:
    """The times at which workers came, went, or had another number of slots."""
    previous: list[float | None] | None = None
    for moment in readings:
        found = [worker.slots.get(moment) for worker in limits.workers]
        if previous is not None and found != previous:
            yield moment
        previous = found


def list_workers(limits: ObservedLimits, moment: float, readings: Sequence[float]) -> list[CeleryWorker] | None:
    """The workers that answered when they were read last; None where none was ever seen."""
    if not readings:
        return None
    read_at = readings[max(0, bisect_right(readings, moment) - 1)]
    found = [CeleryWorker(one.name, one.slots[read_at], one.queues) for one in limits.workers if read_at in one.slots]
    if limits.unseen_queues:
        found.append(CeleryWorker("unseen", math.inf, limits.unseen_queues))
    return found


def build_settings(limits: ObservedLimits, moment: float, readings: Sequence[float]) -> SimulatedSettings:
    """The settings at one moment; `readings` are the times at which workers were read."""
    parallelism = get_value(limits.parallelism, moment)
    workers = QueueWorkers()
    if limits.is_local:
        workers = QueueWorkers(parallelism)
    return SimulatedSettings(
        parallelism=parallelism,
        pools={name: get_value(points, moment) for name, points in limits.pools.items()},
        max_active_tasks=limits.max_active_tasks,
        max_active_runs=limits.max_active_runs,
        default_workers=workers,
        celery_workers=None if limits.is_local else list_workers(limits, moment, readings),
        counts_tasks_per_run=limits.airflow_major >= 3,
        is_local=limits.is_local,
    )


def find_changes(points: Points) -> Iterable[float]:
    """The times at which a series has another value than before."""
    previous = None
    for moment, value in sorted(points.items()):
        if previous is not None and value != previous:
            yield moment
        previous = value


def get_value(points: Points, moment: float) -> float:
    """The newest value up to a moment, or the first one; infinite without any."""
    if not points:
        return math.inf
    known = [at for at in points if at <= moment]
    return points[max(known) if known else min(points)]

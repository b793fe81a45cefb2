"""The settings of a simulated Airflow: its limits, its workers and its machines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class MachineSize:
    """A machine on which tries run."""

    cores: float = math.inf
    memory: float = math.inf
    """Bytes. If the tries use more together, the machine pages and all of them slow down."""
    paging_factor: float = 8.0
    """How much: with a share x too much memory in use, everything takes 1 + paging_factor * x times as long."""


@dataclass(frozen=True, slots=True)
class QueueWorkers:
    """The workers that serve a queue: one on each of some machines."""

    concurrency: float = math.inf
    """Tries that one worker runs at once (worker_concurrency)."""
    machines: Sequence[int] = (0,)
    """Numbers of machines, one for each worker."""


@dataclass(frozen=True, slots=True)
class CeleryWorker:
    """One worker of Celery."""

    name: str
    concurrency: float
    """Tries that it runs at once."""
    queues: frozenset[str] = frozenset()
    """Those that it serves; empty: all."""
    machine: int = 0

    def serves(self, queue: str) -> bool:
        """Whether it runs tries of a queue."""
        return not self.queues or queue in self.queues


@dataclass(frozen=True, slots=True)
class SimulatedSettings:
    """The limits of an Airflow. A pool, DAG or task that is missing has no limit; infinite means unlimited."""

    parallelism: float = math.inf
    """Over all schedulers together."""
    pools: Mapping[str, float] = field(default_factory=dict)
    max_active_tasks: Mapping[str, float] = field(default_factory=dict)
    """By DAG."""
    max_active_runs: Mapping[str, float] = field(default_factory=dict)
    """By DAG."""
    max_active_tis: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """max_active_tis_per_dag, by DAG and task."""
    workers: Mapping[str, QueueWorkers] = field(default_factory=dict)
    """By queue; queues that are missing share `default_workers`."""
    default_workers: QueueWorkers = field(default_factory=QueueWorkers)
    celery_workers: Sequence[CeleryWorker] | None = None
    """Workers that differ, or that share some of their queues; then `workers` and `default_workers` do not count."""
    counts_tasks_per_run: bool = True
    """Whether max_active_tasks holds for each run (Airflow 3) and not for all runs of a DAG."""
    is_local: bool = False
    """LocalExecutor of Airflow 3: it takes any number of tries and queues them itself, first in, first out."""
    max_tis_per_query: int = 16
    """How many tries the scheduler looks at in one go; 0: as many as have room."""
    loop_seconds: float = 0.0
    """The time between two looks of the scheduler; 0: it looks after each change."""
    start_seconds: float = 0.0
    """From queued to the start, when a worker is free."""

    @property
    def scheduler_slots(self) -> float:
        """How many tries the scheduler hands to the executor at most."""
        return math.inf if self.is_local else self.parallelism

    def get_workers(self, queue: str) -> QueueWorkers:
        """The workers of a queue."""
        return self.workers.get(queue, self.default_workers)

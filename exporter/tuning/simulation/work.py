"""What a simulated Airflow has to do: DAG runs, and tries of tasks with their work. Times are seconds of one clock.

A try becomes ready some time after the tries that it follows have ended, or after its run started. It then waits until
the scheduler queues it, and until a worker is free. The simulation writes the times into the objects.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

CPU = "cpu"
"""Work that needs one core of the try's machine: tries share the cores."""
DATABASE = "database"
"""Work of a database that all tries share."""
SHARED = "shared"
"""Work of a try that wants some share of a CPU, its `level`, and takes longer where others want more than there is."""
WAIT = "wait"
"""Time in which a try needs nothing of this Airflow's machines: it waits for another system."""


class Phase(NamedTuple):
    """A part of a try's work."""

    resource: str
    """cpu, database, shared or wait"""
    seconds: float
    """How long it takes if the try is alone."""


@dataclass(slots=True)
class Run:
    """A DAG run."""

    dag_id: str
    run_id: str
    arrival: float
    """When it is created: from then on it waits for max_active_runs."""
    date: float = 0.0
    """Its logical date: the scheduler's order of tries of the same weight."""
    tail_seconds: float = 0.0
    """From the end of its last try to its end."""
    started_at: float = -1.0
    ended_at: float = -1.0
    left: int = 0
    """Tries that have not ended."""


@dataclass(slots=True)
class SimulatedTry:
    """A try of a task instance. `after` has the places of other tries in the list of all tries."""

    run: Run
    task_id: str
    phases: Sequence[Phase]
    delay: float = 0.0
    """From the end of the last try of `after`, or from the run's start if it has none, until it is ready."""
    after: Sequence[int] = ()
    map_index: int = -1
    pool: str = "default_pool"
    pool_slots: int = 1
    priority_weight: int = 1
    queue: str = "default"
    memory: float = 0.0
    """Bytes that it uses while it runs."""
    level: int = 0
    """The share of a CPU that it wants while it runs, as a place in slowdown.model.SHARES."""
    start_seconds: float | None = None
    """From queued to its start, when a worker is free; None: as the settings say."""
    ready_at: float = -1.0
    """When its state became scheduled: from then on it waits. -1: not yet."""
    queued_at: float = -1.0
    started_at: float = -1.0
    ended_at: float = -1.0
    order: tuple[float, float, int, int] = (0.0, 0.0, 0, 0)
    """Its place in the scheduler's order."""
    missing: int = 0
    """Tries of `after` that have not ended."""
    machine: int = 0
    """The number of the machine on which it runs."""
    worker: str = ""
    """The worker that runs it."""
    phase: int = 0
    """The number of the phase that it is in."""

    @property
    def wait_seconds(self) -> float:
        """From ready to the start."""
        return self.started_at - self.ready_at

    @property
    def alone_seconds(self) -> float:
        """How long it takes if it is alone."""
        return sum(phase.seconds for phase in self.phases)

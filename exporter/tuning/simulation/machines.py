"""The machines of a simulated Airflow, and the database that their tries share: how long work takes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from exporter.tuning.simulation import work
from exporter.tuning.simulation.settings import MachineSize
from exporter.tuning.simulation.sharing import SharedResource
from exporter.tuning.simulation.work import SimulatedTry

Resource = SharedResource[SimulatedTry]


class MachineUse:
    """What runs on one machine."""

    def __init__(self, machine: MachineSize) -> None:
        self.machine = machine
        self.keeps_pace = math.isinf(machine.memory)
        """Whether it never pages, so that waiting takes its time whatever else runs."""
        self.cpu = Resource(machine.cores)
        self.waiting = Resource(math.inf)
        self.memory = 0.0
        """Bytes in use."""
        self.running = 0

    def start(self, now: float, one: SimulatedTry) -> None:
        """Note the start of a try."""
        self.running += 1
        self._use_memory(now, one.memory)

    def end(self, now: float, one: SimulatedTry) -> None:
        """Note the end of a try."""
        self.running -= 1
        self._use_memory(now, -one.memory)

    def _use_memory(self, now: float, change: float) -> None:
        if not change:
            return
        self.memory += change
        excess = max(0.0, self.memory / self.machine.memory - 1)
        slowdown = 1 + self.machine.paging_factor * excess
        for resource in (self.cpu, self.waiting):
            if resource.slowdown != slowdown:
                resource.slow_down(now, slowdown)


class Machines:
    """All machines, and the database."""

    def __init__(self, machines: Sequence[MachineSize], database_units: float) -> None:
        self.uses = [MachineUse(machine) for machine in machines]
        self.database = Resource(database_units)
        self.resources = [self.database, *(one for use in self.uses for one in (use.cpu, use.waiting))]

    def get_resource(self, one: SimulatedTry, kind: str) -> Resource:
        """The resource that a phase of a try needs. Raises ValueError for an unknown kind."""
        if kind == work.CPU:
            return self.uses[one.machine].cpu
        if kind == work.WAIT:
            return self.uses[one.machine].waiting
        if kind == work.DATABASE:
            return self.database
        raise ValueError(f"a phase of work needs cpu, database or wait, not {kind!r}")

    def update(self, now: float) -> None:
        """Do the work until now."""
        for resource in self.resources:
            resource.update(now)

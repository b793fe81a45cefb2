"""The machines of a simulated Airflow, and the database that their tries share: how long work takes.

What is shared is shared evenly, and none can use more than a whole unit: processor sharing with a cap for each user.
All users progress at the same rate, so that a virtual clock which runs at that rate gives the next one to finish.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from heapq import heappop, heappush
from typing import Generic, TypeVar

from exporter.tuning.simulation import work
from exporter.tuning.simulation.settings import MachineSize
from exporter.tuning.simulation.work import SimulatedTry

User = TypeVar("User")


class SharedResource(Generic[User]):
    """Work in progress on one resource."""

    def __init__(self, units: float) -> None:
        self.units = units
        """Seconds of work that it does in a second."""
        self.slowdown = 1.0
        """How many times as long all work takes for another reason."""
        self.done_seconds = 0.0
        """Work done until `update` was called last."""
        self.busy_seconds = 0.0
        """Unit seconds in which it was busy: more than the work done while it is slowed down."""
        self.changes = 0
        """How often the next end may have changed."""
        self._users: list[tuple[float, int, User]] = []
        self._count = 0
        self._virtual = 0.0
        self._now = 0.0

    def __len__(self) -> int:
        """Its users."""
        return len(self._users)

    @property
    def rate(self) -> float:
        """Seconds of work that each user gets done in a second."""
        count = len(self._users)
        return (1.0 if count <= self.units else self.units / count) / self.slowdown

    def update(self, now: float) -> None:
        """Do the work until now."""
        passed, count = now - self._now, len(self._users)
        if passed > 0 and count:
            rate = self.rate
            self._virtual += passed * rate
            self.done_seconds += passed * rate * count
            self.busy_seconds += passed * min(count, self.units)
        self._now = now

    def add(self, now: float, user: User, seconds: float) -> None:
        """Begin some work of a user."""
        self.update(now)
        self._count += 1
        self.changes += 1
        heappush(self._users, (self._virtual + seconds, self._count, user))

    def remove_next(self, now: float) -> User:
        """End the work that ends next, which is now."""
        self.update(now)
        self.changes += 1
        finished, _, user = heappop(self._users)
        self._virtual = max(self._virtual, finished)
        return user

    def slow_down(self, now: float, factor: float) -> None:
        """Let all work take `factor` times as long from now on."""
        self.update(now)
        self.changes += 1
        self.slowdown = factor

    def get_next_end(self) -> float:
        """When the next work ends if nothing changes; infinite without users."""
        if not self._users:
            return math.inf
        return self._now + max(0.0, self._users[0][0] - self._virtual) / self.rate


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

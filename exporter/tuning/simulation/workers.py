"""The workers of a simulated Airflow: queued tries start first in, first out, when a worker of their queue is free."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator

from exporter.tuning.simulation.settings import QueueWorkers, SimulatedSettings
from exporter.tuning.simulation.work import SimulatedTry


class WorkerGroup:
    """The workers that serve some queues together."""

    def __init__(self, workers: QueueWorkers) -> None:
        self.workers = workers
        self.waiting: deque[SimulatedTry] = deque()
        self.busy: Counter[int] = Counter()
        """Running tries of each worker, by its place."""

    def start_next(self) -> Iterator[SimulatedTry]:
        """Give waiting tries to free workers, the least busy one first; those that start."""
        count = len(self.workers.machines)
        while self.waiting and count:
            place = min(range(count), key=self.busy.__getitem__)
            if self.busy[place] >= self.workers.concurrency:
                return
            one = self.waiting.popleft()
            self.busy[place] += 1
            one.machine = self.workers.machines[place]
            yield one

    def release(self, one: SimulatedTry) -> None:
        """Note that a worker has finished a try."""
        machines = self.workers.machines
        places = [place for place, machine in enumerate(machines) if machine == one.machine]
        self.busy[max(places, key=self.busy.__getitem__)] -= 1


class Executor:
    """All workers, by queue."""

    def __init__(self, settings: SimulatedSettings) -> None:
        self._groups: dict[str | None, WorkerGroup] = {}
        self._settings = settings

    def set(self, settings: SimulatedSettings) -> None:
        """Change the number of tries that each worker runs at once. The workers stay on their machines."""
        self._settings = settings
        for queue, group in self._groups.items():
            group.workers = settings.workers[queue] if queue is not None else settings.default_workers

    def get_group(self, queue: str) -> WorkerGroup:
        """The workers of a queue."""
        key = queue if queue in self._settings.workers else None
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = WorkerGroup(self._settings.get_workers(queue))
        return group

    def get_all(self) -> Iterator[WorkerGroup]:
        """All groups that have had something to do."""
        yield from self._groups.values()

"""The workers of a simulated Airflow: queued tries start first in, first out, when a worker of their queue is free."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator, Sequence

from exporter.tuning.simulation.settings import CeleryWorker, SimulatedSettings
from exporter.tuning.simulation.work import SimulatedTry


class WorkerGroup:
    """Workers, with the tries that wait for them by queue; of all that can start the first one that came starts."""

    def __init__(self, workers: Sequence[CeleryWorker]) -> None:
        self._queues: defaultdict[str, deque[tuple[int, SimulatedTry]]] = defaultdict(deque)
        self._count = 0
        self._busy: Counter[str] = Counter()
        """Running tries of each worker, by its name: workers come and go."""
        self.workers = workers

    @property
    def waiting(self) -> Iterator[SimulatedTry]:
        """Queued tries that no worker has taken."""
        return (one for queue in self._queues.values() for _, one in queue)

    def add(self, one: SimulatedTry) -> None:
        """Queue a try."""
        self._count += 1
        self._queues[one.queue].append((self._count, one))

    def start_next(self) -> Iterator[SimulatedTry]:
        """Give waiting tries to free workers, the least busy one first; those that start."""
        blocked: set[str] = set()
        while True:
            heads = [(queue[0][0], name) for name, queue in self._queues.items() if queue and name not in blocked]
            if not heads:
                return
            _, name = min(heads)
            worker = self._find_free(name)
            if worker is None:
                blocked.add(name)
                continue
            _, one = self._queues[name].popleft()
            self._busy[worker.name] += 1
            one.machine, one.worker = worker.machine, worker.name
            yield one

    def _find_free(self, queue: str) -> CeleryWorker | None:
        """The least busy of the workers that serve a queue and have a free slot."""
        free = [one for one in self.workers if one.serves(queue) and self._busy[one.name] < one.concurrency]
        return min(free, key=lambda one: self._busy[one.name], default=None)

    def release(self, one: SimulatedTry) -> None:
        """Note that a worker has finished a try."""
        self._busy[one.worker] -= 1


class Executor:
    """All workers: either one group for all queues, or one for each queue that has its own."""

    def __init__(self, settings: SimulatedSettings) -> None:
        self._groups: dict[str | None, WorkerGroup] = {}
        self._settings = settings

    def set(self, settings: SimulatedSettings) -> None:
        """Change the workers. What runs goes on, on those that are gone too."""
        self._settings = settings
        for key, group in self._groups.items():
            group.workers = list_workers(settings, key)

    def get_group(self, queue: str) -> WorkerGroup:
        """The workers of a queue."""
        key = queue if self._settings.celery_workers is None and queue in self._settings.workers else None
        group = self._groups.get(key)
        if group is None:
            group = self._groups[key] = WorkerGroup(list_workers(self._settings, key))
        return group

    def get_all(self) -> Iterable[WorkerGroup]:
        """All groups that have had something to do."""
        return self._groups.values()


def list_workers(settings: SimulatedSettings, queue: str | None) -> Sequence[CeleryWorker]:
    """The workers of a group: of a queue that has its own, or of all others."""
    if settings.celery_workers is not None:
        return settings.celery_workers
    found = settings.default_workers if queue is None else settings.workers[queue]
    return [
        CeleryWorker(str(place), found.concurrency, machine=machine) for place, machine in enumerate(found.machines)
    ]

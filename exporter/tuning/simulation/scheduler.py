"""Which waiting tries the scheduler queues: SchedulerJobRunner._executable_task_instances_to_queued, simulated.

It takes the first max_tis_per_query tries by priority weight, logical date and map index, leaving out full pools and
runs (Airflow 2: DAGs) at max_active_tasks. Of these it queues what fits. Only if none fits, it looks further, without
the pools, DAGs and tasks that stopped the first ones.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush, merge
from itertools import islice
from operator import attrgetter

from exporter.tuning.simulation.settings import SimulatedSettings
from exporter.tuning.simulation.work import SimulatedTry

Group = object
"""What max_active_tasks counts together: a run, or a DAG."""
Heap = list[tuple[tuple[float, float, int, int], SimulatedTry]]
"""Tries with their places in the scheduler's order, the first one first."""
GET_ORDER = attrgetter("order")


@dataclass(slots=True)
class Starved:
    """What the scheduler leaves out for the rest of one look, because it stopped a try."""

    pools: set[str]
    dags: set[str] = field(default_factory=set)
    tasks: set[tuple[str, str]] = field(default_factory=set)

    @property
    def count(self) -> int:
        """How much is left out."""
        return len(self.pools) + len(self.dags) + len(self.tasks)

    def has(self, one: SimulatedTry) -> bool:
        """Whether a try is left out."""
        dag_id = one.run.dag_id
        return dag_id in self.dags or (dag_id, one.task_id) in self.tasks


class Scheduler:
    """The tries that are ready, and the use of the limits."""

    def __init__(self, settings: SimulatedSettings) -> None:
        self._settings = settings
        self._pools: defaultdict[str, list[SimulatedTry]] = defaultdict(list)
        """Ready tries of each pool, in the scheduler's order."""
        self._parked: defaultdict[Group, defaultdict[str, Heap]] = defaultdict(lambda: defaultdict(list))
        """Ready tries of groups at max_active_tasks, by pool, as heaps: they are looked at again when there is room."""
        self._occupied = 0
        self._pool_use: Counter[str] = Counter()
        self._group_use: Counter[Group] = Counter()
        self._task_use: Counter[tuple[str, str]] = Counter()
        self.ready_count = 0

    def set(self, settings: SimulatedSettings) -> None:
        """Change the settings: everything that is ready is looked at again."""
        self._settings = settings
        parked, self._parked = self._parked, defaultdict(lambda: defaultdict(list))
        for pools in parked.values():
            for pool, heap in pools.items():
                for _, one in heap:
                    insort(self._pools[pool], one, key=GET_ORDER)

    def add(self, one: SimulatedTry) -> None:
        """Note a try that has become ready."""
        self.ready_count += 1
        if self._is_full(one):
            self._park(one)
        else:
            insort(self._pools[one.pool], one, key=GET_ORDER)

    def release(self, one: SimulatedTry) -> None:
        """Note the end of a try that was queued."""
        self._count(one, -1)
        for pool, heap in self._parked[self._get_group(one)].items():
            self._show_next(pool, heap)

    def look(self) -> list[SimulatedTry]:
        """Queue what one look of the scheduler queues; these tries."""
        settings = self._settings
        most = settings.scheduler_slots - self._occupied
        if most <= 0:
            return []
        if settings.max_tis_per_query:
            most = min(most, settings.max_tis_per_query)
        open_slots = {pool: self._get_open_slots(pool) for pool, ready in self._pools.items() if ready}
        starved = Starved({pool for pool, slots in open_slots.items() if slots <= 0})
        while True:
            before = starved.count
            examined = self._select(most, starved)
            queued = [one for one in examined if self._try_to_queue(one, starved)]
            if queued or len(examined) < most or starved.count == before:
                return queued

    def _select(self, most: float, starved: Starved) -> list[SimulatedTry]:
        ready = [one for pool, one in self._pools.items() if one and pool not in starved.pools]
        ordered = merge(*ready, key=GET_ORDER) if len(ready) > 1 else iter(ready[0]) if ready else iter(())
        full: list[SimulatedTry] = []
        found = self._list_eligible(ordered, starved, full)
        examined = list(found if math.isinf(most) else islice(found, int(most)))
        for one in full:
            self._remove(one)
            self._park(one)
        return examined

    def _list_eligible(
        self, ordered: Iterator[SimulatedTry], starved: Starved, full: list[SimulatedTry]
    ) -> Iterator[SimulatedTry]:
        may_starve, per_run = starved.count > len(starved.pools), self._settings.counts_tasks_per_run
        for one in ordered:
            if per_run and self._is_full(one):
                full.append(one)
            elif not may_starve or not starved.has(one):
                yield one

    def _try_to_queue(self, one: SimulatedTry, starved: Starved) -> bool:
        if self._is_full(one):
            self._remove(one)
            self._park(one)
            starved.dags.add(one.run.dag_id)
            return False
        free = self._get_open_slots(one.pool)
        if free <= 0:
            starved.pools.add(one.pool)
            return False
        key = (one.run.dag_id, one.task_id)
        if one.pool_slots > free or self._task_use[key] >= self._settings.max_active_tis.get(key, math.inf):
            starved.tasks.add(key)
            self._show_next(one.pool, self._parked[self._get_group(one)][one.pool])
            return False
        self._remove(one)
        self.ready_count -= 1
        self._count(one, 1)
        return True

    def _show_next(self, pool: str, heap: Heap) -> None:
        if heap:
            insort(self._pools[pool], heappop(heap)[1], key=GET_ORDER)

    def _park(self, one: SimulatedTry) -> None:
        heappush(self._parked[self._get_group(one)][one.pool], (one.order, one))

    def _remove(self, one: SimulatedTry) -> None:
        ready = self._pools[one.pool]
        del ready[bisect_left(ready, one.order, key=GET_ORDER)]

    def _count(self, one: SimulatedTry, change: int) -> None:
        self._occupied += change
        self._pool_use[one.pool] += change * one.pool_slots
        self._group_use[self._get_group(one)] += change
        self._task_use[one.run.dag_id, one.task_id] += change

    def _get_group(self, one: SimulatedTry) -> Group:
        return id(one.run) if self._settings.counts_tasks_per_run else one.run.dag_id

    def _is_full(self, one: SimulatedTry) -> bool:
        limit = self._settings.max_active_tasks.get(one.run.dag_id)
        return limit is not None and self._group_use[self._get_group(one)] >= limit

    def _get_open_slots(self, pool: str) -> float:
        slots = self._settings.pools.get(pool)
        return math.inf if slots is None else slots - self._pool_use[pool]

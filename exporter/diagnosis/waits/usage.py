"""What is in use of each limit: added up from the active task instances of one reading."""

from __future__ import annotations

import math
from collections import defaultdict
from copy import copy

from exporter.diagnosis.situation import ActiveTaskInstance, Situation

OCCUPYING = ("running", "queued")
"""States of a task instance that holds slots of its pool, its DAG and its executor."""
PARKED = ("deferred", "awaiting_input")
"""States of a task instance that waits without a worker."""


class LimitUsage:
    """What is in use: slots of pools, task instances of DAGs or runs, of single tasks and of executors."""

    def __init__(self, situation: Situation) -> None:
        per_run = situation.counts_tasks_per_run
        limits = situation.task_limits
        parked = PARKED if situation.limits_parked_tasks else ()
        self.pools: defaultdict[str, int] = defaultdict(int)
        self.deferred: defaultdict[str, int] = defaultdict(int)
        self.dags: defaultdict[object, int] = defaultdict(int)
        """By DAG and run, or by DAG: what max_active_tasks is compared with."""
        self.tasks: defaultdict[tuple[str, ...], int] = defaultdict(int)
        """By DAG and task, and by DAG, run and task: only of tasks that have a limit."""
        self.executors: defaultdict[str | None, int] = defaultdict(int)
        self.scheduled: list[ActiveTaskInstance] = []
        for row in situation.tasks:
            state = row.state
            if state == "scheduled":
                self.scheduled.append(row)
            elif state in OCCUPYING:
                self.pools[row.pool] += row.pool_slots
                self.dags[(row.dag_id, row.run_id) if per_run else row.dag_id] += 1
                self.executors[row.executor] += 1
            elif state == "deferred":
                self.deferred[row.pool] += row.pool_slots
            if limits and (state in OCCUPYING or state in parked) and (row.dag_id, row.task_id) in limits:
                self.add_task(row)

    def copy(self) -> LimitUsage:
        """The same, to be counted on."""
        other = copy(self)
        other.dags, other.tasks, other.executors = self.dags.copy(), self.tasks.copy(), self.executors.copy()
        return other

    def add_task(self, row: ActiveTaskInstance) -> None:
        """Count an instance of a task that has a limit."""
        self.tasks[row.dag_id, row.task_id] += 1
        self.tasks[row.dag_id, row.run_id, row.task_id] += 1


def get_open_slots(situation: Situation, usage: LimitUsage) -> dict[str, float]:
    """Free slots of each pool: added up from the task instances, to agree with them, unless some are hidden."""
    found: dict[str, float] = {}
    for name, pool in (situation.pools or {}).items():
        if pool.slots < 0:
            found[name] = math.inf
            continue
        used, deferred = usage.pools[name], usage.deferred[name]
        if not situation.complete:
            used, deferred = pool.running_slots + pool.queued_slots, pool.deferred_slots
        found[name] = pool.slots - used - (deferred if pool.include_deferred else 0)
    return found

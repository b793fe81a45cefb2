"""The limits beyond pools: of the DAG, of the task, of the executor; and how far the scheduler looks into a run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping

from exporter.diagnosis import reasons
from exporter.diagnosis.reasons import Reason
from exporter.diagnosis.situation import ActiveTaskInstance, Situation
from exporter.diagnosis.waits.usage import LimitUsage


class Limits:
    """The limits beyond pools: of the DAG, of the task, of the executor."""

    def __init__(self, situation: Situation, usage: LimitUsage) -> None:
        self._dags = situation.dags or {}
        self._per_run = situation.counts_tasks_per_run
        self._task_limits = situation.task_limits
        self._usage = usage.copy()
        self._parallelism = math.inf if situation.parallelism is None else situation.parallelism
        self._situation = situation
        self._slots: dict[str | None, float] = {}
        """How many task instances each executor takes."""

    @property
    def room(self) -> float:
        """How many more task instances the default executor takes."""
        used = 0 if self._situation.is_local(None) else self._usage.executors[None]
        return self._parallelism - used

    def get_group(self, row: ActiveTaskInstance) -> object:
        """What max_active_tasks counts together with a task instance: those of its run, or of its DAG (2.x)."""
        return (row.dag_id, row.run_id) if self._per_run else row.dag_id

    def get_reason(self, row: ActiveTaskInstance, group: object) -> Reason | None:
        """The limit that stops a task instance; None where none does."""
        dag = self._dags.get(row.dag_id)
        most = dag.max_active_tasks if dag else None
        if most is not None and self._usage.dags[group] >= most:
            return reasons.MAX_ACTIVE_TASKS
        if self._task_limits and self._is_task_at_limit(row):
            return reasons.MAX_ACTIVE_TIS
        return reasons.PARALLELISM if self._usage.executors[row.executor] >= self._get_slots(row.executor) else None

    def _get_slots(self, executor: str | None) -> float:
        if executor not in self._slots:
            self._slots[executor] = math.inf if self._situation.is_local(executor) else self._parallelism
        return self._slots[executor]

    def take(self, row: ActiveTaskInstance, group: object) -> None:
        """Count a task instance that would be queued now."""
        self._usage.dags[group] += 1
        self._usage.executors[row.executor] += 1
        if self._task_limits and (row.dag_id, row.task_id) in self._task_limits:
            self._usage.add_task(row)

    def _is_task_at_limit(self, row: ActiveTaskInstance) -> bool:
        limits = self._task_limits.get((row.dag_id, row.task_id))
        if limits is None:
            return False
        per_dag = limits.per_dag is not None and self._usage.tasks[row.dag_id, row.task_id] >= limits.per_dag
        return per_dag or (
            limits.per_run is not None and self._usage.tasks[row.dag_id, row.run_id, row.task_id] >= limits.per_run
        )


class Heads:
    """From 3.2 on the scheduler looks at the first max_active_tasks scheduled task instances of a run only.

    Those that it cannot queue stay at the head, and the ones behind them are not looked at: not before it finds
    max_tis_per_query of them, because then it leaves out tasks that it found stopped.
    """

    def __init__(self, situation: Situation, left: Mapping[str, float] | None = None) -> None:
        self._situation = situation
        self._dags = situation.dags or {}
        self._left = left
        self._heads: Counter[tuple[str, str]] = Counter()

    def may_block(self, most: float) -> bool:
        """Whether what was noted keeps others from being looked at, where the scheduler looks at `most` in one go."""
        if not self._situation.ranks_tasks_of_runs:
            return False
        windows = {run: self._get_window(run[0]) for run in self._heads}
        looked_at = sum(min(count, windows[run]) for run, count in self._heads.items())
        full = any(count >= windows[run] for run, count in self._heads.items())
        return full and looked_at < most

    def blocking(self, left: Mapping[str, float]) -> Heads:
        """The same, empty, for another walk in which the heads keep others from being looked at.

        `left` is what the first walk left free of each pool: tasks of a pool that is full are not looked at either.
        """
        return Heads(self._situation, left)

    def is_behind(self, row: ActiveTaskInstance) -> bool:
        """Whether as many of its run stay at the head as the scheduler looks at."""
        return self._left is not None and self._heads[row.dag_id, row.run_id] >= self._get_window(row.dag_id)

    def add(self, row: ActiveTaskInstance, free: float) -> None:
        """Note a task instance that was looked at and could not be queued, when `free` slots of its pool were free."""
        if (free if self._left is None else self._left.get(row.pool, free)) > 0:
            self._heads[row.dag_id, row.run_id] += 1

    def _get_window(self, dag_id: str) -> float:
        dag = self._dags.get(dag_id)
        return math.inf if dag is None or dag.max_active_tasks is None else dag.max_active_tasks

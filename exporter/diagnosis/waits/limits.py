"""The limits beyond pools: of the DAG, of the task, of the executor; and how far the scheduler looks into a run."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from exporter.diagnosis import reasons
from exporter.diagnosis.reasons import Reason
from exporter.diagnosis.situation import ActiveTaskInstance, Situation
from exporter.diagnosis.waits.usage import LimitUsage


class Limits:
    """The limits beyond pools: of the DAG, of the task, of the executor."""

    def __init__(self, situation: Situation, usage: LimitUsage) -> None:
        self.per_run = situation.counts_tasks_per_run
        """Whether max_active_tasks counts the task instances of a run together, or those of a DAG (2.x)."""
        self._most = {
            dag_id: dag.max_active_tasks
            for dag_id, dag in (situation.dags or {}).items()
            if dag.max_active_tasks is not None
        }
        self._task_limits = situation.task_limits
        self._usage = usage.copy()
        self._used = self._usage.dags
        """Task instances by what max_active_tasks counts together."""
        self._running = self._usage.executors
        self._parallelism = math.inf if situation.parallelism is None else situation.parallelism
        self._situation = situation
        self._slots: dict[str | None, float] = {}
        """How many task instances each executor takes."""
        self.room = self._parallelism - sum(
            used for executor, used in self._usage.executors.items() if not situation.is_local(executor)
        )
        """How many more task instances all executors together take: together they have no more than one alone."""

    def make_check(self) -> Callable[[ActiveTaskInstance, object], Reason | None]:
        """A function that returns the limit which stops a task instance; None where none does.

        Its second argument is the run of the task instance, or its DAG. It is called for each task instance that waits,
        so it has no attributes to look up.
        """
        used, get_most, running, get_slots = self._used, self._most.get, self._running, self._slots.get
        task_limits, unlimited = self._task_limits, math.inf
        max_active_tasks, parallelism = reasons.MAX_ACTIVE_TASKS, reasons.PARALLELISM

        def get_reason(row: ActiveTaskInstance, group: object) -> Reason | None:
            if used[group] >= get_most(row.dag_id, unlimited):
                return max_active_tasks
            if task_limits and self._is_task_at_limit(row):
                return reasons.MAX_ACTIVE_TIS
            executor = row.executor
            slots = get_slots(executor)
            if slots is None:
                slots = self._get_slots(executor)
            return parallelism if running[executor] >= slots or self.room <= 0 else None

        return get_reason

    def _get_slots(self, executor: str | None) -> float:
        slots = self._slots[executor] = math.inf if self._situation.is_local(executor) else self._parallelism
        return slots

    def take(self, row: ActiveTaskInstance, group: object) -> None:
        """Count a task instance that would be queued now."""
        self._used[group] += 1
        self._running[row.executor] += 1
        if not self._situation.is_local(row.executor):
            self.room -= 1
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

    @property
    def is_blocking(self) -> bool:
        """Whether the heads keep others from being looked at in this walk."""
        return self._left is not None

    def is_behind(self, run: tuple[str, str]) -> bool:
        """Whether as many of a run stay at the head as the scheduler looks at."""
        return self._heads[run] >= self._get_window(run[0])

    def add(self, run: tuple[str, str], pool: str, free: float) -> None:
        """Note that one of a run was looked at and could not be queued, when `free` slots of its pool were free.

        For the walk in which the heads keep others from being looked at.
        """
        if self._left is not None and self._left.get(pool, free) > 0:
            self._heads[run] = self._heads.get(run, 0) + 1

    def add_all(self, runs: Iterable[tuple[str, str]]) -> None:
        """Note those of runs that were looked at and could not be queued, though slots of their pools were free."""
        self._heads.update(runs)

    def _get_window(self, dag_id: str) -> float:
        dag = self._dags.get(dag_id)
        return math.inf if dag is None or dag.max_active_tasks is None else dag.max_active_tasks

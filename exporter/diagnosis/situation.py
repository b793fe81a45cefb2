"""What is known of an Airflow at one moment: the input of the diagnosis, as its readers hand it over.

The rows are only described here: any object with these attributes will do, so that nothing has to be converted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from exporter.diagnosis.costs.rows import InstanceRow, RunRow
from exporter.diagnosis.waits.database import Obstacle

KUBERNETES_QUEUE = "kubernetes"
"""The queue whose task instances the CeleryKubernetesExecutor of Airflow 2 runs as pods, as it is shipped."""

PER_DAG, PER_RUN = "max_active_tis_per_dag", "max_active_tis_per_dagrun"
"""The limits of a task."""


class ActiveTaskInstance(InstanceRow, Protocol):
    """An active task instance."""

    @property
    def pool(self) -> str: ...
    @property
    def queue(self) -> str: ...
    @property
    def priority_weight(self) -> int: ...
    @property
    def executor(self) -> str | None: ...
    @property
    def uuid(self) -> str | None: ...
    @property
    def hostname(self) -> str: ...
    @property
    def max_tries(self) -> int: ...
    @property
    def trigger_class(self) -> str: ...
    @property
    def trigger_created(self) -> float | None: ...
    @property
    def triggerer_id(self) -> int | None: ...


class ActiveDagRun(RunRow, Protocol):
    """An active DAG run."""

    @property
    def queued_at(self) -> float | None: ...
    @property
    def run_after(self) -> float | None: ...


class DagLimits(Protocol):
    """A DAG."""

    @property
    def is_paused(self) -> bool: ...
    @property
    def is_stale(self) -> bool: ...
    @property
    def max_active_runs(self) -> int | None: ...
    @property
    def max_active_tasks(self) -> int | None: ...


class PoolUse(Protocol):
    """A pool; `slots` is negative where it is unlimited."""

    @property
    def name(self) -> str: ...
    @property
    def slots(self) -> int: ...
    @property
    def include_deferred(self) -> bool: ...
    @property
    def running_slots(self) -> int: ...
    @property
    def queued_slots(self) -> int: ...
    @property
    def deferred_slots(self) -> int: ...


@dataclass(frozen=True, slots=True)
class TaskLimits:
    """The limits of one task; None where it has none."""

    per_dag: int | None = None
    """max_active_tis_per_dag"""
    per_run: int | None = None
    """max_active_tis_per_dagrun"""


@dataclass(frozen=True, slots=True)
class Workers:
    """The workers that serve a queue."""

    slots: float
    """How many task instances they run at once, all together."""
    busy: int = 0
    """How many they run now."""


@dataclass(frozen=True, slots=True)
class Situation:
    """One Airflow at one moment. What is None is not known, and then no limit of it is named as a reason."""

    now: float
    """The time of Airflow's server, in Unix seconds."""
    release: tuple[int, ...]
    tasks: Sequence[ActiveTaskInstance] = ()
    """All active task instances."""
    runs: Sequence[ActiveDagRun] = ()
    """All DAG runs that are queued or running."""
    pools: Mapping[str, PoolUse] | None = None
    dags: Mapping[str, DagLimits] | None = None
    parallelism: float | None = None
    """Slots of each executor over all live schedulers; infinite where it is unlimited."""
    executors: Sequence[str] = ()
    """The executors, the default one first."""
    executor_aliases: Mapping[str, str] = field(default_factory=dict)
    """The classes of executors by the alias that tasks call them by."""
    task_limits: Mapping[tuple[str, str], TaskLimits] = field(default_factory=dict)
    """Of tasks that have limits of their own, by DAG and task."""
    backfill_limits: Mapping[str, int] = field(default_factory=dict)
    """max_active_runs of the unfinished backfill of a DAG; 0 where it is paused."""
    ready_since: Mapping[tuple[str, str, str, int], float] = field(default_factory=dict)
    """When task instances were first seen ready to run, by DAG, run, task and map index: Airflow 2 does not say it."""
    queued_since: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """When queued runs were first seen, by DAG and run: Airflow 2 does not say when it queued them."""
    workers: Mapping[str, Workers] | None = None
    """The workers of each queue that has any."""
    obstacle: Obstacle | None = None
    """What in the metadata database holds up the scheduler; None if nothing is seen, or the database is not read."""
    max_tis_per_query: int = 16
    """How many task instances the scheduler looks at in one go."""
    complete: bool = True
    """Whether `tasks` are those of all DAGs, so that the use of pools may be added up from them."""

    @property
    def counts_tasks_per_run(self) -> bool:
        """Whether max_active_tasks holds for each run (Airflow 3) and not for all runs of a DAG."""
        return self.release >= (3,)

    @property
    def ranks_tasks_of_runs(self) -> bool:
        """Whether the scheduler looks at the first max_active_tasks scheduled task instances of a run only (3.2 on)."""
        return self.release >= (3, 2)

    @property
    def limits_parked_tasks(self) -> bool:
        """Whether deferred task instances count for the limits of their task (3.2.2 on)."""
        return self.release >= (3, 2, 2)

    def is_apart(self, run: ActiveDagRun) -> bool:
        """Whether a run counts for the limit of its backfill (Airflow 3). On 2 it counts for that of its DAG."""
        return run.run_type == "backfill" and self.release >= (3,)

    def list_driven_apart(self) -> frozenset[tuple[str, str]]:
        """DAG and id of the runs that `airflow dags backfill` of Airflow 2 drives, though their DAG is paused."""
        if self.release >= (3,):
            return frozenset()
        return frozenset((run.dag_id, run.run_id) for run in self.runs if run.run_type == "backfill")

    def get_ready(self, row: ActiveTaskInstance) -> float | None:
        """When a task instance became ready to run, in Unix seconds; None where it is not known."""
        if row.scheduled_when is not None or not self.ready_since:
            return row.scheduled_when
        return self.ready_since.get((row.dag_id, row.run_id, row.task_id, row.map_index))

    def get_queued(self, run: ActiveDagRun) -> float | None:
        """When a run began to wait, in Unix seconds, or None. One that was made in advance waits from its due time."""
        queued = self.queued_since.get((run.dag_id, run.run_id)) if run.queued_at is None else run.queued_at
        due = run.run_after
        return due if queued is not None and due is not None and queued < due <= self.now else queued

    def is_removed(self, dag_id: str) -> bool:
        """Whether Airflow no longer finds a DAG in its files. Its scheduler then leaves the runs of it alone."""
        dag = (self.dags or {}).get(dag_id)
        return dag is not None and dag.is_stale

    def is_local(self, executor: str | None) -> bool:
        """Whether it is the LocalExecutor of Airflow 3, which takes any number of tasks and queues them itself."""
        return self.release >= (3,) and self.get_executor_class(executor) == "LocalExecutor"

    def is_sequential(self, executor: str | None) -> bool:
        """Whether it is the SequentialExecutor of Airflow 2, which runs one task after the other."""
        return self.get_executor_class(executor) == "SequentialExecutor"

    def get_own_slots(self, executor: str | None) -> float | None:
        """How many task instances it runs at once, where it queues the others itself; None for all other executors."""
        if self.is_local(executor):
            return math.inf if self.parallelism is None else self.parallelism
        return 1 if self.is_sequential(executor) else None

    def is_celery(self, executor: str | None, queue: str) -> bool:
        """Whether its task instances of a queue run on Celery's workers; True where the executors are not known."""
        name = self.get_executor_class(executor)
        if name == "CeleryKubernetesExecutor" and queue == KUBERNETES_QUEUE:
            return False
        return not self.executors or "Celery" in name

    def get_executor_class(self, executor: str | None) -> str:
        """The class of the executor that a task names by class, path or alias, or not at all."""
        name = executor or (self.executors[0] if self.executors else "")
        return self.executor_aliases.get(name, name).rpartition(".")[2]

"""An Airflow as counting reads it: its DAG runs and task instances, whichever release answers (see protocol.py)."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.sources.airflow.api.base import ApiBase
from exporter.sources.airflow.api.objects import dag_runs, task_instances
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.api.paging import PAGE_SIZE


class AirflowApi(ApiBase):
    """The API of one Airflow; its methods are described by the protocols that it implements."""

    def dag_runs_active(self) -> Sequence[DagRun]:
        return dag_runs.read_active_runs(self)

    def dag_runs_ended(self, since: float) -> Sequence[DagRun]:
        return dag_runs.read_ended_runs(self, since)

    def dag_runs_recent(self, dag_id: str, *, limit: int, state: str | None = None) -> Sequence[DagRun]:
        return dag_runs.read_newest_runs(self, dag_id, limit=limit, state=state)

    def dag_runs_newest(self, offset: int) -> Sequence[DagRun]:
        return dag_runs.read_newest_runs(self, "~", limit=PAGE_SIZE, offset=offset)

    def task_instances_active(self) -> Sequence[TaskInstance]:
        return task_instances.read_active_tasks(self)

    def task_instances_ended(
        self, since: float, until: float | None = None, *, due_since: float | None = None
    ) -> Sequence[TaskInstance]:
        return task_instances.read_ended_tasks(self, since, until, due_since=due_since)

    def task_instances_ended_of_run(
        self, dag_id: str, run_id: str, since: float | None = None
    ) -> Sequence[TaskInstance] | None:
        return task_instances.read_ended_tasks_of_run(self, dag_id, run_id, since)

    def tries(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> Sequence[TaskInstance] | None:
        return task_instances.read_tries(self, dag_id, run_id, task_id, map_index)

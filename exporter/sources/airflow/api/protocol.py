"""What counting asks of an Airflow: DAG runs and task instances, independent of the API's version."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.task_instances import TaskInstance


class Airflow(Protocol):
    """One Airflow, of either release. Every call may raise ReaderError; a list is complete when it is returned."""

    version: str
    """As the version endpoint says it, for example 3.3.2."""
    major: int

    def server_time(self) -> float:
        """The server's clock now, in Unix seconds: a request's Date header, rounded down."""

    def dag_runs_active(self) -> Sequence[DagRun]:
        """Every run that is queued or running."""

    def dag_runs_ended(self, since: float) -> Sequence[DagRun]:
        """Every run in an ended state that was updated at or after `since` (server's clock)."""

    def dag_runs_recent(self, dag_id: str, *, limit: int, state: str | None = None) -> Sequence[DagRun]:
        """The newest runs of a DAG by run_after (v1: logical date), newest first, at most one page."""

    def dag_runs_newest(self, offset: int) -> Sequence[DagRun]:
        """A page of the newest runs of all DAGs in that order, after passing over `offset` of them."""

    def task_instances_active(self) -> Sequence[TaskInstance]:
        """Every task instance in an active state."""

    def tries(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> Sequence[TaskInstance] | None:
        """Every try of a task instance, its current row included; None where it is gone."""


class AirflowByTime(Airflow, Protocol):
    """An Airflow whose task instances can be filtered by when they were updated (3.x)."""

    def task_instances_ended(
        self,
        since: float,
        until: float | None = None,
        *,
        due_since: float | None = None,
    ) -> Sequence[TaskInstance]:
        """Every task instance in an ended state that was updated in the time range (server's clock, ends included).

        With `due_since`, only those of runs with that `run_after` or a later one.
        """


class AirflowByRun(Airflow, Protocol):
    """An Airflow whose task instances are read run by run, because other queries are slow (2.x)."""

    def task_instances_ended_of_run(
        self, dag_id: str, run_id: str, since: float | None = None
    ) -> Sequence[TaskInstance] | None:
        """Every task instance of a run in an ended state that was updated at or after `since`; None if it is gone."""

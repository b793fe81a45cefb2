"""What the readers ask of an Airflow, in the terms of neither API version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from exporter.sources.airflow.api.left_out import LeftOut
from exporter.sources.airflow.api.models import (
    Backfill,
    BrokenFile,
    Component,
    Dag,
    DagRun,
    DagWarning,
    Job,
    Pool,
    TaskInstance,
)
from exporter.sources.airflow.api.paging import Rows


class Airflow(Protocol):
    """One Airflow, of whichever release. Every call may raise ReaderError.

    A list is complete when it is returned: every page of a walk came, or the call raised. Rows that Airflow cannot
    serve, or that cannot be decoded, are left out and counted in `left_out`.
    """

    left_out: LeftOut
    """Rows that are left out of lists."""
    version: str
    """As the version endpoint says it, for example 3.3.2."""
    major: int

    def server_time(self) -> float:
        """The server's clock now, in Unix seconds: a request's Date header, rounded down."""

    def health(self) -> Sequence[Component]: ...

    def jobs(self) -> Sequence[Job] | None:
        """Jobs that run, alive or not; None where the API has none (2.x)."""

    def config(self) -> Mapping[tuple[str, str], str] | None:
        """Airflow's configuration by (section, key); None where expose_config is off or the role may not."""

    def dags(self) -> Rows[Dag]: ...

    def pools(self) -> Sequence[Pool]: ...

    def import_errors(self) -> Sequence[BrokenFile]: ...

    def dag_warnings(self) -> Sequence[DagWarning]: ...

    def backfills(self, dag_id: str) -> Sequence[Backfill]:
        """The backfills of a DAG; empty on 2.x."""

    def dag_runs_active(self) -> Sequence[DagRun]:
        """Every run that is queued or running."""

    def dag_runs_ended(self, since: float) -> Sequence[DagRun]:
        """Every run in an ended state that was touched at or after `since` (server's clock)."""

    def dag_runs_recent(self, dag_id: str, *, limit: int, state: str | None = None) -> Sequence[DagRun]:
        """The newest runs of a DAG by run_after (v1: logical date), newest first, at most one page."""

    def task_instances_active(self) -> Sequence[TaskInstance]:
        """Every task instance in an active state."""

    def tries(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> Sequence[TaskInstance] | None:
        """Every try of a task instance, its current row included; None where it is gone."""


class AirflowByTime(Airflow, Protocol):
    """An Airflow that can be asked for task instances by when they were touched (3.x)."""

    def task_instances_ended(
        self,
        since: float,
        until: float | None = None,
        *,
        due_since: float | None = None,
    ) -> Sequence[TaskInstance]:
        """Every task instance in an ended state that was touched in the window (server's clock, ends included).

        With `due_since`, only those of runs with that `run_after` or a later one.
        """


class AirflowByRun(Airflow, Protocol):
    """An Airflow whose task instances are better asked for run by run (2.x)."""

    def task_instances_ended_of_run(
        self, dag_id: str, run_id: str, since: float | None = None
    ) -> Sequence[TaskInstance] | None:
        """Every task instance of a run in an ended state that was touched at or after `since`; None if it is gone."""

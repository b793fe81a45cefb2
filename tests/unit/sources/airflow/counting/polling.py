"""A stand-in for Airflow and a poller, for tests of how ended task instances are found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exporter.config.dag_filter import DagFilter
from exporter.config.settings import AirflowSettings
from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.counting.by_run import EndedByRun
from exporter.sources.airflow.counting.by_time import EndedByTime
from exporter.sources.airflow.counting.cursor import CURSOR_SPACE
from exporter.sources.airflow.shared import AirflowState
from exporter.store.persistence.state_file import State


class Airflow:
    """Records its queries; one over all runs takes `all_runs` seconds, one over recent runs `recent`."""

    version = "3.3.2"
    major = 3

    def __init__(self, recent: float = 0.1, all_runs: float = 0.5) -> None:
        self.now = 10_000.0
        self.clock = 0.0
        self.costs = {True: recent, False: all_runs}
        self.asked: list[dict[str, Any]] = []
        self.listed: list[str] = []
        self.ended: list[DagRun] = []
        self.since: list[float | None] = []
        self.broken: set[str] = set()
        self.reason = "server_error"
        self.listing = 0.0
        """How many seconds it takes to list a run."""

    def server_time(self) -> float:
        return self.now

    def task_instances_ended(
        self,
        since: float,
        until: float | None = None,
        *,
        due_since: float | None = None,
    ) -> list[TaskInstance]:
        self.asked.append({"since": since, "until": until, "due_since": due_since})
        self.clock += self.costs[due_since is not None]
        return []

    def dag_runs_ended(self, since: float) -> list[DagRun]:
        return [run for run in self.ended if (run.end_date or 0) >= since]

    def task_instances_ended_of_run(self, dag_id: str, run_id: str, since: float | None = None) -> list[TaskInstance]:
        self.listed.append(run_id)
        self.since.append(since)
        self.clock += self.listing
        if run_id in self.broken:
            raise ReaderError(self.reason, "HTTP 500")
        return [make_row(run_id, "success")]


def make_row(run_id: str, state: str = "running") -> TaskInstance:
    return TaskInstance(dag_id="d", task_id="t", run_id=run_id, state=state, try_number=1)


def make_run(run_id: str, end: float) -> DagRun:
    return DagRun(dag_id="d", run_id=run_id, state="success", end_date=end)


class Poller:
    """Finds what ended, and commits the cursors."""

    def __init__(self, airflow: Any, finder: str) -> None:
        self.airflow = airflow
        self.state = State()
        self.active: list[TaskInstance] = []
        dag_filter = DagFilter(AirflowSettings())
        by_time = EndedByTime(airflow, self.state, clock=lambda: airflow.clock)
        self.overview = AirflowState()
        by_run = EndedByRun(airflow, self.state, self.overview, dag_filter, clock=lambda: airflow.clock)
        self.finder = by_time if finder == "by time" else by_run

    def poll(self, seconds: float = 30.0, *, commit: bool = True) -> Any:
        self.airflow.now += seconds
        self.airflow.clock += seconds
        found = self.finder.find(lambda: self.active)
        if commit:
            self.commit(found.cursors)
        return found

    def commit(self, cursors: Mapping[bytes, bytes | None]) -> None:
        self.state.commit([], {CURSOR_SPACE: cursors})

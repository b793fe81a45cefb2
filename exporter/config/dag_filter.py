"""Which DAGs are read, and whether tasks have labels: the configuration as the readers use it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from exporter.config.settings import AirflowSettings


class OfDag(Protocol):
    """Anything that belongs to a DAG."""

    @property
    def dag_id(self) -> str: ...


Row = TypeVar("Row", bound=OfDag)


class Scope:
    """The DAGs and tasks that an Airflow's readers look at."""

    def __init__(self, settings: AirflowSettings) -> None:
        self._include = settings.include_dags
        self._exclude = settings.exclude_dags
        self._histograms = settings.task_histograms
        self.task_labels = settings.task_labels

    @property
    def is_everything(self) -> bool:
        """Whether all DAGs are read."""
        return self._include is None and self._exclude is None

    def covers(self, dag_id: str) -> bool:
        """Whether the DAG is read: it is included (all are, by default) and not excluded."""
        if self._include is not None and not self._include.fullmatch(dag_id):
            return False
        return self._exclude is None or not self._exclude.fullmatch(dag_id)

    def select(self, rows: Iterable[Row]) -> list[Row]:
        """The rows of the DAGs that are read."""
        if self._include is None and self._exclude is None:
            return list(rows)
        return [row for row in rows if self.covers(row.dag_id)]

    def task(self, task_id: str) -> str:
        """The value of the label `task_id`: empty if task labels are off."""
        return task_id if self.task_labels else ""

    def delays(self, dag_id: str) -> str:
        """The value of the label `dag_id` of run delays: empty if task labels are off."""
        return dag_id if self.task_labels else ""

    def has_task_histograms(self, dag_id: str) -> bool:
        """Whether each task of the DAG has a separate duration histogram."""
        return self._histograms is not None and self._histograms.fullmatch(dag_id) is not None

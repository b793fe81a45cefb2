"""The DAG filter: which DAGs are read, and whether metrics have task_id labels and task histograms."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar

from exporter.config.settings import AirflowSettings


class HasDagId(Protocol):
    """An object that belongs to a DAG."""

    @property
    def dag_id(self) -> str: ...


Row = TypeVar("Row", bound=HasDagId)


class DagFilter:
    """Applies the options include_dags, exclude_dags, task_labels and task_histograms."""

    def __init__(self, settings: AirflowSettings) -> None:
        self._include = settings.include_dags
        self._exclude = settings.exclude_dags
        self._histograms = settings.task_histograms
        self._native = settings.native_histograms
        self.task_labels = settings.task_labels

    @property
    def is_everything(self) -> bool:
        """Whether no DAG is left out."""
        return self._include is None and self._exclude is None

    def includes(self, dag_id: str) -> bool:
        """Whether the DAG is read: include_dags matches (by default all do) and exclude_dags does not."""
        if self._include is not None and not self._include.fullmatch(dag_id):
            return False
        return self._exclude is None or not self._exclude.fullmatch(dag_id)

    def select(self, rows: Iterable[Row]) -> list[Row]:
        """The rows of the DAGs that are read."""
        if self._include is None and self._exclude is None:
            return list(rows)
        return [row for row in rows if self.includes(row.dag_id)]

    def task_label(self, task_id: str) -> str:
        """The value of the label `task_id`: empty without task labels."""
        return task_id if self.task_labels else ""

    def delay_dag_label(self, dag_id: str) -> str:
        """The value of the label `dag_id` in the histograms of run delays: empty without task labels."""
        return dag_id if self.task_labels else ""

    def has_task_histograms(self, dag_id: str) -> bool:
        """Whether each task of the DAG has a duration histogram: native ones are cheap enough for all."""
        if self._histograms is None:
            return self._native and self.task_labels
        return self._histograms.fullmatch(dag_id) is not None

    def has_task_waits(self, dag_id: str) -> bool:
        """Whether each task of the DAG has histograms of its waits, which are native only."""
        return self._native and self.has_task_histograms(dag_id)

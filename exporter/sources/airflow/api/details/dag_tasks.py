"""The tasks of a DAG: which come before others, how long each waits for a retry, which wait for the run before."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import msgspec

from exporter.sources.airflow.api.base import ApiBase, ListSpec
from exporter.sources.airflow.api.decode import RowDecoder
from exporter.sources.airflow.api.paging import read_one_page
from exporter.sources.airflow.http.endpoints import Resource

TASKS = Resource("tasks", "Task Instances", "/dags/{dag_id}/tasks", "/dags/{dag_id}/tasks", "TaskApi.get_tasks")


class DurationRow(msgspec.Struct, gc=False):
    """A duration as both releases send it."""

    days: float = 0.0
    seconds: float = 0.0
    microseconds: float = 0.0


class TaskRow(msgspec.Struct):
    """A task as sent: `retry_exponential_backoff` is a flag, or a factor in newer releases."""

    task_id: str
    downstream_task_ids: list[str] | None = None
    retry_delay: DurationRow | None = None
    retry_exponential_backoff: bool | float | None = None
    depends_on_past: bool | None = None
    wait_for_downstream: bool | None = None


class Task(msgspec.Struct, frozen=True):
    """A task of a DAG, with the tasks that come directly after it."""

    task_id: str
    downstream: tuple[str, ...] = ()
    retry_delay: float | None = None
    """Seconds."""
    delay_grows: bool = False
    """Whether the delay grows from try to try."""
    waits_for_past: bool = False
    """Whether it waits for its instance in the run before (depends_on_past, wait_for_downstream)."""


def to_seconds(duration: DurationRow | None) -> float | None:
    """A duration in seconds."""
    return None if duration is None else duration.days * 86_400 + duration.seconds + duration.microseconds / 1e6


def to_task(row: TaskRow) -> Task:
    """A task from a row of either release."""
    return Task(
        row.task_id,
        tuple(row.downstream_task_ids or ()),
        to_seconds(row.retry_delay),
        bool(row.retry_exponential_backoff),
        bool(row.depends_on_past or row.wait_for_downstream),
    )


ROWS = RowDecoder("tasks", TaskRow, to_task)


def read_dag_tasks(api: ApiBase, dag_id: str) -> Sequence[Task]:
    """The tasks of a DAG. Raises ReaderError."""
    spec = ListSpec(TASKS, ROWS, lambda task: task.task_id, {"dag_id": dag_id})
    # All tasks come at once: the endpoint has neither limit nor offset.
    return api.read_list(spec, read_one_page, ordered=False)


def list_upstream(tasks: Iterable[Task]) -> dict[str, frozenset[str]]:
    """The tasks directly before each task."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for task in tasks:
        for name in task.downstream:
            found[name].add(task.task_id)
    return {name: frozenset(before) for name, before in found.items()}

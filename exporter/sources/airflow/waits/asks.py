"""What the diagnosis may ask of an Airflow beyond the lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

from exporter.diagnosis.waits.external import ExternalDag
from exporter.sources.airflow.api.airflow_api import AirflowApi
from exporter.sources.airflow.api.details.dag_tasks import Task, read_dag_tasks
from exporter.sources.airflow.api.details.event_logs import Pause, read_last_pause
from exporter.sources.airflow.api.details.external_dag import read_external_dag
from exporter.sources.airflow.api.objects.dag_runs import DagRun, read_newest_runs
from exporter.sources.airflow.api.objects.dependencies import read_unmet_dependencies
from exporter.sources.airflow.api.objects.task_instances import TaskInstance, read_run_tasks
from exporter.sources.airflow.api.paging import Rows
from exporter.sources.airflow.waits.questions import QuestionBudget

RUNS_BEFORE = 25
"""The newest runs of a DAG among which its run before another is looked for."""
TASKS_LIFETIME = 3_600.0
"""Seconds for which it holds what the tasks of a DAG are."""
MAX_DAGS_PER_READING = 5
"""DAGs whose tasks are asked for in one reading."""


class Asks(NamedTuple):
    """How an Airflow is asked. Every call may raise ReaderError."""

    unmet: Callable[[str, str, str, int], Sequence[str]]
    """The names of the dependencies that a task instance does not meet: by DAG, run, task and map index."""
    run_tasks: Callable[[str, str], Rows[TaskInstance]]
    """The task instances of a run, at most one page."""
    tasks: Callable[[str], Sequence[Task]]
    """The tasks of a DAG."""
    newest_runs: Callable[[str], Sequence[DagRun]]
    """The newest runs of a DAG, newest first."""
    last_pause: Callable[[str], Pause | None]
    """How a DAG was paused or unpaused last."""
    external_dag: Callable[[str, str, str, int], ExternalDag | None] = lambda *_: None
    """What a sensor waits for: by DAG, run, task and map index."""


def make_asks(airflow: AirflowApi) -> Asks:
    """The questions, put to an Airflow."""
    return Asks(
        unmet=partial(read_unmet_dependencies, airflow),
        run_tasks=partial(read_run_tasks, airflow),
        tasks=partial(read_dag_tasks, airflow),
        newest_runs=lambda dag_id: read_newest_runs(airflow, dag_id, limit=RUNS_BEFORE),
        last_pause=partial(read_last_pause, airflow),
        external_dag=partial(read_external_dag, airflow),
    )


def ask_tasks(questions: QuestionBudget, asks: Asks, dag_id: str) -> Sequence[Task]:
    """The tasks of a DAG; empty where they are not known, or not yet."""
    return find_tasks(questions, asks, dag_id) or ()


def find_tasks(questions: QuestionBudget, asks: Asks, dag_id: str) -> Sequence[Task] | None:
    """The tasks of a DAG; None where they have to wait for another reading, empty where Airflow does not give them."""
    answer = questions.ask(
        "tasks", dag_id, partial(asks.tasks, dag_id), lifetime=TASKS_LIFETIME, at_most=MAX_DAGS_PER_READING
    )
    if answer is None:
        return None
    return () if answer.value is None else answer.value

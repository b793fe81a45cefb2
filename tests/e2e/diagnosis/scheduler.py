"""Airflow's own scheduler as the judge: which of these task instances does it queue? Runs in an Airflow's environment.

    AIRFLOW_HOME=... python scheduler.py < states.json > queued.json

Each state is written to the metadata database, then the scheduler's critical section is called until it queues nothing
more, with an executor that has as many slots as the state says. Nothing is started. The database is a scratch one: its
rows are deleted.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import MagicMock

from airflow import __version__, settings
from airflow.executors.executor_utils import ExecutorName
from airflow.jobs.job import Job
from airflow.jobs.scheduler_job_runner import SchedulerJobRunner
from airflow.models.dag import DagModel
from airflow.models.dagrun import DagRun
from airflow.models.pool import Pool
from airflow.models.taskinstance import TaskInstance
from sqlalchemy import delete, insert
from sqlalchemy.orm import Session

State = Mapping[str, Any]
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
BUNDLE = "scratch"
MAX_TIS = 16
IS_3 = int(__version__.partition(".")[0]) >= 3


class Task:
    """What the scheduler looks up of a task in a serialized DAG."""

    def __init__(self, limits: Mapping[str, int | None]) -> None:
        self.max_active_tis_per_dag = limits.get("per_dag")
        self.max_active_tis_per_dagrun = limits.get("per_run")


class SerializedDag:
    """A DAG of the state, as far as the scheduler's critical section asks for it."""

    def __init__(self, limits: Mapping[str, Mapping[str, int | None]]) -> None:
        self._limits = limits

    def has_task(self, task_id: str) -> bool:
        return True

    def get_task(self, task_id: str) -> Task:
        return Task(self._limits.get(task_id, {}))


def make_runner() -> SchedulerJobRunner:
    executor = MagicMock()
    executor.name = ExecutorName(alias="TestExecutor", module_path="tests.TestExecutor")
    executor.pre_assigns_external_executor_id = False
    if IS_3:
        runner = SchedulerJobRunner(Job(), executors=[executor])
        runner.executors, runner.executor = [executor], executor
        runner.scheduler_dag_bag = MagicMock()
    else:
        job = Job(executor=executor)
        job.executors = [executor]
        runner = SchedulerJobRunner(job)
        runner.dagbag = MagicMock()
    runner.job.id = 1
    runner._try_to_load_executor = lambda *_, **__: executor
    runner.test_executor = executor
    return runner


def make_bundle(session: Any) -> None:
    """Airflow 3 queues only tasks of DAGs that belong to a bundle."""
    from airflow.models.dagbundle import DagBundleModel  # noqa: PLC0415 - only Airflow 3 has it

    if session.get(DagBundleModel, BUNDLE) is None:
        session.execute(insert(DagBundleModel), [{"name": BUNDLE, "active": True}])


def write(session: Any, state: State) -> None:
    if IS_3:
        make_bundle(session)
    for model in (TaskInstance, DagRun, DagModel, Pool):
        session.execute(delete(model))
    session.execute(
        insert(Pool), [{"pool": name, "include_deferred": False, **pool} for name, pool in state["pools"].items()]
    )
    session.execute(insert(DagModel), list(list_dags(state)))
    session.execute(insert(DagRun.__table__), list(list_runs(state)))
    if state["tasks"]:
        session.execute(insert(TaskInstance), list(list_tasks(state)))
    session.commit()


def list_dags(state: State) -> Iterator[dict[str, Any]]:
    for dag_id, dag in state["dags"].items():
        row = {
            "dag_id": dag_id,
            "is_paused": dag["is_paused"],
            "max_active_tasks": dag["max_active_tasks"],
            "max_active_runs": 16,
            "has_task_concurrency_limits": bool(dag["limits"]),
            "max_consecutive_failed_dag_runs": 0,
            "has_import_errors": False,
        }
        yield row | ({"bundle_name": BUNDLE, "is_stale": False} if IS_3 else {"is_active": True})


def list_runs(state: State) -> Iterator[dict[str, Any]]:
    for number, run in enumerate(state["runs"]):
        date = EPOCH + timedelta(minutes=run["date"])
        row = {
            "id": number + 1,
            "dag_id": run["dag_id"],
            "run_id": run["run_id"],
            "run_type": "manual",
            "state": run["state"],
            "clear_number": 0,
            "log_template_id": None,
        }
        if IS_3:
            yield row | {"logical_date": date, "run_after": date, "queued_at": EPOCH}
        else:
            yield row | {"execution_date": date, "queued_at": EPOCH}


def list_tasks(state: State) -> Iterator[dict[str, Any]]:
    for task in state["tasks"]:
        row = {
            "dag_id": task["dag_id"],
            "run_id": task["run_id"],
            "task_id": task["task_id"],
            "map_index": task["map_index"],
            "state": task["state"],
            "pool": task["pool"],
            "pool_slots": task["pool_slots"],
            "priority_weight": task["priority_weight"],
            "queue": "default",
            "max_tries": 0,
            "try_number": 1,
            "executor_config": {},
        }
        yield row | ({"id": uuid.uuid4(), "dag_version_id": None} if IS_3 else {})


def judge(runner: Any, state: State) -> list[list[Any]]:
    session = Session(settings.engine)
    write(session, state)
    dags = {dag_id: SerializedDag(dag["limits"]) for dag_id, dag in state["dags"].items()}
    if IS_3:
        runner.scheduler_dag_bag.get_dag_for_run.side_effect = lambda dag_run, session: dags[dag_run.dag_id]
    else:
        runner.dagbag.get_dag.side_effect = lambda dag_id, session: dags[dag_id]
    queued: list[list[Any]] = []
    # One call looks at a part of them only: repeat it, as the scheduler's loop does, until it queues nothing.
    while room := state["slots"] - len(queued):
        runner.test_executor.slots_available = room
        rows = runner._executable_task_instances_to_queued(min(MAX_TIS, room), session=session)
        if not rows:
            break
        queued += [[row.dag_id, row.run_id, row.task_id, row.map_index] for row in rows]
        session.flush()
    session.rollback()
    session.close()
    return queued


def main() -> None:
    runner = make_runner()
    states = json.load(sys.stdin)
    json.dump({"version": __version__, "queued": [judge(runner, state) for state in states]}, sys.stdout)


if __name__ == "__main__":
    main()

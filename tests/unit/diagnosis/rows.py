"""Rows of small Airflows, for tests of the diagnosis."""

from __future__ import annotations

from typing import Any

from exporter.diagnosis.situation import Situation
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.api.objects.pools import Pool
from exporter.sources.airflow.api.objects.task_instances import TaskInstance

NOW = 10_000.0


def task(state: str, task_id: str = "load", **more: Any) -> TaskInstance:
    fields: dict[str, Any] = {"dag_id": "orders", "run_id": "r1", "pool": "default_pool", "queue": "default"}
    return TaskInstance(**(fields | {"task_id": task_id, "state": state} | more))


def run(state: str = "running", run_id: str = "r1", **more: Any) -> DagRun:
    fields: dict[str, Any] = {"dag_id": "orders", "run_type": "scheduled", "run_after": 100.0}
    return DagRun(**(fields | {"run_id": run_id, "state": state} | more))


def situation(*rows: TaskInstance, **more: Any) -> Situation:
    fields: dict[str, Any] = {
        "now": NOW,
        "release": (3, 3, 2),
        "runs": [run()],
        "pools": {"default_pool": Pool(name="default_pool", slots=128)},
        "dags": {"orders": Dag(dag_id="orders", max_active_runs=16, max_active_tasks=16)},
        "parallelism": 32.0,
        "executors": ("CeleryExecutor",),
    }
    return Situation(**(fields | {"tasks": rows} | more))

"""The object that a reason names: pool, DAG, task, queue, executor, or what holds a lock in the database."""

from __future__ import annotations

from exporter.diagnosis.reasons import Reason
from exporter.diagnosis.situation import ActiveTaskInstance, Situation


def get_object(reason: Reason, row: ActiveTaskInstance, situation: Situation) -> str:
    """The object that a reason names for a task instance."""
    kind = reason.object_kind
    if kind == "pool":
        return row.pool
    if kind == "dag":
        return row.dag_id
    if kind == "task":
        return f"{row.dag_id}.{row.task_id}"
    if kind == "queue":
        return row.queue
    if kind == "database":
        return get_obstacle_object(situation)
    if kind == "executor":
        return row.executor or (situation.executors[0] if situation.executors else "")
    return ""


def get_obstacle_object(situation: Situation) -> str:
    """What in the database holds up the scheduler; empty if nothing does."""
    return situation.obstacle.object if situation.obstacle is not None else ""

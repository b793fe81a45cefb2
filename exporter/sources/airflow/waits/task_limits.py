"""Limits of single tasks, which no list shows: asks Airflow about task instances that nothing else explains."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from exporter.diagnosis.reasons import MAX_ACTIVE_TIS, SCHEDULER
from exporter.diagnosis.situation import ActiveTaskInstance
from exporter.diagnosis.waits.waiting import Waiting
from exporter.sources.airflow.api.objects.dependencies import TASK_CONCURRENCY
from exporter.sources.airflow.waits.asks import Asks
from exporter.sources.airflow.waits.questions import QuestionBudget

MAX_QUERIES_PER_READING = 5
"""Tasks whose unmet dependencies are asked for in one reading."""
MIN_WAIT_SECONDS = 30.0
"""A task instance is asked for if it has been scheduled for this long: the scheduler may not have come to it before."""
ANSWER_LIFETIME = 300.0
"""Seconds for which an answer about a task holds."""

TaskId = tuple[str, str]
"""DAG and task."""


def apply_task_limits(waiting: Waiting, now: float, questions: QuestionBudget, asks: Asks) -> Waiting:
    """Replace the reason of task instances that a limit of the task stops; `now` is when they were read."""
    unexplained: dict[TaskId, ActiveTaskInstance] = {}
    for row, reason in waiting.tasks:
        if reason is SCHEDULER and now - (row.scheduled_when or 0.0) >= MIN_WAIT_SECONDS:
            unexplained.setdefault((row.dag_id, row.task_id), row)
    limited = {task for task, row in unexplained.items() if TASK_CONCURRENCY in _ask(row, questions, asks)}
    if not limited:
        return waiting
    tasks = [
        (row, MAX_ACTIVE_TIS if reason is SCHEDULER and (row.dag_id, row.task_id) in limited else reason)
        for row, reason in waiting.tasks
    ]
    return waiting._replace(tasks=tasks)


def _ask(row: ActiveTaskInstance, questions: QuestionBudget, asks: Asks) -> Sequence[str]:
    answer = questions.ask(
        "limits of a task",
        (row.dag_id, row.task_id),
        partial(asks.unmet, row.dag_id, row.run_id, row.task_id, row.map_index),
        lifetime=ANSWER_LIFETIME,
        at_most=MAX_QUERIES_PER_READING,
    )
    return () if answer is None or answer.value is None else answer.value

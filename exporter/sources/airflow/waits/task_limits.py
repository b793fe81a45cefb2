"""Limits of single tasks, which no list shows: asks Airflow about task instances that nothing else explains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial

from exporter.diagnosis.reasons import SCHEDULER
from exporter.diagnosis.situation import ActiveTaskInstance, Situation, TaskLimits
from exporter.diagnosis.waits.usage import OCCUPYING, PARKED
from exporter.diagnosis.waits.waiting import Waiting, explain
from exporter.sources.airflow.api.objects.dependencies import TASK_CONCURRENCY, TASK_CONCURRENCY_PER_RUN
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


def explain_with_task_limits(situation: Situation, questions: QuestionBudget, asks: Asks) -> tuple[Situation, Waiting]:
    """What waits, and why; where a limit of the task stops task instances, they take no room from others.

    The situation comes back with the limits that were found.
    """
    waiting, now = explain(situation), situation.now
    unexplained: dict[TaskId, ActiveTaskInstance] = {}
    for row, reason in waiting.tasks:
        if reason is SCHEDULER and now - (row.scheduled_when or 0.0) >= MIN_WAIT_SECONDS:
            unexplained.setdefault((row.dag_id, row.task_id), row)
    limited: dict[TaskId, bool] = {}
    for task, row in unexplained.items():
        unmet = _ask(row, questions, asks)
        if TASK_CONCURRENCY in unmet or TASK_CONCURRENCY_PER_RUN in unmet:
            limited[task] = TASK_CONCURRENCY_PER_RUN in unmet
    if not limited:
        return situation, waiting
    known = replace(situation, task_limits=find_limits(situation, limited))
    return known, explain(known)


def find_limits(situation: Situation, limited: Mapping[TaskId, bool]) -> dict[TaskId, TaskLimits]:
    """The limits of tasks that are at their limit: as many as there are, because Airflow does not say it.

    `limited` says of each task whether its limit holds for each run.
    """
    counted = (*OCCUPYING, *PARKED) if situation.limits_parked_tasks else OCCUPYING
    used: dict[TaskId, Counter[str]] = {task: Counter() for task in limited}
    for row in situation.tasks:
        if row.state in counted and (row.dag_id, row.task_id) in used:
            used[row.dag_id, row.task_id][row.run_id] += 1
    return {
        task: TaskLimits(per_run=max(used[task].values(), default=0))
        if is_per_run
        else TaskLimits(per_dag=used[task].total())
        for task, is_per_run in limited.items()
    }


def _ask(row: ActiveTaskInstance, questions: QuestionBudget, asks: Asks) -> Sequence[str]:
    answer = questions.ask(
        "limits of a task",
        (row.dag_id, row.task_id),
        partial(asks.unmet, row.dag_id, row.run_id, row.task_id, row.map_index),
        lifetime=ANSWER_LIFETIME,
        at_most=MAX_QUERIES_PER_READING,
    )
    return () if answer is None or answer.value is None else answer.value

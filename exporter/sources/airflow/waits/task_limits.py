"""Limits of single tasks, which no list shows: asks Airflow about task instances that nothing else explains."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
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
    if not unexplained:
        return situation, waiting
    used, limited = count_used(situation, unexplained), dict[TaskId, bool]()
    for task, row in unexplained.items():
        unmet = _ask(row, used.get(task, {}), questions, asks)
        if TASK_CONCURRENCY in unmet or TASK_CONCURRENCY_PER_RUN in unmet:
            limited[task] = TASK_CONCURRENCY_PER_RUN in unmet
    if not limited:
        return situation, waiting
    known = replace(situation, task_limits=find_limits(used, limited))
    return known, explain(known)


def count_used(situation: Situation, tasks: Collection[TaskId]) -> dict[TaskId, Counter[str]]:
    """How many instances of each of these tasks count for its limits, by run."""
    counted = (*OCCUPYING, *PARKED) if situation.limits_parked_tasks else OCCUPYING
    used: defaultdict[TaskId, Counter[str]] = defaultdict(Counter)
    for row in situation.tasks:
        if row.state in counted and (row.dag_id, row.task_id) in tasks:
            used[row.dag_id, row.task_id][row.run_id] += 1
    return used


def find_limits(used: Mapping[TaskId, Mapping[str, int]], limited: Mapping[TaskId, bool]) -> dict[TaskId, TaskLimits]:
    """The limits of tasks that are at their limit: as many as there are, because Airflow does not say it.

    `limited` says of each task whether its limit holds for each run.
    """
    found = {}
    for task, is_per_run in limited.items():
        runs = used.get(task, {}).values()
        found[task] = TaskLimits(per_run=max(runs, default=0)) if is_per_run else TaskLimits(per_dag=sum(runs))
    return found


def _ask(row: ActiveTaskInstance, used: Mapping[str, int], questions: QuestionBudget, asks: Asks) -> Sequence[str]:
    """What Airflow answers. It holds only while as many instances of the task run as then."""
    answer = questions.ask(
        "limits of a task",
        (row.dag_id, row.task_id, sum(used.values()), max(used.values(), default=0)),
        partial(asks.unmet, row.dag_id, row.run_id, row.task_id, row.map_index),
        lifetime=ANSWER_LIFETIME,
        at_most=MAX_QUERIES_PER_READING,
    )
    return () if answer is None or answer.value is None else answer.value

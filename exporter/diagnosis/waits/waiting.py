"""Everything that waits in one reading of an Airflow, each with exactly one reason."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from exporter.diagnosis import reasons
from exporter.diagnosis.reasons import Reason
from exporter.diagnosis.situation import ActiveDagRun, ActiveTaskInstance, Situation
from exporter.diagnosis.waits.queueing import Explained, explain_scheduled
from exporter.diagnosis.waits.usage import LimitUsage

MAX_START_SECONDS = 60.0
"""How long a queued task instance counts as being started."""
BY_STATE = {
    "up_for_retry": reasons.RETRY_DELAY,
    "up_for_reschedule": reasons.SENSOR,
    "deferred": reasons.TRIGGER,
    "awaiting_input": reasons.HUMAN_INPUT,
    "restarting": reasons.RESTARTING,
}
"""The reasons of task instances that wait in a state which says why."""
RETURNING = ("up_for_retry", "up_for_reschedule")
"""States from which only a look of the scheduler at the run leads on."""


class Waiting(NamedTuple):
    """What waits at one moment, and why."""

    tasks: list[Explained]
    runs: list[tuple[ActiveDagRun, Reason]]


def explain(situation: Situation) -> Waiting:
    """Give each waiting task instance and each queued run its reason. Pure; takes some 3 µs a task instance."""
    usage = LimitUsage(situation)
    tasks = list(explain_scheduled(situation, usage))
    tasks += _explain_others(situation)
    runs = list(explain_runs(situation))
    if situation.obstacle is not None:
        tasks = [(row, _name_database(reason)) for row, reason in tasks]
        runs = [(run, _name_database(reason)) for run, reason in runs]
    return Waiting(tasks, runs)


def _name_database(reason: Reason) -> Reason:
    return reasons.DATABASE if reason is reasons.SCHEDULER else reason


def _explain_others(situation: Situation) -> Iterator[Explained]:
    queues: defaultdict[tuple[str, str], list[ActiveTaskInstance]] = defaultdict(list)
    driven_apart = situation.list_driven_apart()
    for row in situation.tasks:
        if row.state == "queued":
            executor = situation.get_executor_class(row.executor)
            queues[executor, row.queue if situation.get_own_slots(executor) is None else ""].append(row)
        elif (reason := BY_STATE.get(row.state or "")) is not None:
            is_returning = row.state in RETURNING and (row.dag_id, row.run_id) not in driven_apart
            yield row, (_check_dag(row.dag_id, situation) if is_returning else None) or reason
    running = Counter(situation.get_executor_class(row.executor) for row in situation.tasks if row.state == "running")
    for (executor, queue), rows in queues.items():
        if (slots := situation.get_own_slots(executor)) is not None:
            yield from explain_queue(rows, slots, running[executor], reasons.PARALLELISM, situation.now)
        elif situation.workers is None or not situation.is_celery(executor, queue):
            yield from explain_queue(rows, math.inf, 0, reasons.WORKERS_FULL, situation.now)
        elif (workers := situation.workers.get(queue)) is None or workers.slots <= 0:
            yield from ((row, reasons.NO_WORKER) for row in rows)
        else:
            yield from explain_queue(rows, workers.slots, workers.busy, reasons.WORKERS_FULL, situation.now)


def _check_dag(dag_id: str, situation: Situation) -> Reason | None:
    """Why the scheduler does not look at the runs of a DAG; None where it does."""
    dag = (situation.dags or {}).get(dag_id)
    if dag is not None and dag.is_paused:
        return reasons.DAG_PAUSED
    return reasons.DAG_REMOVED if situation.is_removed(dag_id) else None


def explain_queue(
    rows: Sequence[ActiveTaskInstance], slots: float, busy: float, full: Reason, now: float
) -> Iterator[Explained]:
    """Yield what is queued for some slots, of which the oldest get the next free ones; `full` is why the others wait.

    A slot is not free between two tasks: one process ends, the next one starts. So while some slots are busy and more
    is queued than the others could take, these are being filled, however long what fills them has been queued.
    """
    free = slots - busy
    is_behind = busy > 0 and len(rows) > free
    for place, row in enumerate(sorted(rows, key=lambda one: one.queued_when or math.inf)):
        if free <= 0 or (is_behind and place >= free):
            yield row, full
        elif is_behind or row.queued_when is None or now - row.queued_when <= MAX_START_SECONDS:
            yield row, reasons.STARTING
        else:
            yield row, reasons.NOT_STARTED


def explain_runs(situation: Situation) -> Iterator[tuple[ActiveDagRun, Reason]]:
    """Yield each queued run with the reason why it does not run: DagRun.get_queued_dag_runs_to_set_running's checks."""
    running = Counter(_get_limited(run, situation) for run in situation.runs if run.state == "running")
    queued = [run for run in situation.runs if run.state == "queued"]
    queued.sort(key=lambda run: run.run_after or 0.0)
    for run in queued:
        reason = _check_run(run, situation, running)
        if reason is reasons.SCHEDULER:
            running[_get_limited(run, situation)] += 1
        yield run, reason


def _get_limited(run: ActiveDagRun, situation: Situation) -> tuple[str, bool]:
    """What a limit of runs counts together: those of a DAG, and on Airflow 3 apart from them those of its backfill."""
    return run.dag_id, situation.is_apart(run)


def _check_run(run: ActiveDagRun, situation: Situation, running: Counter[tuple[str, bool]]) -> Reason:
    is_driven_apart = run.run_type == "backfill" and not situation.is_apart(run)
    if not is_driven_apart and (stopped := _check_dag(run.dag_id, situation)) is not None:
        return stopped
    dag = (situation.dags or {}).get(run.dag_id)
    if run.run_after is not None and run.run_after > situation.now:
        return reasons.NOT_DUE
    key = _get_limited(run, situation)
    if situation.is_apart(run):
        most = situation.backfill_limits.get(run.dag_id)
        return reasons.BACKFILL_LIMIT if most is not None and running[key] >= most else reasons.SCHEDULER
    limit = dag.max_active_runs if dag else None
    return reasons.MAX_ACTIVE_RUNS if limit is not None and running[key] >= limit else reasons.SCHEDULER


def get_since(row: ActiveTaskInstance) -> float | None:
    """When a task instance began to wait, in Unix seconds; None where Airflow does not say.

    A rescheduled sensor has waited since its first check: Airflow keeps the start of that.
    """
    state = row.state
    if state == "scheduled":
        return row.scheduled_when
    if state == "queued":
        return row.queued_when
    if state == "deferred":
        return row.trigger_created if row.trigger_created is not None else row.start_date
    if state == "up_for_reschedule":
        return row.start_date
    return row.end_date if state in ("up_for_retry", "restarting") else None

"""Why scheduled task instances are not queued: the checks of Airflow's scheduler, repeated over one reading.

The order and the meaning of the checks are those of SchedulerJobRunner._executable_task_instances_to_queued (Airflow
2.10 to 3.3). Free slots are given out as the scheduler would give them: by priority_weight, then by the run's logical
date, then by map index. What would get one has the reason `scheduler`; every other task instance has the first limit
that stops it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from exporter.diagnosis import reasons
from exporter.diagnosis.reasons import Reason
from exporter.diagnosis.situation import ActiveTaskInstance, Situation
from exporter.diagnosis.waits.limits import Heads, Limits
from exporter.diagnosis.waits.overtaking import Overtaking
from exporter.diagnosis.waits.usage import LimitUsage, get_open_slots

Explained = tuple[ActiveTaskInstance, Reason]


def explain_scheduled(situation: Situation, usage: LimitUsage) -> Iterator[Explained]:
    """Yield each scheduled task instance with the reason why it is not queued."""
    open_slots = get_open_slots(situation, usage)
    overtaking = Overtaking(situation)
    stopped = _StoppedRuns(situation)
    ranked = situation.ranks_tasks_of_runs
    examined: list[tuple[ActiveTaskInstance, Reason | None]] = []
    known: dict[tuple[str, str], Reason | None] = {}
    for row in usage.scheduled:
        run = (row.dag_id, row.run_id)
        if run not in known:
            known[run] = stopped.get_reason(*run)
        reason = known[run]
        if reason is not None:
            yield row, reason
            continue
        if situation.pools is not None:
            reason = _check_pool(row, situation, open_slots, overtaking)
        if reason is None or (ranked and open_slots.get(row.pool, 1) > 0):
            examined.append((row, reason))
        else:
            yield row, reason
    yield from _give_out_slots(examined, situation, usage, open_slots, overtaking)


class _StoppedRuns:
    """Runs whose tasks are not even looked at."""

    def __init__(self, situation: Situation) -> None:
        self._dags = situation.dags or {}
        self._queued = {(run.dag_id, run.run_id) for run in situation.runs if run.state == "queued"}

    def get_reason(self, dag_id: str, run_id: str) -> Reason | None:
        dag = self._dags.get(dag_id)
        if dag is not None and dag.is_paused:
            return reasons.DAG_PAUSED
        return reasons.RUN_NOT_RUNNING if (dag_id, run_id) in self._queued else None


def _check_pool(
    row: ActiveTaskInstance, situation: Situation, open_slots: Mapping[str, float], overtaking: Overtaking
) -> Reason | None:
    """Why the pool can give no slot now, whatever the order; None where it may."""
    free = open_slots.get(row.pool)
    if free is None:
        return reasons.POOL_MISSING
    if free >= row.pool_slots:
        return None
    slots = (situation.pools or {})[row.pool].slots
    if slots == 0:
        return reasons.POOL_WITHOUT_SLOTS
    if row.pool_slots > slots >= 0:
        return reasons.POOL_TOO_SMALL
    return overtaking.get_reason(row)


def _give_out_slots(
    examined: Sequence[tuple[ActiveTaskInstance, Reason | None]],
    situation: Situation,
    usage: LimitUsage,
    open_slots: dict[str, float],
    overtaking: Overtaking,
) -> Sequence[Explained]:
    """Give free slots in the scheduler's order to those that no pool stops; the reason of each."""
    ordered = _sort_as_scheduler(examined, situation)
    heads, left, limits = Heads(situation), dict(open_slots), Limits(situation, usage)
    found = _walk(ordered, limits, left, overtaking, heads)
    most = min(situation.max_tis_per_query, limits.room, sum(max(0, free) for free in left.values()))
    if not heads.may_block(most):
        return found
    return _walk(ordered, Limits(situation, usage), dict(open_slots), overtaking, heads.blocking(left))


def _walk(
    ordered: Sequence[tuple[ActiveTaskInstance, Reason | None]],
    limits: Limits,
    open_slots: dict[str, float],
    overtaking: Overtaking,
    heads: Heads,
) -> list[Explained]:
    found: list[Explained] = []
    for row, known in ordered:
        free, group = open_slots.get(row.pool, math.inf), limits.get_group(row)
        reason = known or (overtaking.get_reason(row) if row.pool_slots > free else limits.get_reason(row, group))
        if reason is None and heads.is_behind(row):
            reason = reasons.MAX_ACTIVE_TASKS
        if reason is None:
            limits.take(row, group)
            open_slots[row.pool] = free - row.pool_slots
        elif reason is not reasons.MAX_ACTIVE_TASKS:
            heads.add(row, free)
        found.append((row, reason or reasons.SCHEDULER))
    return found


def _sort_as_scheduler(
    examined: Sequence[tuple[ActiveTaskInstance, Reason | None]], situation: Situation
) -> list[tuple[ActiveTaskInstance, Reason | None]]:
    dates = {(run.dag_id, run.run_id): run.logical_date for run in situation.runs}

    def get_rank(item: tuple[ActiveTaskInstance, Reason | None]) -> tuple[int, float, int]:
        row = item[0]
        date = dates.get((row.dag_id, row.run_id))
        return -row.priority_weight, math.inf if date is None else date, row.map_index

    return sorted(examined, key=get_rank)

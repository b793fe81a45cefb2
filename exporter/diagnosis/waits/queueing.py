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
from exporter.diagnosis.situation import ActiveTaskInstance, PoolUse, Situation
from exporter.diagnosis.waits.limits import Heads, Limits
from exporter.diagnosis.waits.overtaking import Overtaking
from exporter.diagnosis.waits.usage import LimitUsage, get_open_slots

Explained = tuple[ActiveTaskInstance, Reason]
RunKey = tuple[str, str]
"""DAG and run."""


Examined = tuple[int, float, int, int, ActiveTaskInstance, Reason | None, RunKey]
"""A task instance that the scheduler looks at: its priority weight, negated; the logical date of its run (infinite
where that has none); its map index; its place in the reading, which no two share; itself; why its pool can give no
slot (None where it may); its run. Sorted, they are in the scheduler's order. A plain tuple, because there are many."""


def explain_scheduled(situation: Situation, usage: LimitUsage) -> Iterator[Explained]:
    """Yield each scheduled task instance with the reason why it is not queued."""
    open_slots = get_open_slots(situation, usage)
    overtaking = Overtaking(situation)
    runs = _Runs(situation)
    ranked, pools = situation.ranks_tasks_of_runs, situation.pools
    examined: list[Examined] = []
    known: dict[RunKey, tuple[Reason | None, float]] = {}
    for number, row in enumerate(usage.scheduled):
        run = (row.dag_id, row.run_id)
        found = known.get(run)
        if found is None:
            found = known[run] = runs.get(run)
        reason, date = found
        if reason is not None:
            yield row, reason
            continue
        free = open_slots.get(row.pool)
        if pools is not None and (free is None or free < row.pool_slots):
            reason = _check_pool(row, pools, free, overtaking)
        if reason is None or (ranked and (free is None or free > 0)):
            examined.append((-row.priority_weight, date, row.map_index, number, row, reason, run))
        else:
            yield row, reason
    examined.sort()
    yield from _give_out_slots(examined, situation, usage, open_slots, overtaking)


class _Runs:
    """What concerns all task instances of a run: whether they are looked at, and when in the scheduler's order."""

    def __init__(self, situation: Situation) -> None:
        self._dags = situation.dags or {}
        self._queued = {(run.dag_id, run.run_id) for run in situation.runs if run.state == "queued"}
        self._dates = {(run.dag_id, run.run_id): run.logical_date for run in situation.runs}

    def get(self, run: RunKey) -> tuple[Reason | None, float]:
        """Why its tasks are not even looked at (None where they are), and its logical date."""
        date = self._dates.get(run)
        return self._get_reason(run), math.inf if date is None else date

    def _get_reason(self, run: RunKey) -> Reason | None:
        dag = self._dags.get(run[0])
        if dag is not None and dag.is_paused:
            return reasons.DAG_PAUSED
        return reasons.RUN_NOT_RUNNING if run in self._queued else None


def _check_pool(
    row: ActiveTaskInstance, pools: Mapping[str, PoolUse], free: float | None, overtaking: Overtaking
) -> Reason:
    """Why a pool without enough free slots can give none now, whatever the order."""
    if free is None:
        return reasons.POOL_MISSING
    slots = pools[row.pool].slots
    if slots == 0:
        return reasons.POOL_WITHOUT_SLOTS
    if row.pool_slots > slots >= 0:
        return reasons.POOL_TOO_SMALL
    return overtaking.get_reason(row)


def _give_out_slots(
    ordered: Sequence[Examined],
    situation: Situation,
    usage: LimitUsage,
    open_slots: dict[str, float],
    overtaking: Overtaking,
) -> Sequence[Explained]:
    """Give free slots in the scheduler's order to those that no pool stops; the reason of each."""
    heads, left, limits = Heads(situation), dict(open_slots), Limits(situation, usage)
    found = _walk(ordered, limits, left, overtaking, heads)
    most = min(situation.max_tis_per_query, limits.room, sum(max(0, free) for free in left.values()))
    if not heads.may_block(most):
        return found
    return _walk(ordered, Limits(situation, usage), dict(open_slots), overtaking, heads.blocking(left))


def _walk(
    ordered: Sequence[Examined],
    limits: Limits,
    open_slots: dict[str, float],
    overtaking: Overtaking,
    heads: Heads,
) -> list[Explained]:
    found: list[Explained] = []
    per_run, blocking = limits.per_run, heads.is_blocking
    get_free, get_limit, take, add = open_slots.get, limits.get_reason, limits.take, heads.add
    held: list[RunKey] = []
    hold = held.append
    for _, _, _, _, row, known, run in ordered:
        reason, pool, group = known, row.pool, run if per_run else run[0]
        free = get_free(pool, math.inf)
        if reason is None:
            reason = get_limit(row, group) if row.pool_slots <= free else overtaking.get_reason(row)
            if reason is None and blocking and heads.is_behind(run):
                reason = reasons.MAX_ACTIVE_TASKS
        if reason is None:
            take(row, group)
            open_slots[pool] = free - row.pool_slots
            reason = reasons.SCHEDULER
        elif reason is not reasons.MAX_ACTIVE_TASKS:
            if blocking:
                add(run, pool, free)
            elif free > 0:
                hold(run)
        found.append((row, reason))
    heads.add_all(held)
    return found

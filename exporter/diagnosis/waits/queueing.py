"""Why scheduled task instances are not queued: the checks of Airflow's scheduler, repeated over one reading.

The order and the meaning of the checks are those of SchedulerJobRunner._executable_task_instances_to_queued (Airflow
2.10 to 3.3). Free slots are given out as the scheduler would give them: by priority_weight, then by the run's logical
date, then by map index. What would get one has the reason `scheduler`; every other task instance has the first limit
that stops it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from operator import itemgetter

from exporter.diagnosis import reasons
from exporter.diagnosis.reasons import Reason
from exporter.diagnosis.situation import ActiveTaskInstance, PoolUse, Situation
from exporter.diagnosis.waits.limits import Heads, Limits
from exporter.diagnosis.waits.overtaking import Overtaking
from exporter.diagnosis.waits.usage import LimitUsage, get_open_slots

Explained = tuple[ActiveTaskInstance, Reason]
RunKey = tuple[str, str]
"""DAG and run."""


Examined = tuple[float, ActiveTaskInstance, Reason | None, RunKey]
"""A task instance that the scheduler looks at: its place in the scheduler's order, by priority weight and by the
logical date of its run; itself; why its pool can give no slot (None where it may); its run. A plain tuple, because
there are many; one number as place, because lists of floats are sorted five times faster than lists of tuples."""


def explain_scheduled(situation: Situation, usage: LimitUsage) -> Iterator[Explained]:
    """Yield each scheduled task instance with the reason why it is not queued."""
    open_slots = get_open_slots(situation, usage)
    overtaking = Overtaking(situation)
    runs = _Runs(situation)
    ranked, pools = situation.ranks_tasks_of_runs, situation.pools
    examined: list[Examined] = []
    known: dict[RunKey, tuple[Reason | None, int]] = {}
    spread, is_mapped, get_free, get_ready = runs.ranks, False, open_slots.get, situation.get_ready
    verdicts: dict[tuple[str, int, int], tuple[Reason, float]] = {}
    priority = reasons.PRIORITY
    for row in usage.scheduled:
        run = (row.dag_id, row.run_id)
        found = known.get(run)
        if found is None:
            found = known[run] = runs.get(run)
        reason, rank = found
        if reason is not None:
            yield row, reason
            continue
        free = get_free(row.pool)
        if pools is not None and (free is None or free < row.pool_slots):
            kind = (row.pool, row.pool_slots, row.priority_weight)
            verdict = verdicts.get(kind)
            if verdict is None:
                verdict = verdicts[kind] = _check_pool(row, pools, free, overtaking)
            reason, newest = verdict
            ready = row.scheduled_when if row.scheduled_when is not None else get_ready(row)
            if ready is not None and newest > ready:
                reason = priority
        if reason is None or (ranked and (free is None or free > 0)):
            examined.append((float(rank - row.priority_weight * spread), row, reason, run))
            is_mapped = is_mapped or row.map_index >= 0
        else:
            yield row, reason
    if is_mapped:
        # Sorting is stable: among equals the order by map index stays.
        examined.sort(key=lambda one: one[1].map_index)
    examined.sort(key=itemgetter(0))
    yield from _give_out_slots(examined, situation, usage, open_slots, overtaking)


class _Runs:
    """What concerns all task instances of a run: whether they are looked at, and when in the scheduler's order."""

    def __init__(self, situation: Situation) -> None:
        self._dags = situation.dags or {}
        self._queued = {(run.dag_id, run.run_id) for run in situation.runs if run.state == "queued"}
        self._driven_apart = situation.list_driven_apart()
        self._dates = {(run.dag_id, run.run_id): run.logical_date for run in situation.runs}
        dates = sorted({date for date in self._dates.values() if date is not None})
        self._ranks: dict[float | None, int] = {date: rank for rank, date in enumerate(dates)}
        self.ranks = len(dates) + 1
        """Runs with another logical date have another rank; those without one come last."""

    def get(self, run: RunKey) -> tuple[Reason | None, int]:
        """Why its tasks are not even looked at (None where they are), and its rank by logical date."""
        return self._get_reason(run), self._ranks.get(self._dates.get(run), self.ranks - 1)

    def _get_reason(self, run: RunKey) -> Reason | None:
        dag = self._dags.get(run[0])
        if dag is not None and dag.is_paused and run not in self._driven_apart:
            return reasons.DAG_PAUSED
        return reasons.RUN_NOT_RUNNING if run in self._queued else None


def _check_pool(
    row: ActiveTaskInstance, pools: Mapping[str, PoolUse], free: float | None, overtaking: Overtaking
) -> tuple[Reason, float]:
    """Why a pool without enough free slots can give none now, whatever the order.

    The same for all of a pool with as many slots and that weight, but those that became ready before the second value,
    a time in Unix seconds: they were overtaken.
    """
    if free is None:
        return reasons.POOL_MISSING, -math.inf
    slots = pools[row.pool].slots
    if slots == 0:
        return reasons.POOL_WITHOUT_SLOTS, -math.inf
    if row.pool_slots > slots >= 0:
        return reasons.POOL_TOO_SMALL, -math.inf
    return reasons.POOL, overtaking.find_newest(row.pool, row.priority_weight)


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
    get_free, get_limit, take, add = open_slots.get, limits.make_check(), limits.take, heads.add
    held: list[RunKey] = []
    hold, append, unlimited = held.append, found.append, math.inf
    scheduler, max_active_tasks = reasons.SCHEDULER, reasons.MAX_ACTIVE_TASKS
    for _, row, known, run in ordered:
        reason, pool, group = known, row.pool, run if per_run else run[0]
        free = get_free(pool, unlimited)
        if reason is None:
            reason = get_limit(row, group) if row.pool_slots <= free else overtaking.get_reason(row)
            if reason is None and blocking and heads.is_behind(run):
                reason = max_active_tasks
        if reason is None:
            take(row, group)
            open_slots[pool] = free - row.pool_slots
            reason = scheduler
        elif reason is not max_active_tasks:
            if blocking:
                add(run, pool, free)
            elif free > 0:
                hold(run)
        append((row, reason))
    heads.add_all(held)
    return found

"""The object that a reason names, its limit, its use and what holds it: the evidence beside a reason."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from exporter.diagnosis import reasons
from exporter.diagnosis.reasons import Reason
from exporter.diagnosis.situation import PER_DAG, PER_RUN, ActiveTaskInstance, Situation
from exporter.diagnosis.waits.running import is_polling
from exporter.diagnosis.waits.usage import OCCUPYING, PARKED
from exporter.diagnosis.words import format_limit

if TYPE_CHECKING:
    from exporter.diagnosis.findings import Finding

MAX_HOLDERS = 3
"""How many holders a finding names."""
LONG_QUEUED_SECONDS = 300.0
"""Seconds after which a queue in which nothing starts, while other queues work, is something to look at."""

SHARED = (
    reasons.POOL,
    reasons.PARALLELISM,
    reasons.MAX_ACTIVE_TASKS,
    reasons.MAX_ACTIVE_RUNS,
    reasons.WORKERS_FULL,
)
"""Reasons that a limit with free slots may have too: what the scheduler is about to queue is counted against it."""


class Holders:
    """Limits, their use and who holds them, from the rows of the situation."""

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self._pools: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._executors: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
        self._task_runs: defaultdict[str, Counter[str]] = defaultdict(Counter)
        pools = situation.pools or {}
        self._runs: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._backfills: Counter[str] = Counter()
        self._groups: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._polling: Counter[str] = Counter()
        """Slots that sensors hold while they wait, by pool."""
        self._deferred: Counter[str] = Counter()
        """Slots that deferred task instances hold, by pool: of those that count them (include_deferred)."""
        self._weights: defaultdict[str, int] = defaultdict(int)
        """The highest priority_weight of what holds slots of a pool."""
        self._queues: Counter[str] = Counter()
        """Running task instances by queue."""
        limited = (*OCCUPYING, *PARKED) if situation.limits_parked_tasks else OCCUPYING
        for row in situation.tasks:
            if row.state in limited:
                self._task_runs[f"{row.dag_id}.{row.task_id}"][row.run_id] += 1
            if row.state in OCCUPYING:
                self._pools[row.pool][row.dag_id] += row.pool_slots
                if is_polling(row, situation.now):
                    self._polling[row.pool] += row.pool_slots
                self._weights[row.pool] = max(self._weights[row.pool], row.priority_weight)
                if row.state == "running" or situation.get_own_slots(row.executor) is None:
                    # What an executor has queued itself waits behind its slots.
                    self._executors[row.executor][row.dag_id] += 1
                self._groups[row.dag_id][row.run_id] += 1
                self._queues[row.queue] += row.state == "running"
            elif row.state == "deferred" and row.pool in pools and pools[row.pool].include_deferred:
                self._pools[row.pool][row.dag_id] += row.pool_slots
                self._deferred[row.pool] += row.pool_slots
        for run in situation.runs:
            if run.state == "running" and situation.is_apart(run):
                self._backfills[run.dag_id] += 1
            elif run.state == "running":
                self._runs[run.dag_id][run.run_id] += 1

    def describe(self, finding: Finding) -> None:
        """Fill in limit, use and holders, where the reason's object has them."""
        self._describe_limit(finding)
        if finding.reason in SHARED and finding.limit is not None and finding.used is not None:
            free = finding.limit - finding.used
            if free > 0:
                finding.facts.append(f"{format_limit(free)} free: others come first, or these need more at once")

    def _describe_limit(self, finding: Finding) -> None:
        match finding.reason:
            case reasons.POOL | reasons.PRIORITY | reasons.POOL_TOO_SMALL | reasons.POOL_WITHOUT_SLOTS:
                self._describe_pool(finding)
            case reasons.PARALLELISM:
                self._describe_executor(finding)
            case reasons.MAX_ACTIVE_TASKS:
                dag = (self._situation.dags or {}).get(finding.object)
                finding.limit = None if dag is None else dag.max_active_tasks
                self._hold(finding, self._groups[finding.object])
                if self._situation.counts_tasks_per_run and finding.holders:
                    finding.used = max(self._groups[finding.object].values())
            case reasons.MAX_ACTIVE_RUNS:
                dag = (self._situation.dags or {}).get(finding.object)
                finding.limit = None if dag is None else dag.max_active_runs
                self._hold(finding, self._runs[finding.object])
            case reasons.MAX_ACTIVE_TIS:
                self._describe_task(finding)
            case reasons.BACKFILL_LIMIT:
                finding.limit = self._situation.backfill_limits.get(finding.object)
                finding.used = self._backfills[finding.object]
            case reasons.WORKERS_FULL:
                workers = (self._situation.workers or {}).get(finding.object)
                finding.limit, finding.used = (workers.slots, workers.busy) if workers else (None, None)
            case reasons.NOT_STARTED:
                self._describe_queue(finding)

    def _describe_executor(self, finding: Finding) -> None:
        """Parallelism is over all executors; the one slot of the SequentialExecutor is no setting."""
        self._hold(finding, sum(self._executors.values(), Counter()))
        if self._situation.is_sequential(finding.object):
            finding.facts.append(f"{finding.object} runs one task instance at a time, whatever parallelism is")
            finding.suggestion = "Use the LocalExecutor with PostgreSQL or MySQL: it runs tasks side by side."
        else:
            finding.limit = self._situation.parallelism

    def _describe_pool(self, finding: Finding) -> None:
        """Of which some holders may be hidden: then Airflow's own sum says what is in use."""
        pool = (self._situation.pools or {}).get(finding.object)
        finding.limit = None if pool is None else math.inf if pool.slots < 0 else pool.slots
        self._hold(finding, self._pools[finding.object])
        finding.polling, finding.deferred = self._polling[finding.object], self._deferred[finding.object]
        if finding.deferred:
            finding.facts.append(f"deferred task instances hold {finding.deferred} of these slots (include_deferred)")
        if finding.reason is reasons.PRIORITY and finding.oldest is not None:
            finding.heaviest = self._weights[finding.object]
            finding.facts.append(
                f"priority_weight {finding.oldest.priority_weight} waits longest, {finding.heaviest} holds slots"
            )
        if pool is not None and not self._situation.complete:
            deferred = pool.deferred_slots if pool.include_deferred else 0
            finding.used = pool.running_slots + pool.queued_slots + deferred

    def _describe_task(self, finding: Finding) -> None:
        """Its limit is not in the API: as many as there are, over all runs or of one of them."""
        runs = self._task_runs[finding.object]
        limits = self._situation.task_limits.get(finding.example)
        if limits is not None and limits.per_run is not None:
            finding.task_limit = PER_RUN
            finding.used = max(runs.values(), default=0)
            finding.facts.append(f"at most {finding.used:g} of a run at once, {runs.total()} over all runs now")
            return
        finding.used = runs.total()
        if limits is not None:
            finding.task_limit = PER_DAG
        elif len(runs) > 1:
            finding.facts.append(f"at most {max(runs.values())} of them are of one run")

    def _describe_queue(self, finding: Finding) -> None:
        """Say whether only this queue stands still."""
        here, elsewhere = self._queues[finding.object], self._queues.total() - self._queues[finding.object]
        if here:
            finding.facts.append(f"{here} task instances of queue {finding.object} are running")
        elif elsewhere:
            finding.facts.append(
                f"no task instance of queue {finding.object} is running, {elsewhere} of other queues are: "
                "probably no worker serves this queue"
            )
            finding.suggestion = f"Start a worker with queue {finding.object}, or correct queue= of the tasks."
            waited = self._situation.now - (finding.since if finding.since is not None else self._situation.now)
            finding.escalated = waited > LONG_QUEUED_SECONDS

    def _hold(self, finding: Finding, holders: Mapping[str, int]) -> None:
        finding.used = sum(holders.values())
        finding.holders = Counter(holders).most_common(MAX_HOLDERS)


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

"""Limits, their use and who holds them: the evidence beside a reason."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import TYPE_CHECKING

from exporter.diagnosis import reasons
from exporter.diagnosis.situation import Situation
from exporter.diagnosis.waits.usage import OCCUPYING

if TYPE_CHECKING:
    from exporter.diagnosis.findings import Finding

MAX_HOLDERS = 3
"""How many holders a finding names."""
LONG_QUEUED_SECONDS = 300.0
"""Seconds after which a queue in which nothing starts, while other queues work, is something to look at."""


class Holders:
    """Limits, their use and who holds them, from the rows of the situation."""

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self._pools: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._executors: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
        self._tasks: Counter[str] = Counter()
        self._runs: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._groups: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._queues: Counter[str] = Counter()
        """Running task instances by queue."""
        for row in situation.tasks:
            if row.state in OCCUPYING:
                self._pools[row.pool][row.dag_id] += row.pool_slots
                if row.state == "running" or not situation.is_local(row.executor):
                    # What the LocalExecutor of Airflow 3 has queued waits behind its slots itself.
                    self._executors[row.executor][row.dag_id] += 1
                self._tasks[f"{row.dag_id}.{row.task_id}"] += 1
                self._groups[row.dag_id][row.run_id] += 1
                self._queues[row.queue] += row.state == "running"
        for run in situation.runs:
            if run.state == "running":
                self._runs[run.dag_id][run.run_id] += 1

    def describe(self, finding: Finding) -> None:
        """Fill in limit, use and holders, where the reason's object has them."""
        match finding.reason:
            case reasons.POOL | reasons.PRIORITY | reasons.POOL_TOO_SMALL | reasons.POOL_WITHOUT_SLOTS:
                pool = (self._situation.pools or {}).get(finding.object)
                finding.limit = None if pool is None else math.inf if pool.slots < 0 else pool.slots
                self._hold(finding, self._pools[finding.object])
            case reasons.PARALLELISM:
                finding.limit = self._situation.parallelism
                self._hold(finding, sum(self._executors.values(), Counter()))
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
                finding.used = self._tasks[finding.object]
            case reasons.WORKERS_FULL:
                workers = (self._situation.workers or {}).get(finding.object)
                finding.limit, finding.used = (workers.slots, workers.busy) if workers else (None, None)
            case reasons.NOT_STARTED:
                self._describe_queue(finding)

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

"""What stands in the way of what: waiting task instances and runs, put together by their reason and its object.

A finding is one row of the diagnosis: the reason, the object, how much of it is in use, who holds it, what waits for
it, and the setting to change, with a value to try.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from exporter.diagnosis import reasons
from exporter.diagnosis.reasons import Patience, Reason
from exporter.diagnosis.situation import ActiveDagRun, ActiveTaskInstance, Situation
from exporter.diagnosis.waits.usage import OCCUPYING
from exporter.diagnosis.waits.waiting import Waiting, get_since

MAX_NAMED = 3
"""How many holders, and how many waiting DAGs, a finding names."""


@dataclass(slots=True)
class Finding:
    """One object that something waits for, and why."""

    reason: Reason
    object: str
    """The pool, DAG, task (dag_id.task_id), executor or queue; empty where the reason concerns the whole Airflow."""
    tasks: int = 0
    """How many task instances wait."""
    runs: int = 0
    """How many DAG runs wait."""
    slots: int = 0
    """Slots (pool_slots) that the waiting task instances ask for."""
    most_slots: int = 0
    """Slots that the largest of them asks for."""
    since: float | None = None
    """When the one that waits longest began to, in Unix seconds, where that is known."""
    dags: Counter[str] = field(default_factory=Counter)
    """What waits, by DAG."""
    groups: Counter[tuple[str, str]] = field(default_factory=Counter)
    """What waits, by DAG and run."""
    example: tuple[str, str] = ("", "")
    """DAG and task of one of those that wait."""
    limit: float | None = None
    used: float | None = None
    holders: Sequence[tuple[str, int]] = ()
    """The DAGs that hold most of it, with what they hold."""
    suggestion: str = ""
    """What to change, with a value to try."""

    def add(self, row: ActiveTaskInstance) -> None:
        """Count a waiting task instance."""
        self.tasks += 1
        self.slots += row.pool_slots
        self.most_slots = max(self.most_slots, row.pool_slots)
        self.dags[row.dag_id] += 1
        self.groups[row.dag_id, row.run_id] += 1
        self.example = self.example if self.example[0] else (row.dag_id, row.task_id)
        self._note_since(get_since(row))

    def add_run(self, run: ActiveDagRun) -> None:
        """Count a queued run."""
        self.runs += 1
        self.dags[run.dag_id] += 1
        self._note_since(run.queued_at if run.queued_at is not None else run.run_after)

    @property
    def title(self) -> str:
        """What waits for what, in a few words: `7 task instances wait for pool forklifts`."""
        counted = [(self.tasks, "task instance"), (self.runs, "run")]
        waiting = " and ".join(f"{count} {name}{'s' if count > 1 else ''}" for count, name in counted if count)
        kind = self.reason.object_kind if self.reason.object_kind != "airflow" else ""
        object_ = f" ({kind} {self.object})" if kind and self.object else ""
        return f"{waiting} wait{'s' if self.tasks + self.runs == 1 else ''}{object_}"

    def list_evidence(self, now: float) -> list[str]:
        """The facts behind it, one sentence each; `now` is when they were read, in Unix seconds."""
        found = []
        if self.limit is not None:
            found.append(f"limit {_format(self.limit)}, {_format(self.used)} in use")
        if self.holders:
            found.append("held by " + ", ".join(f"{name} ({count})" for name, count in self.holders))
        if self.dags:
            waiting = ", ".join(f"{name} ({count})" for name, count in self.dags.most_common(MAX_NAMED))
            more = len(self.dags) - MAX_NAMED
            found.append(f"waiting: {waiting}" + (f" and {more} more DAGs" if more > 0 else ""))
        if self.since is not None:
            found.append(f"the longest waits for {max(0.0, now - self.since):.0f} s")
        return found

    def _note_since(self, since: float | None) -> None:
        if since is not None and (self.since is None or since < self.since):
            self.since = since


def get_object(reason: Reason, row: ActiveTaskInstance, situation: Situation) -> str:
    """The object that a reason names for a task instance."""
    match reason.object_kind:
        case "pool":
            return row.pool
        case "dag":
            return row.dag_id
        case "task":
            return f"{row.dag_id}.{row.task_id}"
        case "queue":
            return row.queue
        case "executor":
            return row.executor or (situation.executors[0] if situation.executors else "")
    return ""


def build_findings(situation: Situation, waiting: Waiting) -> list[Finding]:
    """The findings, first those for which waiting does not help, then by how many wait."""
    found: dict[tuple[str, str], Finding] = {}
    for row, reason in waiting.tasks:
        name = get_object(reason, row, situation)
        key = (reason.name, name)
        if key not in found:
            found[key] = Finding(reason, name)
        found[key].add(row)
    for run, reason in waiting.runs:
        key = (reason.name, run.dag_id)
        if key not in found:
            found[key] = Finding(reason, run.dag_id)
        found[key].add_run(run)
    holders = _Holders(situation)
    for finding in found.values():
        holders.describe(finding)
        finding.suggestion = suggest(finding)
    order = list(Patience)
    return sorted(
        found.values(),
        key=lambda one: (order.index(one.reason.patience), -one.tasks - one.runs, one.reason.name, one.object),
    )


class _Holders:
    """Limits, their use and who holds them, from the rows of the situation."""

    def __init__(self, situation: Situation) -> None:
        self._situation = situation
        self._pools: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._executors: defaultdict[str | None, Counter[str]] = defaultdict(Counter)
        self._tasks: Counter[str] = Counter()
        self._runs: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self._groups: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for row in situation.tasks:
            if row.state in OCCUPYING:
                self._pools[row.pool][row.dag_id] += row.pool_slots
                self._executors[row.executor][row.dag_id] += 1
                self._tasks[f"{row.dag_id}.{row.task_id}"] += 1
                self._groups[row.dag_id][row.run_id] += 1
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

    def _hold(self, finding: Finding, holders: Mapping[str, int]) -> None:
        finding.used = sum(holders.values())
        finding.holders = Counter(holders).most_common(MAX_NAMED)


def suggest(finding: Finding) -> str:
    """What to change, in one sentence, with a value to try where the evidence gives one."""
    reason, name = finding.reason, finding.object
    needed = f"{finding.slots} more slots" if finding.slots > 1 else "1 more slot"
    least = f"{finding.most_slots} slot{'s' if finding.most_slots > 1 else ''}"
    task = ".".join(finding.example)
    match reason:
        case reasons.POOL_MISSING:
            return f"Create pool {name} with at least {least}, or correct pool= of {task}."
        case reasons.POOL_WITHOUT_SLOTS:
            return f"Give pool {name} at least {least}."
        case reasons.POOL_TOO_SMALL:
            return (
                f"Give pool {name} at least {least} (it has {_format(finding.limit)}), or lower pool_slots of {task}."
            )
        case reasons.POOL | reasons.PRIORITY:
            return (
                f"Pool {name}: {needed} would take everything that waits now "
                f"({_format(finding.limit)} slots, {_format(finding.used)} in use)."
            )
        case reasons.MAX_ACTIVE_TASKS:
            more = max(finding.groups.values(), default=0)
            return f"Raise max_active_tasks of {name} from {_format(finding.limit)}, by up to {more}."
        case reasons.MAX_ACTIVE_RUNS:
            limit = _format(finding.limit)
            return f"Raise max_active_runs of {name} from {limit}, by up to {finding.runs}, or shorten its runs."
        case reasons.MAX_ACTIVE_TIS:
            return f"Raise the limit of task {name} (max_active_tis_per_dag or max_active_tis_per_dagrun)."
        case reasons.PARALLELISM:
            return f"Raise parallelism from {_format(finding.limit)} if the machines have CPU and memory to spare."
        case reasons.DAG_PAUSED:
            return f"Unpause {name}, or clear what waits in it."
    return "" if reason.setting == "none" else f"See: {reason.setting}."


def _format(value: float | None) -> str:
    if value is None:
        return "an unknown value"
    return "unlimited" if math.isinf(value) else f"{value:g}"

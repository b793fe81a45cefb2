"""What to change: one sentence for each reason, with a value to try."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import TYPE_CHECKING

from exporter.diagnosis import reasons
from exporter.diagnosis.situation import PER_DAG, PER_RUN
from exporter.diagnosis.words import format_limit

if TYPE_CHECKING:
    from exporter.diagnosis.findings import Finding

MAX_FACTOR = 2
"""A limit is at most doubled in one step: what is behind it has to carry the load."""
CAPACITY = (reasons.PARALLELISM, reasons.NO_WORKER, reasons.WORKERS_FULL)
"""Reasons of slots of executors and workers."""
OTHER_LIMITS = (
    reasons.POOL,
    reasons.PRIORITY,
    reasons.MAX_ACTIVE_TASKS,
    reasons.MAX_ACTIVE_TIS,
    reasons.MAX_ACTIVE_RUNS,
)
"""Reasons of limits that may protect another system, with room on the machines or without."""


def suggest(finding: Finding) -> str:
    """What to change, in one sentence, with a value to try where the evidence gives one."""
    reason = finding.reason
    match reason.object_kind:
        case "pool":
            return suggest_for_pool(finding)
        case "executor" | "queue" if reason in CAPACITY:
            return suggest_capacity(finding)
        case "dag" if text := suggest_for_dag(finding):
            return text
    if reason is reasons.MAX_ACTIVE_TIS:
        return suggest_for_task(finding)
    return "" if reason.setting == "none" else f"What to change: {reason.setting}."


def suggest_for_pool(finding: Finding) -> str:
    """What to do about a pool."""
    name, task = finding.object, ".".join(finding.example)
    least = f"{finding.most_slots} slot{'s' if finding.most_slots > 1 else ''}"
    match finding.reason:
        case reasons.POOL_MISSING:
            return f"Create pool {name} with at least {least}, or correct pool= of {task}."
        case reasons.POOL_WITHOUT_SLOTS:
            return f"Give pool {name} at least {least}."
        case reasons.POOL_TOO_SMALL:
            has = format_limit(finding.limit)
            return f"Give pool {name} at least {least} (it has {has}), or lower pool_slots of {task}."
    other = "" if finding.reason is reasons.POOL else f", or priority_weight of {task} above {finding.heaviest}"
    if finding.deferred:
        other += ", or switch off its include_deferred if what is deferred needs no slot"
    return f"Raise the slots of pool {name} {describe_raise(finding)}{other}."


def describe_raise(finding: Finding) -> str:
    """From which value to which one; what would be needed for everything that waits, where that is more."""
    value, needed = suggest_limit(finding), find_needed(finding)
    start = f"from {format_limit(finding.limit)}"
    if value is None or needed is None or value == finding.limit:
        return start
    rest = f" ({format_limit(needed)} would take everything that waits now)" if needed > value else ""
    return f"{start} to {format_limit(value)}{rest}"


def suggest_for_backfill(finding: Finding) -> str:
    """What to do about the queued runs of a backfill."""
    if finding.limit == 0:
        return f"Unpause the backfill of {finding.object}, or cancel it."
    limit = f" ({format_limit(finding.limit)})" if finding.limit is not None else ""
    return f"Wait, or cancel the backfill of {finding.object} and create it again with a higher Max Active Runs{limit}."


def suggest_for_task(finding: Finding) -> str:
    """What to do about the limit of a task, which Airflow's API does not show: as many as run now, or fewer."""
    used = int(finding.used or 0)
    waiting = max(finding.groups.values(), default=0) if finding.task_limit == PER_RUN else finding.tasks
    most = f" above {used}, for example to {min(used + waiting, used * MAX_FACTOR)}" if used else ""
    setting = finding.task_limit or f"{PER_DAG} (or {PER_RUN})"
    return f"Raise {setting} of task {finding.object}{most}."


def suggest_for_dag(finding: Finding) -> str:
    """What to do about a DAG that Airflow does not run, or about its limits; empty for other reasons."""
    name = finding.object
    match finding.reason:
        case reasons.MAX_ACTIVE_TASKS:
            return f"Raise max_active_tasks of {name} {describe_raise(finding)}."
        case reasons.MAX_ACTIVE_RUNS if finding.is_chained:
            return (
                f"See first why the oldest run of {name} does not end: its other runs wait for the run before "
                "(depends_on_past, wait_for_downstream), so a higher max_active_runs does not help."
            )
        case reasons.MAX_ACTIVE_RUNS:
            return f"Raise max_active_runs of {name} {describe_raise(finding)}, or shorten its runs."
        case reasons.BACKFILL_LIMIT:
            return suggest_for_backfill(finding)
        case reasons.RUN_NOT_RUNNING:
            return f"See what the queued run of {name} itself waits for: its max_active_runs, or another reason here."
        case reasons.DAG_PAUSED:
            return f"Unpause {name}, or mark its unfinished runs as failed."
        case reasons.DAG_REMOVED:
            return f"Bring back the file that has {name} (or correct its import error), or delete the DAG in Airflow."
    return ""


def reconcile(findings: Collection[Finding]) -> None:
    """Advise no more tasks at once where running ones lack CPU already, or where sensors hold the slots."""
    free_sensors(findings)
    if not any(one.reason is reasons.STARVED_OF_CPU for one in findings):
        return
    for finding in findings:
        if finding.reason in (reasons.PARALLELISM, reasons.WORKERS_FULL):
            finding.suggestion = (
                "Add CPUs or machines first: running tasks lack CPU already (starved_of_cpu), so more of them at once "
                "would only make all slower."
            )
        elif finding.reason in OTHER_LIMITS:
            finding.suggestion += (
                " Only if these tasks mostly wait for other systems: running tasks lack CPU already (starved_of_cpu)."
            )


def free_sensors(findings: Collection[Finding]) -> None:
    """Advise first to free the slots that sensors hold, where those are half of what is in use or more."""
    everywhere = sum(one.suspicious for one in findings if one.reason is reasons.POLLS)
    for finding in findings:
        polling = everywhere if finding.reason is reasons.PARALLELISM else finding.polling
        if polling and finding.used and 2 * polling >= finding.used:
            more = finding.suggestion[:1].lower() + finding.suggestion[1:]
            held = f"{polling} sensors hold" if finding.reason is reasons.PARALLELISM else "sensors hold"
            finding.suggestion = f"Free the slots that {held} while they wait (polls); then {more}"


def suggest_capacity(finding: Finding) -> str:
    """What to change about parallelism, or about the workers of a queue."""
    name, task = finding.object, ".".join(finding.example)
    if finding.reason is reasons.NO_WORKER:
        return f"Start a worker for it (airflow celery worker --queues {name}), or correct queue= of {task}."
    if finding.reason is reasons.PARALLELISM:
        return f"Raise parallelism {describe_raise(finding)} if the machines have CPU and memory to spare."
    machines = "if their machines have CPU and memory to spare"
    return f"Start more workers for queue {name}, or raise worker_concurrency {machines}."


def suggest_limit(finding: Finding) -> float | None:
    """The limit with which everything that waits could start, at most twice the present one; None if it has none."""
    needed = find_needed(finding)
    if needed is None or finding.limit is None or finding.limit == 0 or finding.reason is reasons.POOL_TOO_SMALL:
        return needed
    return min(needed, finding.limit * MAX_FACTOR)


def find_needed(finding: Finding) -> float | None:
    """The limit with which everything that waits could start; None if it has none."""
    match finding.reason:
        case reasons.POOL_MISSING | reasons.POOL_WITHOUT_SLOTS | reasons.POOL_TOO_SMALL:
            return finding.most_slots
        case reasons.POOL | reasons.PRIORITY:
            return _add(finding.limit, finding.slots)
        case reasons.MAX_ACTIVE_TASKS:
            return _add(finding.limit, max(finding.groups.values(), default=0))
        case reasons.MAX_ACTIVE_RUNS if not finding.is_chained:
            return _add(finding.limit, finding.runs + finding.missing or finding.blocked)
        case reasons.PARALLELISM:
            return _add(finding.limit, finding.tasks)
    return None


def _add(limit: float | None, missing: int) -> float | None:
    return None if limit is None or math.isinf(limit) else limit + missing

"""What to change: one sentence for each reason, with a value to try."""

from __future__ import annotations

from typing import TYPE_CHECKING

from exporter.diagnosis import reasons
from exporter.diagnosis.words import format_limit

if TYPE_CHECKING:
    from exporter.diagnosis.findings import Finding


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
            has = format_limit(finding.limit)
            return f"Give pool {name} at least {least} (it has {has}), or lower pool_slots of {task}."
        case reasons.POOL | reasons.PRIORITY:
            return (
                f"Pool {name}: {needed} would take everything that waits now "
                f"({format_limit(finding.limit)} slots, {format_limit(finding.used)} in use)."
            )
        case reasons.MAX_ACTIVE_TASKS:
            more = max(finding.groups.values(), default=0)
            return f"Raise max_active_tasks of {name} from {format_limit(finding.limit)}, by up to {more}."
        case reasons.MAX_ACTIVE_RUNS:
            limit = format_limit(finding.limit)
            return f"Raise max_active_runs of {name} from {limit}, by up to {finding.runs}, or shorten its runs."
        case reasons.MAX_ACTIVE_TIS:
            return f"Raise the limit of task {name} (max_active_tis_per_dag or max_active_tis_per_dagrun)."
        case reasons.PARALLELISM | reasons.NO_WORKER | reasons.WORKERS_FULL:
            return suggest_capacity(finding)
        case reasons.DAG_PAUSED | reasons.DAG_REMOVED:
            return suggest_for_dag(finding)
    return "" if reason.setting == "none" else f"See: {reason.setting}."


def suggest_for_dag(finding: Finding) -> str:
    """What to do about a DAG that Airflow does not run."""
    if finding.reason is reasons.DAG_PAUSED:
        return f"Unpause {finding.object}, or clear what waits in it."
    return f"Bring back the file that has {finding.object} (or mend its import error), or delete the DAG in Airflow."


def suggest_capacity(finding: Finding) -> str:
    """What to change about parallelism, or about the workers of a queue."""
    name, task = finding.object, ".".join(finding.example)
    if finding.reason is reasons.NO_WORKER:
        return f"Start a worker for it (airflow celery worker --queues {name}), or correct queue= of {task}."
    if finding.reason is reasons.PARALLELISM:
        return f"Raise parallelism from {format_limit(finding.limit)} if the machines have CPU and memory to spare."
    machines = "if their machines have CPU and memory to spare"
    return f"Start more workers for queue {name}, or raise worker_concurrency {machines}."

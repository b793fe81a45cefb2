"""The whole diagnosis of one moment: what waits, what fails, what costs more than it does."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from exporter.diagnosis.findings import MAX_NAMED, Finding, sort_findings
from exporter.diagnosis.reasons import DATABASE
from exporter.diagnosis.waits.database import DatabaseFacts, find_obstacle


class FailedTry(NamedTuple):
    """A try that failed lately."""

    dag_id: str
    task_id: str
    run_id: str
    map_index: int
    try_number: int
    ended_at: float
    """Unix seconds."""
    error_class: str
    retried: bool
    """Whether Airflow retries the task."""
    log_url: str
    """Where Airflow's web interface shows its log; empty where the address of Airflow is not known."""


class FailureFinding(NamedTuple):
    """What fails now for one class of reasons."""

    error_class: str
    meaning: str
    """One sentence on what such a failure is."""
    tries: int
    """Failed tries within the last hour."""
    dags: Mapping[str, int]
    """The DAGs with most of them."""
    evidence: Sequence[str]
    """One sentence each."""
    suggestion: str
    """What to change or look at, in one sentence."""
    newest: FailedTry | None


class CostFinding(NamedTuple):
    """Something that costs more than it does: slots held by sensors, tasks shorter than their start, vain retries."""

    name: str
    """The kind of cost, from a closed set; the value of labels."""
    object: str
    """The DAG, the task as dag_id.task_id, or the DAG file."""
    meaning: str
    evidence: Sequence[str]
    suggestion: str
    seconds: float
    """Seconds that it cost within the time observed: the order of the findings."""


class Diagnosis(NamedTuple):
    """What was found at one moment."""

    time: float
    """When Airflow was read, in Unix seconds by the clock of its server."""
    findings: Sequence[Finding] = ()
    """What waits, and what does not run."""
    failures: Sequence[FailureFinding] = ()
    """What fails, the class with most failed tries first."""
    failed_tries: Sequence[FailedTry] = ()
    """The last ones, the newest first."""
    costs: Sequence[CostFinding] = ()
    """What costs more than it does, the most expensive first."""


def add_obstacle(diagnosis: Diagnosis, facts: DatabaseFacts | None) -> Diagnosis:
    """The diagnosis with what the database shows now.

    A lock that holds up the scheduler often holds up the API server too: then Airflow gives no new reading.
    """
    obstacle = find_obstacle(facts)
    if facts is None or obstacle is None or any(one.reason is DATABASE for one in diagnosis.findings):
        return diagnosis
    finding = Finding(DATABASE, obstacle.object)
    finding.add_obstacle(obstacle)
    findings = sort_findings([*diagnosis.findings, finding])
    return diagnosis._replace(time=diagnosis.time or facts.now, findings=findings)


def to_json(diagnosis: Diagnosis) -> dict[str, object]:
    """The diagnosis as plain data; what is unlimited or not known is null."""
    return {
        "time": diagnosis.time,
        "findings": [finding_to_json(one) for one in diagnosis.findings],
        "failures": [
            {**one._asdict(), "newest": one.newest._asdict() if one.newest else None} for one in diagnosis.failures
        ],
        "failed_tries": [one._asdict() for one in diagnosis.failed_tries],
        "costs": [one._asdict() for one in diagnosis.costs],
    }


def finding_to_json(finding: Finding) -> dict[str, object]:
    """One finding as plain data."""
    limit = finding.limit
    return {
        "reason": finding.reason.name,
        "patience": finding.patience.name.lower(),
        "object_kind": finding.reason.object_kind,
        "object": finding.object,
        "task_instances": finding.tasks,
        "dag_runs": finding.runs,
        "dags_blocked": finding.blocked,
        "suspicious_task_instances": finding.suspicious,
        "slots": finding.slots,
        "since": finding.since,
        "limit": None if limit is None or math.isinf(limit) else limit,
        "used": finding.used,
        "holders": dict(finding.holders),
        "dags": dict(finding.dags.most_common(MAX_NAMED)),
        "facts": list(finding.facts),
        "setting": finding.reason.setting,
        "suggestion": finding.suggestion,
    }

"""The whole diagnosis of one moment: what waits, what fails, what costs more than it needs to."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from exporter.diagnosis.findings import Finding
    from exporter.diagnosis.waits.database import DatabaseFacts

MEBI, GIBI = 1024.0**2, 1024.0**3
MAX_ENDED_TRIES = 2_000
"""Ended tries of this machine from which it is known what a slot costs."""


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


class TimedOutRun(NamedTuple):
    """A run that Airflow failed because it took longer than the `dagrun_timeout` of its DAG."""

    dag_id: str
    run_id: str
    ended_at: float
    """Unix seconds."""
    limit: float
    """The timeout in seconds."""


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
    runs: int = 0
    """Runs that failed within the last hour though none of their tries did."""

    @property
    def amount(self) -> str:
        """What failed, for people: `3 failed tries and 1 failed run`."""
        parts = ((self.tries, "failed try", "failed tries"), (self.runs, "failed run", "failed runs"))
        return " and ".join(f"{number} {one if number == 1 else many}" for number, one, many in parts if number)


class CostFinding(NamedTuple):
    """Something that costs more than it needs to: sensors in slots, tasks shorter than their start, vain retries."""

    name: str
    """The kind of cost, from a closed set; the value of labels."""
    object: str
    """The DAG, the task as dag_id.task_id, or the DAG file."""
    meaning: str
    evidence: Sequence[str]
    suggestion: str
    seconds: float
    """Seconds that it cost within the time observed: the order of the findings."""


class TryUse(NamedTuple):
    """What a try used on this machine."""

    seconds: float
    """For how long it was seen."""
    cpu_seconds: float
    peak: float
    """Highest resident memory of one of its processes, in bytes; 0 if it is not known."""
    memory: float = 0.0
    """Proportional memory now, of a try that runs."""


class MachineRoom(NamedTuple):
    """What the machine has, and what is in use. What is None is not known."""

    cpus: float | None = None
    used_cpus: float | None = None
    """Averaged over some minutes."""
    memory: float | None = None
    available: float | None = None
    limit: str = ""
    """The one control group whose limits these are; empty where they are those of the machine."""
    other_limits: Sequence[str] = ()
    """Control groups with limits, where there are several: it is not known which of them tasks run in."""

    def count_by_cpu(self, cpu: float, share: float) -> int | None:
        """How many more tries fit that use this number of CPUs each, if this share of all may be used."""
        if self.cpus is None or self.used_cpus is None:
            return None
        return max(0, math.floor((share * self.cpus - self.used_cpus) / cpu))


@dataclass(slots=True)
class ObservedTries:
    """The tries that were seen on this machine, as the host source records them."""

    ended: deque[TryUse] = field(default_factory=lambda: deque(maxlen=MAX_ENDED_TRIES))
    """The last ones."""
    running: Mapping[str, TryUse] | None = None
    """By UUID or another key; None before the first scan of processes."""
    host_names: Sequence[str] = ("this machine",)
    room: MachineRoom | None = None


class HostSizing(NamedTuple):
    """What a slot costs on a machine, and how many more it has room for. What is None is not known."""

    host: str
    tries: int = 0
    """Tries that ended, from which this is known."""
    running: int = 0
    cpu: float | None = None
    """CPUs that a running try uses on average."""
    memory: float | None = None
    """Bytes: 19 of 20 tries had a peak of at most that."""
    more_by_cpu: int | None = None
    """Further tasks for which there are CPUs."""
    more_by_memory: int | None = None
    """Further tasks for which there is memory."""
    evidence: Sequence[str] = ()
    unknown: Sequence[str] = ()
    """What is not known, each with what would make it known."""

    @property
    def more(self) -> int | None:
        """How many more tasks the machine has room for, as far as both are known."""
        if self.more_by_cpu is None or self.more_by_memory is None:
            return None
        return min(self.more_by_cpu, self.more_by_memory)

    def list_costs(self) -> list[str]:
        """What a slot costs, for people."""
        return [
            "CPU: not known" if self.cpu is None else f"CPU: {self.cpu:.2f} CPUs",
            "memory: not known" if self.memory is None else f"memory: {format_bytes(self.memory)} (p95 of peaks)",
        ]

    def list_room(self) -> list[str]:
        """How many more tasks there is room for, for people."""
        by_cpu, by_memory = (
            "not known" if count is None else f"{count} more" for count in (self.more_by_cpu, self.more_by_memory)
        )
        total = [] if self.more is None else [f"{self.more} more tasks"]
        return [*total, f"by CPU: {by_cpu}", f"by memory: {by_memory}"]


def format_bytes(count: float) -> str:
    """Memory in MiB or GiB."""
    return f"{count / GIBI:.1f} GiB" if count >= GIBI else f"{count / MEBI:.0f} MiB"


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
    """What costs more than it needs to, the most expensive first."""


def add_obstacle(diagnosis: Diagnosis, facts: DatabaseFacts | None) -> Diagnosis:
    """The diagnosis with what the database shows now.

    A lock that holds up the scheduler often holds up the API server too: then Airflow gives no new reading.
    """
    if facts is None:
        return diagnosis
    # Only where a database is read: an exporter of StatsD or on a worker must start soon and stay small.
    from exporter.diagnosis.findings import Finding, sort_findings  # noqa: PLC0415
    from exporter.diagnosis.reasons import DATABASE  # noqa: PLC0415
    from exporter.diagnosis.waits.database import find_obstacle  # noqa: PLC0415

    obstacle = find_obstacle(facts)
    if obstacle is None or any(one.reason is DATABASE for one in diagnosis.findings):
        return diagnosis
    finding = Finding(DATABASE, obstacle.object)
    finding.add_obstacle(obstacle)
    findings = sort_findings([*diagnosis.findings, finding])
    return diagnosis._replace(time=diagnosis.time or facts.now, findings=findings)


def to_json(diagnosis: Diagnosis | None, sizing: Sequence[HostSizing] = ()) -> dict[str, object]:
    """The diagnosis as plain data; what is unlimited or not known is null. None: nothing was diagnosed yet."""
    sizes = [{**one._asdict(), "more": one.more} for one in sizing]
    if diagnosis is None:
        return {"time": None, "findings": [], "sizing": sizes}
    return {
        "time": diagnosis.time,
        "findings": [finding_to_json(one) for one in diagnosis.findings],
        "failures": [
            {**one._asdict(), "newest": one.newest._asdict() if one.newest else None} for one in diagnosis.failures
        ],
        "failed_tries": [one._asdict() for one in diagnosis.failed_tries],
        "costs": [one._asdict() for one in diagnosis.costs],
        "sizing": sizes,
    }


def finding_to_json(finding: Finding) -> dict[str, object]:
    """One finding as plain data."""
    from exporter.diagnosis.findings import MAX_NAMED  # noqa: PLC0415 - as above

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

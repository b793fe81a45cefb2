"""What stands in the way of what: waiting task instances and runs, put together by their reason and its object.

A finding is one row of the diagnosis: the reason, the object, how much of it is in use, who holds it, what waits for
it, and the setting to change, with a value to try.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from exporter.diagnosis.holders import Holders, get_object, get_obstacle_object
from exporter.diagnosis.reasons import DATABASE, SCHEDULER, SENSOR, Patience, Reason
from exporter.diagnosis.situation import ActiveDagRun, ActiveTaskInstance, Situation
from exporter.diagnosis.suggestions import reconcile, suggest
from exporter.diagnosis.waits.dags import Blocked
from exporter.diagnosis.waits.database import Obstacle
from exporter.diagnosis.waits.parked import PARKED, ParkedContext, describe_parked, get_begin
from exporter.diagnosis.waits.running import Suspicion
from exporter.diagnosis.waits.stalled import Stall, get_stall_object
from exporter.diagnosis.waits.waiting import Waiting, get_since
from exporter.diagnosis.words import format_limit, format_seconds

MAX_NAMED = 3
"""How many holders, and how many waiting DAGs, a finding names."""
MAX_FACTS = 6
"""How many further sentences of evidence a finding has."""


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
    """What waits, by DAG and run, where the reason concerns a DAG or a task."""
    example: tuple[str, str] = ("", "")
    """DAG and task of one of those that wait."""
    oldest: ActiveTaskInstance | None = None
    """The one that waits longest."""
    limit: float | None = None
    used: float | None = None
    holders: Sequence[tuple[str, int]] = ()
    """The DAGs that hold most of it, with what they hold."""
    heaviest: int = 0
    """The highest priority_weight of what holds it, where that decides."""
    deferred: int = 0
    """Slots of the pool that deferred task instances hold."""
    polling: int = 0
    """Slots of the pool that sensors hold while they wait."""
    is_chained: bool = False
    """Whether it is about a DAG of which a run waits for the run before: more runs at once would wait too."""
    task_limit: str = ""
    """The argument of the task that limits it, where that is the reason and it is known which."""
    suggestion: str = ""
    """What to change, with a value to try."""
    blocked: int = 0
    """How many DAGs do not run."""
    missing: int = 0
    """How many runs are due and are not there, where that is known."""
    suspicious: int = 0
    """How many running task instances look wrong."""
    facts: list[str] = field(default_factory=list)
    """Further evidence, one sentence each."""
    escalated: bool = False
    """Whether what is normal work otherwise has lasted too long."""

    def add(self, rows: Sequence[ActiveTaskInstance], begun: Sequence[float | None]) -> None:
        """Count waiting task instances, and when each began to wait (Unix seconds; None where it is not known)."""
        self.tasks += len(rows)
        self.slots += sum(row.pool_slots for row in rows)
        self.most_slots = max(self.most_slots, *(row.pool_slots for row in rows))
        self.dags.update(row.dag_id for row in rows)
        if self.reason.object_kind in ("dag", "task"):
            self.groups.update((row.dag_id, row.run_id) for row in rows)
        self.example = self.example if self.example[0] else (rows[0].dag_id, rows[0].task_id)
        since = min((moment for moment in begun if moment is not None), default=None)
        if self.oldest is None or (since is not None and (self.since is None or since < self.since)):
            self.oldest = rows[0 if since is None else begun.index(since)]
        self.note_since(since)

    def add_run(self, run: ActiveDagRun, since: float | None = None) -> None:
        """Count a run that has waited for some time (Unix seconds)."""
        self.runs += 1
        self.dags[run.dag_id] += 1
        self.note_since(since)

    def add_facts(self, facts: Iterable[str], suggestion: str, *, escalated: bool) -> None:
        """Add evidence; the first suggestion holds."""
        self.facts += [fact for fact in facts if fact not in self.facts][: max(0, MAX_FACTS - len(self.facts))]
        self.suggestion = self.suggestion or suggestion
        self.escalated = self.escalated or escalated

    def add_obstacle(self, obstacle: Obstacle) -> None:
        """Add what holds up the scheduler in the database."""
        self.limit, self.used = obstacle.limit, obstacle.used
        self.note_since(obstacle.since)
        self.add_facts(obstacle.facts, obstacle.suggestion, escalated=False)

    @property
    def patience(self) -> Patience:
        """How long it may last: that of its reason, unless it has lasted too long."""
        return Patience.BUSY if self.escalated and self.reason.patience is Patience.NORMAL else self.reason.patience

    @property
    def count(self) -> int:
        """How much it concerns: task instances, runs and DAGs."""
        return self.tasks + self.runs + self.blocked + self.suspicious

    @property
    def title(self) -> str:
        """What waits for what, in a few words: `7 task instances wait for pool forklifts`."""
        parts = [
            _count_waiting((self.tasks, "task instance"), (self.runs, "run")),
            f"{self.blocked} DAG{'s do' if self.blocked > 1 else ' does'} not run" if self.blocked else "",
            f"{self.suspicious} running task instance{'s' if self.suspicious > 1 else ''}" if self.suspicious else "",
        ]
        kind = "DAG" if self.reason.object_kind == "dag" else self.reason.object_kind
        object_ = f" ({kind} {self.object})" if kind != "airflow" and self.object else ""
        return (", ".join(filter(None, parts)) or "the scheduler is held up") + object_

    def list_evidence(self, now: float) -> list[str]:
        """The facts behind it, one sentence each; `now` is when they were read, in Unix seconds."""
        found = []
        if self.limit is not None:
            found.append(f"limit {format_limit(self.limit)}, {format_limit(self.used)} in use")
        if self.holders:
            found.append(self._say_held() + ", ".join(f"{name} ({count})" for name, count in self.holders))
        if self.dags:
            what = "waiting" if self.tasks or self.runs else "DAGs"
            waiting = ", ".join(f"{name} ({count})" for name, count in self.dags.most_common(MAX_NAMED))
            more = len(self.dags) - MAX_NAMED
            found.append(f"{what}: {waiting}" + (f" and {more} more DAGs" if more > 0 else ""))
        if self.since is not None:
            how = "the longest has waited for" if self.tasks or self.runs else "for"
            found.append(f"{how} {format_seconds(now - self.since)}")
        return [*found, *self.facts]

    def _say_held(self) -> str:
        return "held by " + ("the runs " if self.reason.object_kind == "dag" else "")

    def note_since(self, since: float | None) -> None:
        if since is not None and (self.since is None or since < self.since):
            self.since = since


def _count_waiting(*counted: tuple[int, str]) -> str:
    text = " and ".join(f"{count} {name}{'s' if count > 1 else ''}" for count, name in counted if count)
    return f"{text} wait{'s' if sum(count for count, _ in counted) == 1 else ''}" if text else ""


@dataclass(frozen=True, slots=True)
class Observations:
    """What is found beyond task instances and queued runs that wait."""

    stalls: Sequence[Stall] = ()
    """Runs that do not go on."""
    blocked: Sequence[Blocked] = ()
    """DAGs that do not run."""
    suspicions: Sequence[Suspicion] = ()
    """Running task instances that look wrong."""
    parked: ParkedContext | None = None
    """What is known of task instances that wait without a slot."""
    chained: Collection[str] = ()
    """The DAGs of which a run waits for the run before."""


NOTHING_MORE = Observations()


def name_obstacle(more: Observations, situation: Situation) -> Observations:
    """Give runs that only wait for the scheduler the reason `database`, if that holds up the scheduler."""
    if situation.obstacle is None:
        return more
    stalls = [replace(one, reason=DATABASE) if one.reason is SCHEDULER else one for one in more.stalls]
    return replace(more, stalls=stalls)


class _Findings:
    """Findings by reason and object, in the making."""

    def __init__(self, situation: Situation) -> None:
        self.found: dict[tuple[str, str], Finding] = {}
        self._situation = situation

    def get(self, reason: Reason, name: str) -> Finding:
        """The finding of an object, created if new."""
        key = (reason.name, name)
        if key not in self.found:
            self.found[key] = Finding(reason, name)
        return self.found[key]

    def add_waiting(self, waiting: Waiting) -> None:
        """Add task instances and queued runs that wait."""
        rows: defaultdict[tuple[str, str], list[ActiveTaskInstance]] = defaultdict(list)
        by_name: dict[str, Reason] = {}
        for row, reason in waiting.tasks:
            name = reason.name
            by_name[name] = reason
            rows[name, get_object(reason, row, self._situation)].append(row)
        for (name, object_), found in rows.items():
            self.get(by_name[name], object_).add(found, [self._get_begin(row) for row in found])
        for run, reason in waiting.runs:
            name = run.dag_id if reason is not DATABASE else get_obstacle_object(self._situation)
            self.get(reason, name).add_run(run, self._situation.get_queued(run))

    def _get_begin(self, row: ActiveTaskInstance) -> float | None:
        since = get_since(row)
        return self._situation.get_ready(row) if since is None and row.state == "scheduled" else since

    def add_obstacle(self) -> None:
        """Add what holds up the scheduler in the database, even if nothing waits at this moment."""
        obstacle = self._situation.obstacle
        if obstacle is not None:
            self.get(DATABASE, obstacle.object).add_obstacle(obstacle)

    def add_stall(self, stall: Stall) -> None:
        """Add a run that does not go on."""
        is_database = stall.reason is DATABASE
        finding = self.get(
            stall.reason, get_obstacle_object(self._situation) if is_database else get_stall_object(stall)
        )
        finding.add_run(stall.run, stall.since)
        finding.add_facts(stall.list_facts(), stall.suggest(), escalated=stall.is_long(self._situation.now))

    def add_blocked(self, blocked: Blocked) -> None:
        """Add a DAG that does not run."""
        finding = self.get(blocked.reason, blocked.object)
        finding.blocked += 1
        finding.missing += blocked.missing
        if blocked.dag_id:
            finding.dags[blocked.dag_id] += 1
        finding.note_since(blocked.since)
        finding.add_facts(blocked.facts, blocked.suggestion, escalated=blocked.escalated)

    def add_suspicion(self, suspicion: Suspicion) -> None:
        """Add a running task instance that looks wrong."""
        finding = self.get(suspicion.reason, f"{suspicion.dag_id}.{suspicion.task_id}")
        finding.suspicious += 1
        finding.dags[suspicion.dag_id] += 1
        finding.note_since(suspicion.since)
        finding.add_facts(suspicion.facts, suspicion.suggestion, escalated=suspicion.escalated)

    def add_parked(self, context: ParkedContext) -> None:
        """Add what is known of the longest-waiting ones that wait without a slot."""
        for finding in self.found.values():
            if finding.reason in PARKED and finding.oldest is not None:
                details = describe_parked(finding.oldest, finding.reason, context)
                if finding.reason is SENSOR:
                    finding.note_since(get_begin(finding.oldest, context))
                finding.add_facts(details.facts, details.suggestion, escalated=details.escalated)


def build_findings(situation: Situation, waiting: Waiting, more: Observations = NOTHING_MORE) -> list[Finding]:
    """The findings, first those for which waiting does not help, then by how many wait."""
    findings = _Findings(situation)
    findings.add_waiting(waiting)
    findings.add_obstacle()
    for stall in more.stalls:
        findings.add_stall(stall)
    for blocked in more.blocked:
        findings.add_blocked(blocked)
    for suspicion in more.suspicions:
        findings.add_suspicion(suspicion)
    if more.parked is not None:
        findings.add_parked(more.parked)
    holders = Holders(situation)
    for finding in findings.found.values():
        holders.describe(finding)
        finding.is_chained = finding.object in more.chained
        finding.suggestion = finding.suggestion or suggest(finding)
    reconcile(findings.found.values())
    return sort_findings(findings.found.values())


def sort_findings(findings: Iterable[Finding]) -> list[Finding]:
    """Those for which waiting does not help first, then by how many wait."""
    order = list(Patience)
    return sorted(findings, key=lambda one: (order.index(one.patience), -one.count, one.reason.name, one.object))

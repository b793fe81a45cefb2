"""Runs that are running while none of their task instances is active: what keeps the next task from being scheduled.

The lists do not say it. A task without a state before which no other task without a state comes is the one to ask
about; Airflow then names the dependency that the task does not meet. A task that waits for the run before may do so
beside other tasks of its run that go on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from exporter.diagnosis import reasons
from exporter.diagnosis.reasons import Reason
from exporter.diagnosis.situation import ActiveDagRun, Situation

PREVIOUS_RUN = "Previous Dagrun State"
TRIGGER_RULE = "Trigger Rule"
EXPECTED = frozenset({"Task Instance State"})
"""Checks that a task which is not scheduled yet never passes."""
"""Airflow's names of dependencies."""
ACTIVE = ("queued", "running")
PASSED = ("success", "skipped")
"""States that the task instance of the run before must have for depends_on_past."""
LOST = ("failed", "upstream_failed")
"""States that it does not leave by itself."""
NOT_THERE = "missing"
"""Said of a task that the run before does not have."""
DATES = frozenset({"Logical Date", "Execution Date"})
"""Airflow's names, in Airflow 3 and 2, of the check of start_date and end_date."""
MANUAL = "manual"
"""The type of a run that was started by hand."""
MAX_BLOCKERS = 3
"""Tasks before or after another that are named."""
LONG_STALL_SECONDS = 900.0
"""Seconds after which a run in which nothing is active, and that nothing holds up, is something to look at."""


class StateRow(Protocol):
    """A task instance."""

    @property
    def task_id(self) -> str: ...
    @property
    def state(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Stall:
    """Why a run does not go on."""

    run: ActiveDagRun
    reason: Reason
    task_id: str = ""
    """The task that would be next; empty where it is not known."""
    predecessor: str = ""
    """The run before, where the reason is `past`."""
    predecessor_state: str = ""
    there: str = ""
    """The state of the task in the run before, or NOT_THERE; empty where it is not known."""
    blockers: Sequence[tuple[str, str]] = ()
    """Tasks that hold it up, with their states: before it, or after it in the run before (wait_for_downstream)."""
    unmet: Sequence[str] = ()
    """Airflow's names of checks that the task does not pass, where they are no reason of ours."""
    since: float | None = None
    """Since when nothing of it has been seen active, in Unix seconds."""
    others_go_on: bool = False
    """Whether other task instances of the run are active."""

    @property
    def is_past_lost(self) -> bool:
        """Whether what it waits for in the run before has ended without success, so that waiting does not help."""
        return self.is_task_lost or any(state in LOST for _, state in self.blockers)

    @property
    def is_task_lost(self) -> bool:
        """Whether the task itself has ended without success in the run before."""
        return self.there in LOST

    @property
    def has_past(self) -> bool:
        """Whether the run before has anything that the task waits for."""
        return bool(self.blockers) or self.there not in ("", *PASSED)

    def list_facts(self) -> list[str]:
        """The evidence, one sentence each."""
        what = (
            f"task {self.task_id} has no state yet, others go on" if self.others_go_on else "no task instance is active"
        )
        facts = [f"run {self.run.run_id}: {what}"]
        if self.predecessor:
            facts.append(f"the run before it, {self.predecessor}, is {self.predecessor_state}")
        if self.there:
            facts.append(f"in that run task {self.task_id} is {self.there}")
        if self.blockers:
            where = "after it in that run" if self.reason is reasons.PAST else f"before {self.task_id}"
            facts.append(f"{where}: " + ", ".join(f"{name} ({state})" for name, state in self.blockers[:MAX_BLOCKERS]))
        if self.unmet:
            facts.append(f"task {self.task_id} does not pass Airflow's check {', '.join(self.unmet)}")
        return facts

    def suggest(self) -> str:
        """What to change, in one sentence; empty where the reason says it."""
        name = f"{self.run.dag_id}.{self.task_id}"
        if self.reason is reasons.PAST:
            return self._suggest_for_past(name)
        if self.reason is reasons.UPSTREAM:
            return f"Clear {name} in the run, or end the run: the task is not part of it."
        if self.reason is reasons.TRIGGER_RULE:
            return f"Change trigger_rule of {name}, which these states never meet, or clear the tasks before it."
        if DATES & {*self.unmet}:
            return (
                f"The date of the run is outside start_date and end_date of {name} or its DAG: correct these, or mark "
                "the run as failed."
            )
        return f"See why {name} does not pass this check: the task instance's page in Airflow." if self.unmet else ""

    def _suggest_for_past(self, name: str) -> str:
        where = f"run {self.predecessor}" if self.predecessor else "the run before"
        if self.there == NOT_THERE:
            return f"Mark {name} as success in run {self.run.run_id}: there is none in {where} that could succeed."
        if self.blockers:
            first = self.blockers[0][0]
            return f"Clear {first} of {where} or mark it as success, or remove wait_for_downstream of {name}."
        return f"Clear {name} of {where} or mark it as success, or remove depends_on_past (wait_for_downstream) of it."

    def is_long(self, now: float) -> bool:
        """Whether a run that only the scheduler holds up has stood still for long."""
        return self.reason is reasons.SCHEDULER and self.since is not None and now - self.since > LONG_STALL_SECONDS


def list_stalled(situation: Situation) -> list[ActiveDagRun]:
    """The runs that are running with no active task instance."""
    active = {(row.dag_id, row.run_id) for row in situation.tasks}
    return [run for run in situation.runs if run.state == "running" and (run.dag_id, run.run_id) not in active]


def list_beside(situation: Situation, may_be_lost: Callable[[str], bool]) -> list[ActiveDagRun]:
    """The runs with active task instances, of which another task may wait for the run before.

    That one has failed, or it is running too: `may_be_lost` says of a DAG whether its last run failed.
    """
    active = {(row.dag_id, row.run_id) for row in situation.tasks}
    running = [run for run in situation.runs if run.state == "running"]
    counts = Counter(run.dag_id for run in running)
    return [
        run
        for run in running
        if (run.dag_id, run.run_id) in active and (counts[run.dag_id] > 1 or may_be_lost(run.dag_id))
    ]


def choose_waiting_for_past(
    dependents: Collection[str], upstream: Mapping[str, Collection[str]], states: Mapping[str, str | None]
) -> str:
    """A task without a state, of those that wait for the run before, before which all tasks have passed; else empty.

    `states` are those of a run's tasks, of a mapped one that of any instance.
    """
    for name in sorted(dependents):
        is_waiting = name in states and states[name] is None
        if is_waiting and all(states.get(before) in PASSED for before in upstream.get(name, ())):
            return name
    return ""


def choose_next(upstream: Mapping[str, Collection[str]], waiting: Collection[str]) -> str:
    """The first task without a state before which all tasks have ended; any of them where the DAG does not say.

    `upstream` has the tasks directly before each task, `waiting` are those without a state. Empty without any.
    """
    names = sorted(waiting)
    return next((name for name in names if not set(upstream.get(name, ())) & set(waiting)), names[0] if names else "")


def explain_stall(run: ActiveDagRun, task_id: str, missing: Collection[str], unmet: Sequence[str]) -> Stall:
    """Why the next task of a run is not scheduled.

    `missing` are tasks before it that the run does not have, `unmet` the names of the dependencies that it does not
    meet.
    """
    if PREVIOUS_RUN in unmet:
        return Stall(run, reasons.PAST, task_id)
    if TRIGGER_RULE in unmet and missing:
        return Stall(run, reasons.UPSTREAM, min(missing))
    if TRIGGER_RULE in unmet:
        return Stall(run, reasons.TRIGGER_RULE, task_id)
    return Stall(run, reasons.SCHEDULER, task_id, unmet=tuple(sorted({*unmet} - EXPECTED)))


def find_states(task_ids: Collection[str], rows: Iterable[StateRow]) -> list[tuple[str, str]]:
    """The states of these tasks in a run, by task; a mapped task has the worst of its instances."""
    found: dict[str, str] = {}
    for row in rows:
        if row.task_id in task_ids and found.get(row.task_id, "success") in PASSED:
            found[row.task_id] = row.state or "not started"
    return sorted(found.items())


def explain_past(stall: Stall, downstream: Collection[str], rows: Iterable[StateRow]) -> Stall:
    """What in the run before a task waits for. `rows` are that run's, `downstream` the tasks directly after it."""
    states = dict(find_states({stall.task_id, *downstream}, rows))
    there = states.pop(stall.task_id, NOT_THERE)
    after = [(name, state) for name, state in sorted(states.items()) if state not in PASSED]
    return replace(stall, there=there, blockers=after if there in PASSED else ())


def find_predecessor(
    run: ActiveDagRun, others: Iterable[ActiveDagRun], *, with_manual: bool = True
) -> ActiveDagRun | None:
    """The run of the same DAG with the newest logical date before that of a run."""
    if run.logical_date is None:
        return None
    earlier = [
        (one.logical_date, one)
        for one in others
        if one.logical_date is not None and one.logical_date < run.logical_date and one.dag_id == run.dag_id
        if with_manual or one.run_type != MANUAL
    ]
    return max(earlier, key=lambda item: item[0])[1] if earlier else None


def choose_past(manual: Stall, scheduled: Stall) -> Stall:
    """Which of two runs before a task waits for: the nearest, a manual one, or the nearest that is not.

    In the manual run the task has not ended without success. Where it has in the other one, that comes first: without
    catchup the manual run waits for the other one too.
    """
    return scheduled if scheduled.is_task_lost or (scheduled.has_past and not manual.has_past) else manual


def drop_waits_for_work(stalls: Sequence[Stall]) -> list[Stall]:
    """The stalls without those that only wait for an earlier run which goes on: that is what depends_on_past is for."""
    stuck = {(one.run.dag_id, one.run.run_id) for one in stalls}
    kept = list(stalls)
    while True:
        left = [
            one
            for one in kept
            if one.reason is not reasons.PAST
            or one.predecessor_state not in ACTIVE
            or one.is_past_lost
            or (one.run.dag_id, one.predecessor) in stuck
        ]
        if len(left) == len(kept):
            return left
        kept, stuck = left, {(one.run.dag_id, one.run.run_id) for one in left}


def get_stall_object(stall: Stall) -> str:
    """The object that the reason names."""
    if stall.reason.object_kind == "task":
        return f"{stall.run.dag_id}.{stall.task_id}"
    return stall.run.dag_id

"""Runs in which nothing is active, or one task waits for the run before: asks Airflow why it is not scheduled."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from exporter.diagnosis import reasons
from exporter.diagnosis.situation import ActiveDagRun, Situation
from exporter.diagnosis.waits.stalled import (
    MANUAL,
    Stall,
    choose_next,
    choose_past,
    choose_waiting_for_past,
    drop_waits_for_work,
    explain_past,
    explain_stall,
    find_predecessor,
    find_states,
    list_beside,
    list_stalled,
)
from exporter.sources.airflow.api.details.dag_tasks import Task, list_upstream
from exporter.sources.airflow.waits.asks import Asks, ask_tasks, find_tasks
from exporter.sources.airflow.waits.questions import QuestionBudget

RUN_LIFETIME = 120.0
"""Seconds for which it holds why a run does not go on."""
MAX_RUNS_PER_READING = 4
"""Runs that are asked about in one reading; each takes up to six questions."""
BESIDE = "run beside its past"
"""The kind of question whether a task of a run that goes on waits for the run before."""
BESIDE_LIFETIME = 600.0
"""Seconds for which it holds that no task of a run that goes on waits for the run before; that one does holds for
RUN_LIFETIME, and longer only until it can be asked again."""
MAX_BESIDE_PER_READING = 2
"""Such runs that are asked about in one reading."""
MIN_RUN_SECONDS = 60.0
"""At the first reading, a run in which nothing is active counts if it started this long ago."""

RunKey = tuple[str, str]
"""DAG and run id."""


class StalledRuns:
    """Remembers since when nothing is active in a run, and explains those that two readings have found so."""

    def __init__(
        self, questions: QuestionBudget, asks: Asks, has_failed: Callable[[str], bool] = lambda _dag_id: False
    ) -> None:
        """`has_failed` says of a DAG whether its last run failed."""
        self._questions = questions
        self._asks = asks
        self._has_failed = has_failed
        self.chained: frozenset[str] = frozenset()
        """The DAGs of which a run waits for the run before, whether that goes on or not."""
        self._since: dict[RunKey, float] | None = None
        """When nothing of a run was seen active first, in Unix seconds; None before the first reading."""

    def explain(self, situation: Situation, *, is_new: bool) -> list[Stall]:
        """The runs that do not go on; `is_new` says whether the situation was not explained before."""
        stalled = {(run.dag_id, run.run_id): run for run in list_stalled(situation)}
        before = self._since
        if is_new or before is None:
            self._since = {key: (before or {}).get(key, situation.now) for key in stalled}
        since = self._since or {}
        found = []
        for key, run in stalled.items():
            if self._is_lasting(run, before, key, situation.now):
                stall = self._explain_one(run, situation, since.get(key, situation.now))
                if stall is not None:
                    found.append(stall)
        found += self._find_beside(situation)
        self.chained = frozenset(one.run.dag_id for one in found if one.reason is reasons.PAST)
        return drop_waits_for_work(found)

    def _find_beside(self, situation: Situation) -> list[Stall]:
        """Runs that go on, except for a task which waits for the run before."""
        active = {(row.dag_id, row.run_id, row.task_id) for row in situation.tasks}
        runs = {
            (run.dag_id, run.run_id): run
            for run in list_beside(situation, self._has_failed)
            if run.start_date is not None and situation.now - run.start_date >= MIN_RUN_SECONDS
        }
        # First those of which nothing is known: the others have an answer until they can be asked about again.
        asked = sorted(runs, key=partial(self._questions.is_known, BESIDE))
        stalls = {key: self._explain_beside(runs[key]) for key in asked}
        found = []
        for key in runs:
            stall = stalls[key]
            if stall is not None and (*key, stall.task_id) in active:
                # It waits no longer; another task of the run may.
                self._questions.forget(BESIDE, key)
            elif stall is not None:
                found.append(stall)
        return found

    def _explain_beside(self, run: ActiveDagRun) -> Stall | None:
        if not any(task.waits_for_past for task in ask_tasks(self._questions, self._asks, run.dag_id)):
            return None
        answer = self._questions.ask(
            BESIDE,
            (run.dag_id, run.run_id),
            partial(self._ask_beside, run),
            lifetime=BESIDE_LIFETIME,
            at_most=MAX_BESIDE_PER_READING,
            renew_after=lambda stall: BESIDE_LIFETIME if stall is None else RUN_LIFETIME,
        )
        return None if answer is None else answer.value

    def _is_lasting(self, run: ActiveDagRun, before: dict[RunKey, float] | None, key: RunKey, now: float) -> bool:
        if before is None:
            return run.start_date is not None and now - run.start_date >= MIN_RUN_SECONDS
        return key in before

    def _explain_one(self, run: ActiveDagRun, situation: Situation, since: float) -> Stall | None:
        dag = (situation.dags or {}).get(run.dag_id)
        if dag is not None and dag.is_paused:
            return Stall(run, reasons.DAG_PAUSED, since=since)
        if situation.is_removed(run.dag_id):
            return Stall(run, reasons.DAG_REMOVED, since=since)
        tasks = find_tasks(self._questions, self._asks, run.dag_id)
        if tasks is None:
            # Without them it is not known which task would be next, and another one waits for that one only.
            return None
        answer = self._questions.ask(
            "stalled run",
            (run.dag_id, run.run_id),
            partial(self._ask, run, tasks, since),
            lifetime=RUN_LIFETIME,
            at_most=MAX_RUNS_PER_READING,
        )
        if answer is None or answer.value is None:
            return None
        return answer.value

    def _ask(self, run: ActiveDagRun, tasks: Sequence[Task], since: float) -> Stall:
        """Ask why a run does not go on. Raises ReaderError."""
        rows = self._asks.run_tasks(run.dag_id, run.run_id)
        waiting = {row.task_id: row.map_index for row in rows if row.state is None}
        if not waiting:
            return Stall(run, reasons.SCHEDULER, since=since)
        upstream = list_upstream(tasks)
        task_id = choose_next(upstream, waiting)
        unmet = self._asks.unmet(run.dag_id, run.run_id, task_id, waiting[task_id])
        present = {row.task_id for row in rows if row.state != "removed"}
        missing = upstream.get(task_id, frozenset()) - present if rows.complete else frozenset()
        stall = replace(explain_stall(run, task_id, missing, unmet), since=since)
        if stall.reason is reasons.TRIGGER_RULE:
            return replace(stall, blockers=find_states(upstream.get(task_id, frozenset()), rows))
        if stall.reason is reasons.PAST:
            return self._add_predecessor(stall, next((one.downstream for one in tasks if one.task_id == task_id), ()))
        return stall

    def _ask_beside(self, run: ActiveDagRun) -> Stall | None:
        """Ask whether a task of a run waits for the run before; None where none does. Raises ReaderError."""
        rows = self._asks.run_tasks(run.dag_id, run.run_id)
        states = {row.task_id: row.state for row in rows}
        tasks = {task.task_id: task for task in ask_tasks(self._questions, self._asks, run.dag_id)}
        upstream = list_upstream(tasks.values())
        dependents = [name for name, task in tasks.items() if task.waits_for_past]
        task_id = choose_waiting_for_past(dependents, upstream, states)
        if not task_id:
            return None
        map_index = next(row.map_index for row in rows if row.task_id == task_id)
        unmet = self._asks.unmet(run.dag_id, run.run_id, task_id, map_index)
        stall = explain_stall(run, task_id, (), unmet)
        if stall.reason is not reasons.PAST:
            return None
        ended = [row.end_date for row in rows if row.task_id in upstream.get(task_id, ()) and row.end_date is not None]
        stall = replace(stall, since=max(ended, default=run.start_date), others_go_on=True)
        return self._add_predecessor(stall, tasks[task_id].downstream)

    def _add_predecessor(self, stall: Stall, downstream: Sequence[str]) -> Stall:
        """Add the run before, and what in it the task waits for. Raises ReaderError."""
        runs = self._asks.newest_runs(stall.run.dag_id)
        before = find_predecessor(stall.run, runs)
        if before is None:
            return stall
        found = self._describe_past(stall, before, downstream)
        if before.run_type != MANUAL or found.is_task_lost:
            return found
        # With catchup=True Airflow passes over manual runs. The lists do not say which DAGs have it.
        scheduled = find_predecessor(stall.run, runs, with_manual=False)
        if scheduled is None:
            return found
        return choose_past(found, self._describe_past(stall, scheduled, downstream))

    def _describe_past(self, stall: Stall, before: ActiveDagRun, downstream: Sequence[str]) -> Stall:
        """Say of a run before what in it the task waits for. Raises ReaderError."""
        stall = replace(stall, predecessor=before.run_id, predecessor_state=before.state or "")
        rows = self._asks.run_tasks(stall.run.dag_id, before.run_id)
        return explain_past(stall, downstream, rows) if rows.complete else stall

"""What is observed beyond waiting task instances: runs, DAGs, running and parked task instances, in one reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from exporter.diagnosis import reasons
from exporter.diagnosis.findings import Observations
from exporter.diagnosis.situation import ActiveTaskInstance, Situation
from exporter.diagnosis.waits.dags import explain_dags
from exporter.diagnosis.waits.external import ExternalWaits, SensorKey
from exporter.diagnosis.waits.parked import ParkedContext, RetryRule, Triggerers
from exporter.diagnosis.waits.running import Machine, RunningTasks, Suspicion, find_suspicious, get_process_key
from exporter.diagnosis.waits.waiting import Waiting
from exporter.metrics.reading import Memory
from exporter.sources.airflow.shared import AirflowState
from exporter.sources.airflow.waits.asks import Asks, ask_tasks
from exporter.sources.airflow.waits.dag_facts import DagFacts
from exporter.sources.airflow.waits.external_dags import find_external_waits
from exporter.sources.airflow.waits.past import TaskPast
from exporter.sources.airflow.waits.questions import QuestionBudget
from exporter.sources.airflow.waits.stalled_runs import StalledRuns

POOL_REASONS = (reasons.POOL, reasons.PRIORITY)
"""Reasons of task instances that wait for a slot of their pool."""
SLOT_REASONS = (reasons.PARALLELISM, reasons.WORKERS_FULL)
"""Reasons of task instances that wait for a slot of an executor or a worker."""
MAX_RETRYING_DAGS = 20
"""DAGs with tasks that wait for a retry whose tasks are asked for."""


class Observer:
    """Gathers the observations of each reading."""

    def __init__(
        self, shared: AirflowState, asks: Asks, questions: QuestionBudget, memory: Memory, *, complete: bool
    ) -> None:
        """`complete` says whether all DAGs are read, none left out by a filter."""
        self._shared = shared
        self._asks = asks
        self._questions = questions
        self._stalled = StalledRuns(questions, asks, self._has_failed)
        self._dags = DagFacts(questions, asks, shared, complete=complete)
        self.past = TaskPast(memory, shared.directory)
        """What tasks took in the past."""
        self._first_checks: dict[SensorKey, float] = {}
        self._unconfirmed: frozenset[tuple[str, str]] = frozenset()
        self._processes: dict[str, tuple[str, str]] = {}
        """DAG and task of the processes on the machine that were tries of this Airflow at some time, by their key."""

    def observe(self, situation: Situation, waiting: Waiting, *, is_new: bool) -> Observations:
        """The observations; `is_new` says whether the situation was not looked at before."""
        self.past.take(self._shared.ended_tries)
        schedules = self._dags.gather(situation.now)
        checks = self._note_first_checks(situation)
        external = find_external_waits(situation, checks, self._questions, self._asks)
        stalls = self._stalled.explain(situation, is_new=is_new)
        return Observations(
            stalls=stalls,
            blocked=list(explain_dags(schedules)) if schedules is not None else (),
            suspicions=self._find_suspicious(situation, waiting, external, is_new=is_new),
            parked=self._describe_parked(situation, checks, external),
            chained=self._stalled.chained,
        )

    def _has_failed(self, dag_id: str) -> bool:
        """Whether the last run of a DAG failed."""
        history = self._shared.histories.get(dag_id)
        return history is not None and history.last_state == "failed"

    def _find_suspicious(
        self, situation: Situation, waiting: Waiting, external: ExternalWaits, *, is_new: bool
    ) -> list[Suspicion]:
        machine = self._shared.directory.get_machine()
        running = RunningTasks(
            situation.now,
            situation.tasks,
            self.past.get,
            machine,
            find_crowded_pools(waiting),
            self._name_processes(machine, situation.tasks) if machine is not None else {},
            waits_for_slots(waiting),
            external,
        )
        found = list(find_suspicious(running))
        known = self._unconfirmed
        if is_new:
            self._unconfirmed = frozenset((one.reason.name, one.unconfirmed) for one in found if one.unconfirmed)
        return [one for one in found if not one.unconfirmed or (one.reason.name, one.unconfirmed) in known]

    def _name_processes(self, machine: Machine, tasks: Sequence[ActiveTaskInstance]) -> dict[str, tuple[str, str]]:
        """DAG and task of the processes that are or were tries of this Airflow: others may run on the machine too."""
        known = {key: named for key, named in self._processes.items() if key in machine.processes}
        for row in tasks:
            key = get_process_key(row)
            if key in machine.processes:
                known[key] = (row.dag_id, row.task_id)
        for key in machine.processes:
            named = self._shared.directory.find_try(key)
            if named is not None:
                known[key] = (named.dag_id, named.task_id)
        self._processes = known
        return known

    def _describe_parked(
        self, situation: Situation, checks: Mapping[SensorKey, float], external: ExternalWaits
    ) -> ParkedContext:
        shared, diagnosis = self._shared, self._shared.directory.diagnosis
        classes: dict[tuple[str, str], str] = {}
        for failed in diagnosis.failed_tries if diagnosis is not None else ():
            classes.setdefault((failed.dag_id, failed.task_id), failed.error_class)
        alive = shared.live_triggerers
        return ParkedContext(
            situation.now,
            self.past.get,
            None if alive is None else Triggerers(alive, shared.triggerer_capacity),
            sum(row.state == "deferred" for row in situation.tasks),
            self._read_retry_rules(situation),
            checks,
            classes,
            external,
        )

    def _note_first_checks(self, situation: Situation) -> dict[SensorKey, float]:
        """When rescheduled sensors were first seen to check; between two checks they have other active states."""
        found: dict[SensorKey, float] = {}
        for row in situation.tasks:
            if row.state == "up_for_reschedule" or "Sensor" in row.operator:
                key = (row.dag_id, row.run_id, row.task_id, row.map_index)
                begun = self._first_checks.get(key, row.start_date)
                if begun is not None:
                    found[key] = begun
        self._first_checks = found
        return found

    def _read_retry_rules(self, situation: Situation) -> Mapping[tuple[str, str], RetryRule]:
        """How long the tasks that wait for a retry wait, as far as it is known."""
        retrying = sorted({row.dag_id for row in situation.tasks if row.state == "up_for_retry"})
        return {
            (dag_id, task.task_id): RetryRule(task.retry_delay, task.delay_grows)
            for dag_id in retrying[:MAX_RETRYING_DAGS]
            for task in ask_tasks(self._questions, self._asks, dag_id)
            if task.retry_delay is not None
        }


def find_crowded_pools(waiting: Waiting) -> frozenset[str]:
    """Pools for which task instances wait."""
    return frozenset(row.pool for row, reason in waiting.tasks if reason in POOL_REASONS)


def waits_for_slots(waiting: Waiting) -> bool:
    """Whether task instances wait for a slot of an executor or a worker."""
    return any(reason in SLOT_REASONS for _, reason in waiting.tasks)

"""The reader of waits: it diagnoses what the other readers have read.

It asks Airflow only what no list says, about few objects in each reading: limits of single tasks, runs that do not go
on, DAGs that were paused.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain

from exporter.diagnosis.findings import Finding, Observations, build_findings, name_obstacle
from exporter.diagnosis.reasons import REASONS
from exporter.diagnosis.situation import Situation
from exporter.diagnosis.waits.database import find_obstacle
from exporter.diagnosis.waits.waiting import Waiting
from exporter.metrics.catalogue.api import object_limits, waits
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Change, Memory, Reading
from exporter.sources.airflow.api.details import event_logs
from exporter.sources.airflow.limit_tables import build_limit_tables
from exporter.sources.airflow.reader import ApiReader, ReaderContext
from exporter.sources.airflow.shared import AirflowState
from exporter.sources.airflow.waits.asks import Asks, make_asks
from exporter.sources.airflow.waits.observations import Observer
from exporter.sources.airflow.waits.past import PAST_RETENTION, PAST_SPACE
from exporter.sources.airflow.waits.questions import QuestionBudget
from exporter.sources.airflow.waits.ready import QueuedRuns, ReadyTasks
from exporter.sources.airflow.waits.seconds import Counts, count_waited
from exporter.sources.airflow.waits.task_limits import explain_with_task_limits
from exporter.sources.airflow.waits.unpaused import UnpausedDags

MAX_STALE_SECONDS = 300.0
"""Seconds without a new reading of the task instances after which nothing is said of what waits."""
USUAL_STEP_INTERVALS = 4
"""Intervals of the reader up to which the time since the last reading is a usual one."""


class WaitsReader(ApiReader):
    """Gives each waiting task instance and run its reason, and adds up the seconds waited."""

    name = "waits"
    help = "Why task instances and DAG runs wait, and for which object"
    families = (
        waits.WAITING_TASKS,
        waits.WAITING_RUNS,
        waits.DAG_BLOCKED,
        waits.SUSPICIOUS_TASKS,
        waits.OBJECT_WAITING,
        waits.OBJECT_WAITING_SINCE,
        waits.OBJECT_WAITING_RUNS,
        waits.REASON_INFO,
        *object_limits.FAMILIES,
    )
    needs = ("dags", "runs", "tasks", "pools", "config", "backfills", "import_errors", "assets", "run_history")
    checks = (event_logs.CHECK,)

    def __init__(
        self,
        shared: AirflowState,
        release: tuple[int, ...],
        interval: float,
        *,
        complete: bool,
        asks: Asks,
        memory: Memory,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`complete` says whether the task instances of all DAGs are read, none left out by a filter."""
        self.interval = interval
        self._shared = shared
        self._release = release
        self._complete = complete
        self._asks = asks
        self._questions = QuestionBudget(clock)
        self._observer = Observer(shared, asks, self._questions, memory, complete=complete)
        self._clock = clock
        self._ready = ReadyTasks()
        self._queued = QueuedRuns()
        self._unpaused = UnpausedDags()
        self._looked: float | None = None
        """When the newest reading was diagnosed first."""
        self._seen = 0.0
        self._counted: float | None = None
        """When the newest reading whose seconds were written was diagnosed first."""
        self._position = shared.ended_tries.open(self) if shared.events is not None else 0
        self._counts: dict[Family, Counts] = {}
        """What waited at the last reading."""

    @classmethod
    def build(cls, context: ReaderContext, interval: float) -> WaitsReader:
        """A reader for the Airflow that is connected now."""
        release = tuple(int(part) for part in context.airflow.version.split(".")[:3] if part.isdigit())
        asks = make_asks(context.airflow)
        complete = context.dag_filter.is_everything
        return cls(context.shared, release, interval, asks=asks, memory=context.memory, complete=complete)

    def read(self) -> Reading:
        """Diagnose the newest reading; one that was diagnosed before adds no seconds. Raises ReaderError."""
        situation = self._build_situation()
        if situation is None:
            return Reading(notes=["active task instances were not read yet"])
        if self._is_stale():
            nothing: dict[Family, dict[Labels, float]] = {family: {} for family in self.families}
            return Reading(nothing, notes=["active task instances have not been read for a while"])
        is_new = self._looked is None or self._shared.tasks_read_at != self._seen
        self._questions.begin()
        situation, waiting = explain_with_task_limits(situation, self._questions, self._asks)
        more = name_obstacle(self._observer.observe(situation, waiting, is_new=is_new), situation)
        findings = build_findings(situation, waiting, more)
        self._shared.directory.record_findings(situation.now, findings)
        if is_new and self._shared.events is not None:
            self._note_tries(waiting, situation.now)
        if is_new:
            self._looked, self._seen = self._clock(), situation.now
        counts = count_waiting(waiting, findings)
        note = f"{len(waiting.tasks)} task instances and {len(waiting.runs)} runs wait, {len(findings)} findings"
        tables = {**wait_tables(waiting, findings, more), **build_limit_tables(findings)}
        return Reading(
            tables,
            changes=list(self._add_seconds(counts)) if is_new else [],
            memories=self._observer.past.write(),
            notes=[note],
            moment=situation.now,
            forget={PAST_SPACE: situation.now - PAST_RETENTION},
            after_commit=partial(self._remember, counts if is_new else None),
        )

    def _build_situation(self) -> Situation | None:
        shared = self._shared
        if shared.active_tasks is None:
            return None
        now = shared.tasks_read_at
        return Situation(
            now=now,
            release=self._release,
            tasks=shared.active_tasks,
            runs=shared.active_dag_runs,
            pools=shared.pools,
            dags=self._unpaused.correct(shared.dags, shared.active_tasks, shared.active_dag_runs, now),
            parallelism=shared.parallelism,
            executors=shared.executors,
            executor_aliases=shared.executor_aliases,
            backfill_limits=shared.backfill_limits,
            ready_since=self._ready.note(shared.active_tasks, math.floor(now)) if self._release < (3,) else {},
            queued_since=self._queued.note(shared.active_dag_runs, math.floor(now)) if self._release < (3,) else {},
            workers=shared.directory.workers,
            obstacle=find_obstacle(shared.directory.get_database()),
            complete=self._complete,
        )

    def _note_tries(self, waiting: Waiting, now: float) -> None:
        """Note for the events file how long each try has waited, and for which reason."""
        batch = self._shared.ended_tries.read_from(self._position, self)
        self._position = batch.position
        self._shared.try_waits.note(waiting.tasks, batch.entries, now)

    def _is_stale(self) -> bool:
        """Whether the newest reading was diagnosed long ago: the reader of task instances fails."""
        is_new = self._looked is None or self._shared.tasks_read_at != self._seen
        return not is_new and self._clock() - (self._looked or 0.0) > max(MAX_STALE_SECONDS, 4 * self.interval)

    def _add_seconds(self, counts: Mapping[Family, Counts]) -> Iterator[Change]:
        """The counters of seconds waited since the last reading that was counted."""
        step = 0.0 if self._counted is None else self._clock() - self._counted
        usual = USUAL_STEP_INTERVALS * max(self.interval, 1.0)
        for family, found in counts.items():
            for labels, seconds in count_waited(self._counts.get(family, {}), found, step, usual).items():
                if seconds:
                    yield Change(family, labels, seconds)

    def _remember(self, counts: dict[Family, Counts] | None) -> None:
        """What was written, and counted of a new reading. Seconds that could not be written are counted by the next."""
        self._observer.past.note_written()
        if counts is not None:
            self._counted, self._counts = self._looked, counts


def count_waiting(waiting: Waiting, findings: Sequence[Finding]) -> dict[Family, Counts]:
    """How many task instances wait, by the labels of each counter of seconds."""
    return {
        waits.WAITED_SECONDS: Counter((row.dag_id, reason.name) for row, reason in waiting.tasks),
        waits.OBJECT_WAITED_SECONDS: {(one.reason.name, one.object): one.tasks for one in findings if one.tasks},
    }


def wait_tables(
    waiting: Waiting, findings: Sequence[Finding], more: Observations
) -> dict[Family, Mapping[Labels, float]]:
    """The state families of what waits, does not run, or looks wrong."""
    waiting_runs = ((run.dag_id, reason.name) for run, reason in waiting.runs)
    stalled = ((stall.run.dag_id, stall.reason.name) for stall in more.stalls)
    named = [(one, (one.reason.name, one.object)) for one in findings]
    return {
        waits.WAITING_TASKS: Counter((row.dag_id, reason.name) for row, reason in waiting.tasks),
        waits.WAITING_RUNS: Counter(chain(waiting_runs, stalled)),
        waits.DAG_BLOCKED: {(one.dag_id, one.reason.name): 1 for one in more.blocked if one.dag_id},
        waits.SUSPICIOUS_TASKS: Counter((one.dag_id, one.reason.name) for one in more.suspicions),
        waits.OBJECT_WAITING: {labels: one.tasks for one, labels in named if one.tasks},
        waits.OBJECT_WAITING_SINCE: {labels: one.since for one, labels in named if one.since is not None},
        waits.OBJECT_WAITING_RUNS: {labels: one.runs for one, labels in named if one.runs},
        waits.REASON_INFO: {(one.name, one.setting, one.patience.name.lower()): 1 for one in REASONS},
    }

"""The reader of waits: it diagnoses what the other readers have read.

It asks Airflow only about tasks that no limit in the lists explains, a few per reading: the limits of single tasks are
not in any list.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import NamedTuple

from exporter.diagnosis.findings import Finding, build_findings
from exporter.diagnosis.reasons import MAX_ACTIVE_TIS, REASONS, SCHEDULER
from exporter.diagnosis.situation import ActiveTaskInstance, Situation
from exporter.diagnosis.waits.waiting import Waiting, explain
from exporter.metrics.catalogue.api import object_limits, waits
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Change, ReaderError, Reading
from exporter.sources.airflow.api.objects.dependencies import TASK_CONCURRENCY, read_unmet_dependencies
from exporter.sources.airflow.limit_tables import build_limit_tables
from exporter.sources.airflow.reader import ApiReader, ReaderContext
from exporter.sources.airflow.shared import AirflowState

log = logging.getLogger(__name__)

MAX_QUERIES_PER_READING = 5
"""Tasks whose unmet dependencies are asked for in one reading."""
MIN_WAIT_SECONDS = 30.0
"""A task instance is asked for if it has been scheduled for this long: the scheduler may not have come to it before."""
ANSWER_LIFETIME = 300.0
"""Seconds for which an answer about a task holds."""
MAX_STALE_SECONDS = 300.0
"""Seconds without a new reading of the task instances after which nothing is said of what waits."""
MAX_STEP_INTERVALS = 4
"""Intervals of the reader after which the time since the last reading is not counted as waited: nothing was seen."""


TaskId = tuple[str, str]
"""DAG and task."""


class Answer(NamedTuple):
    """What Airflow said about a task."""

    at_limit: bool
    """Whether a limit of the task itself stops it."""
    read_at: float
    """Monotonic seconds."""


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
    needs = ("dags", "runs", "tasks", "pools", "config", "backfills")

    def __init__(
        self,
        shared: AirflowState,
        release: tuple[int, ...],
        interval: float,
        *,
        complete: bool,
        read_unmet: Callable[[str, str, str, int], Sequence[str]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`complete` says whether the task instances of all DAGs are read, none left out by a filter.

        `read_unmet` reads the names of the dependencies that a task instance does not meet. It raises ReaderError.
        """
        self.interval = interval
        self._shared = shared
        self._release = release
        self._complete = complete
        self._read_unmet = read_unmet
        self._answers: dict[TaskId, Answer] = {}
        self._clock = clock
        self._last: float | None = None
        self._seen = 0.0

    @classmethod
    def build(cls, context: ReaderContext, interval: float) -> WaitsReader:
        """A reader for the Airflow that is connected now."""
        release = tuple(int(part) for part in context.airflow.version.split(".")[:3] if part.isdigit())
        read_unmet = partial(read_unmet_dependencies, context.airflow)
        return cls(context.shared, release, interval, read_unmet=read_unmet, complete=context.dag_filter.is_everything)

    def read(self) -> Reading:
        """Diagnose the newest reading; one that was diagnosed before adds no seconds. Raises ReaderError."""
        situation = self._build_situation()
        if situation is None:
            return Reading(notes=["active task instances were not read yet"])
        if self._is_stale():
            nothing: dict[Family, dict[Labels, float]] = {family: {} for family in self.families}
            return Reading(nothing, notes=["active task instances have not been read for a while"])
        waiting = self._apply_answers(explain(situation), situation.now)
        findings = build_findings(situation, waiting)
        self._shared.directory.record_findings(situation.now, findings)
        changes = list(add_seconds(waiting, findings, self._take_step()))
        note = f"{len(waiting.tasks)} task instances and {len(waiting.runs)} runs wait, for {len(findings)} objects"
        tables = {**wait_tables(waiting, findings), **build_limit_tables(findings)}
        return Reading(tables, changes=changes, notes=[note])

    def _build_situation(self) -> Situation | None:
        shared = self._shared
        if shared.active_tasks is None:
            return None
        return Situation(
            now=shared.tasks_read_at,
            release=self._release,
            tasks=shared.active_tasks,
            runs=shared.active_dag_runs,
            pools=shared.pools,
            dags=shared.dags,
            parallelism=shared.parallelism,
            executors=shared.executors,
            backfill_limits=shared.backfill_limits,
            complete=self._complete,
        )

    def _apply_answers(self, waiting: Waiting, now: float) -> Waiting:
        """Replace the reason of task instances that a limit of the task stops."""
        unexplained: dict[TaskId, ActiveTaskInstance] = {}
        for row, reason in waiting.tasks:
            if reason is SCHEDULER and now - (row.scheduled_when or 0.0) >= MIN_WAIT_SECONDS:
                unexplained.setdefault((row.dag_id, row.task_id), row)
        self._ask(unexplained)
        limited = {task for task, answer in self._answers.items() if answer.at_limit}
        tasks = [
            (row, MAX_ACTIVE_TIS if reason is SCHEDULER and (row.dag_id, row.task_id) in limited else reason)
            for row, reason in waiting.tasks
        ]
        return waiting._replace(tasks=tasks)

    def _ask(self, unexplained: Mapping[TaskId, ActiveTaskInstance]) -> None:
        now = self._clock()
        self._answers = {
            task: answer
            for task, answer in self._answers.items()
            if task in unexplained and now - answer.read_at < ANSWER_LIFETIME
        }
        new = [task for task in unexplained if task not in self._answers]
        for task in new[:MAX_QUERIES_PER_READING]:
            row = unexplained[task]
            try:
                unmet = self._read_unmet(row.dag_id, row.run_id, row.task_id, row.map_index)
            except ReaderError as error:
                log.debug("why %s.%s waits cannot be read: %s", *task, error)
                unmet = ()
            self._answers[task] = Answer(TASK_CONCURRENCY in unmet, now)

    def _is_stale(self) -> bool:
        """Whether the newest reading was diagnosed long ago: the reader of task instances fails."""
        is_new = self._last is None or self._shared.tasks_read_at != self._seen
        return not is_new and self._clock() - (self._last or 0.0) > max(MAX_STALE_SECONDS, 4 * self.interval)

    def _take_step(self) -> float:
        """Seconds since the last reading, on this machine's clock; 0 where nothing new was read, or after a gap."""
        now, newest = self._clock(), self._shared.tasks_read_at
        step = 0.0 if self._last is None or newest == self._seen else now - self._last
        if self._last is None or newest != self._seen:
            self._last, self._seen = now, newest
        return step if step <= MAX_STEP_INTERVALS * max(self.interval, 1.0) else 0.0


def wait_tables(waiting: Waiting, findings: Iterable[Finding]) -> dict[Family, dict[Labels, float]]:
    """The state families of what waits."""
    tasks: Counter[Labels] = Counter((row.dag_id, reason.name) for row, reason in waiting.tasks)
    runs: Counter[Labels] = Counter((run.dag_id, reason.name) for run, reason in waiting.runs)
    objects: dict[Labels, float] = {}
    since: dict[Labels, float] = {}
    found = list(findings)
    for finding in found:
        labels = (finding.reason.name, finding.object)
        if finding.tasks:
            objects[labels] = finding.tasks
        if finding.since is not None:
            since[labels] = finding.since
    return {
        waits.WAITING_TASKS: dict(tasks),
        waits.WAITING_RUNS: dict(runs),
        waits.OBJECT_WAITING: objects,
        waits.OBJECT_WAITING_SINCE: since,
        waits.OBJECT_WAITING_RUNS: {(one.reason.name, one.object): one.runs for one in found if one.runs},
        waits.REASON_INFO: {(one.name, one.setting, one.patience.name.lower()): 1 for one in REASONS},
    }


def add_seconds(waiting: Waiting, findings: Iterable[Finding], seconds: float) -> Iterator[Change]:
    """The counters of seconds waited: what waits now has waited since the last reading."""
    if seconds <= 0:
        return
    tasks: Mapping[Labels, int] = Counter((row.dag_id, reason.name) for row, reason in waiting.tasks)
    objects = {(one.reason.name, one.object): one.tasks for one in findings if one.tasks}
    yield from (
        Change(family, labels, count * seconds)
        for family, labels, count in chain(
            ((waits.WAITED_SECONDS, labels, count) for labels, count in tasks.items()),
            ((waits.OBJECT_WAITED_SECONDS, labels, count) for labels, count in objects.items()),
        )
    )

"""What tasks and runs took in the past, as far as this process has seen them end."""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

import msgspec

from exporter.diagnosis.costs.schedule import count_skipped, get_period, parse_schedule
from exporter.diagnosis.waits.running import NO_PAST, Past
from exporter.metrics.reading import Memories, Memory
from exporter.metrics.saved_entries import decode_all
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.counting.decision import EndedTry, TryOutcome
from exporter.sources.airflow.ended_log import EndedLog
from exporter.sources.directory import Directory

PAST_SPACE = "waits.past"
"""Where the state file holds what the successful tries of each task took."""
PAST_RETENTION = 30 * 86_400.0
"""Seconds for which the past of a task is remembered after its last successful try."""
MAX_TASKS = 20_000
"""Tasks whose past is remembered; the one whose last try ended longest ago is forgotten first."""
TRIES_PER_TASK = 30
RUNS_PER_DAG = 5

MIN_CPU_TRY_SECONDS = 1.0
"""Seconds that a try takes at least for its share of the CPU to say something."""
MAX_PENDING = 2_000
"""Ended tries whose CPU is not known yet: the machine counts it a moment later."""


class TaskPast:
    """How long the successful tries of each task took."""

    def __init__(self, memory: Memory, directory: Directory) -> None:
        """`directory` has what the tries on this machine used."""
        self._seconds = {key: array("d", seconds[-TRIES_PER_TASK:]) for key, seconds in recall_past(memory).items()}
        self._ended: dict[tuple[str, str], float] = {}
        """When a try of each task was last successful (Unix seconds), since the start; the one longest ago first."""
        self._changed: set[tuple[str, str]] = set()
        """Tasks whose past is not written yet."""
        self._position = 0
        self._directory = directory
        self._pending: dict[str, tuple[str, str, float]] = {}
        """DAG, task and seconds of ended tries, by UUID."""

    def take(self, ended: EndedLog[EndedTry]) -> None:
        """Learn from the tries that ended since the last call."""
        batch = ended.read_from(self._position, self)
        self._position = batch.position
        for entry in batch.entries:
            row = entry.row
            if entry.outcome is not TryOutcome.SUCCESS or row.start_date is None or row.end_date is None:
                continue
            key = (row.dag_id, row.task_id)
            seconds = max(0.0, row.end_date - row.start_date)
            if row.uuid and seconds >= MIN_CPU_TRY_SECONDS:
                self._pending[row.uuid] = (*key, seconds)
            known = self._seconds.pop(key, None) or array("d")
            self._seconds[key] = known
            del known[: max(0, len(known) + 1 - TRIES_PER_TASK)]
            known.append(round(seconds, 1))
            self._ended.pop(key, None)
            self._ended[key] = row.end_date
            self._changed.add(key)
        if batch.entries:
            self._forget()
        self._take_cpu()

    def _forget(self) -> None:
        """Forget what is too much, and the tasks that ended last so long ago that the state file has forgotten them."""
        for key in list(self._seconds)[: max(0, len(self._seconds) - MAX_TASKS)]:
            del self._seconds[key]
            self._ended.pop(key, None)
        newest = max(self._ended.values(), default=0.0)
        while self._ended and newest - self._ended[oldest := next(iter(self._ended))] > PAST_RETENTION:
            del self._ended[oldest]
            self._seconds.pop(oldest, None)

    def _take_cpu(self) -> None:
        """Bring together how long tries took, and the CPU that they used."""
        for uuid, (dag_id, task_id, seconds) in list(self._pending.items()):
            cpu_seconds = self._directory.take_try_cpu(uuid)
            if cpu_seconds is not None:
                self._directory.record_cpu((dag_id, task_id), cpu_seconds, seconds)
                del self._pending[uuid]
        for uuid in list(self._pending)[: max(0, len(self._pending) - MAX_PENDING)]:
            del self._pending[uuid]

    def write(self) -> Memories:
        """What the state file is to remember, and does not have yet."""
        encode = msgspec.msgpack.Encoder().encode
        entries: dict[bytes, bytes | None] = {
            encode(key): encode(list(self._seconds[key])) for key in self._changed if key in self._seconds
        }
        return {PAST_SPACE: entries} if entries else {}

    def note_written(self) -> None:
        """Note that the state file has what `write` returned."""
        self._changed.clear()

    def get(self, dag_id: str, task_id: str) -> Past:
        """The past of a task."""
        seconds = self._seconds.get((dag_id, task_id))
        return NO_PAST if seconds is None else Past(seconds, self._directory.get_cpu_share(dag_id, task_id))


def recall_past(memory: Memory) -> dict[tuple[str, str], list[float]]:
    """What the state file remembers of each task."""
    found = memory.recall_all(PAST_SPACE)
    decode_key = msgspec.msgpack.Decoder(tuple[str, str]).decode
    keys = decode_all(memory, PAST_SPACE, {key: key for key in found}, decode_key)
    decode = msgspec.msgpack.Decoder(list[float]).decode
    known = decode_all(memory, PAST_SPACE, {key: found[key] for key in keys}, decode)
    return {keys[key]: seconds for key, seconds in known.items()}


class EndedRun(NamedTuple):
    """A scheduled run that ended. Times are Unix seconds."""

    run_after: float
    seconds: float | None
    """How long it took, if it was successful."""


class RunPast:
    """How long the last scheduled runs of each DAG took, and how far apart its runs are."""

    def __init__(self) -> None:
        self.newest: dict[str, float] = {}
        """When the newest run of each DAG's schedule was due, in Unix seconds."""
        self.periods: dict[str, float] = {}
        """Seconds between two scheduled runs, by DAG: the mean of a schedule that is understood, of others the
        shortest time that was seen."""
        self._runs: dict[str, deque[EndedRun]] = {}
        self._dags: Mapping[str, Dag] = {}
        self._schedules: dict[str, str] = {}
        self._changed: dict[str, float] = {}
        """When the last run of a DAG's earlier schedule was due, in Unix seconds."""
        self._position = 0

    def take(self, ended: EndedLog[DagRun], active: Iterable[DagRun], dags: Mapping[str, Dag]) -> None:
        """Learn from the runs that ended since the last call, from active ones, and from when the next is due."""
        if dags is not self._dags:
            self._take_dags(dags)
        batch = ended.read_from(self._position, self)
        self._position = batch.position
        for run in (*batch.entries, *active):
            if run.dag_id in dags and run.run_type == "scheduled" and run.run_after is not None:
                self._note_end(run, run.run_after)
                self._note_run(run, run.run_after)
        for dag_id, newest in self.newest.items():
            next_run = dags[dag_id].next_run
            if next_run is not None:
                self._note_gap(dag_id, next_run - newest)

    def _take_dags(self, dags: Mapping[str, Dag]) -> None:
        for dag_id in [dag_id for dag_id in self._schedules if dag_id not in dags]:
            for known in (self.newest, self.periods, self._runs, self._schedules, self._changed):
                known.pop(dag_id, None)
        for dag in dags.values():
            if self._schedules.get(dag.dag_id) != dag.schedule:
                self._take_schedule(dag)
        self._dags = dags

    def _take_schedule(self, dag: Dag) -> None:
        """Start with the schedule of a DAG that is new or was changed: its runs so far say nothing of this one."""
        newest = self.newest.pop(dag.dag_id, None)
        if newest is not None:
            self._changed[dag.dag_id] = newest
        self._schedules[dag.dag_id] = dag.schedule
        schedule = parse_schedule(dag.schedule)
        period = get_period(schedule) if schedule is not None else None
        if period is None:
            self.periods.pop(dag.dag_id, None)
        else:
            self.periods[dag.dag_id] = period

    def _note_end(self, run: DagRun, run_after: float) -> None:
        if run.end_date is not None and run.start_date is not None:
            runs = self._runs.setdefault(run.dag_id, deque(maxlen=RUNS_PER_DAG))
            took = run.end_date - run.start_date if run.state == "success" else None
            runs.append(EndedRun(run_after, took))

    def _note_run(self, run: DagRun, run_after: float) -> None:
        if run_after <= self._changed.get(run.dag_id, -math.inf):
            return
        before = self.newest.get(run.dag_id)
        self.newest[run.dag_id] = run_after if before is None else max(run_after, before)
        if before is not None:
            self._note_gap(run.dag_id, abs(run_after - before))
        if run.logical_date is not None:
            # A run that covers a data interval is due when the interval ends.
            self._note_gap(run.dag_id, run_after - run.logical_date)

    def _note_gap(self, dag_id: str, seconds: float) -> None:
        """Note a time between two runs of a schedule that is not understood. The shortest holds."""
        if seconds > 0 and parse_schedule(self._schedules[dag_id]) is None:
            self.periods[dag_id] = min(seconds, self.periods.get(dag_id, seconds))

    def get_durations(self) -> dict[str, list[float]]:
        """Seconds that the last successful scheduled runs took, by DAG."""
        return {dag_id: [run.seconds for run in runs if run.seconds is not None] for dag_id, runs in self._runs.items()}

    def count_skipped(self, dag_id: str) -> int:
        """Intervals for which no run was made between the last scheduled runs of a DAG; in doubt they do not count."""
        changed = self._changed.get(dag_id, -math.inf)
        moments = sorted({run.run_after for run in self._runs.get(dag_id, ()) if run.run_after > changed})
        return sum(self._count_between(dag_id, before, after) for before, after in pairwise(moments))

    def _count_between(self, dag_id: str, before: float, after: float) -> int:
        schedule, period = parse_schedule(self._schedules[dag_id]), self.periods.get(dag_id)
        if schedule is not None:
            return count_skipped(schedule, before, after) or 0
        return max(0, round((after - before) / period) - 1) if period else 0

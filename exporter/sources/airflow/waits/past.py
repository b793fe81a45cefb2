"""What tasks and runs took in the past, as far as this process has seen them end."""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

import msgspec

from exporter.diagnosis.waits.running import NO_PAST, Past
from exporter.metrics.reading import Memories, Memory
from exporter.metrics.saved_entries import decode_all
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.counting.decision import EndedTry, TryOutcome
from exporter.sources.airflow.ended_log import EndedLog
from exporter.sources.airflow.waits.schedule import parse_period
from exporter.sources.directory import Directory

PAST_SPACE = "waits.past"
"""Where the state file holds what the successful tries of each task took."""
PAST_RETENTION = 30 * 86_400.0
"""Seconds for which the past of a task is remembered after its last successful try."""
MAX_TASKS = 20_000
"""Tasks whose past is remembered; the one that was seen first is forgotten first."""
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
            known = self._seconds.get(key)
            if known is None:
                if len(self._seconds) >= MAX_TASKS:
                    del self._seconds[next(iter(self._seconds))]
                known = self._seconds[key] = array("d")
            del known[: max(0, len(known) + 1 - TRIES_PER_TASK)]
            known.append(round(seconds, 1))
            self._changed.add(key)
        self._take_cpu()

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
        """What the state file is to remember since the last call."""
        changed, self._changed = self._changed, set()
        encode = msgspec.msgpack.Encoder().encode
        entries: dict[bytes, bytes | None] = {
            encode(key): encode(list(self._seconds[key])) for key in changed if key in self._seconds
        }
        return {PAST_SPACE: entries} if entries else {}

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


class Period(NamedTuple):
    """The shortest time between two runs of a schedule that was seen."""

    schedule: str
    seconds: float


class RunPast:
    """How long the last scheduled runs of each DAG took, and how far apart its runs are."""

    def __init__(self) -> None:
        self.newest: dict[str, float] = {}
        """When the newest scheduled run of each DAG was due, in Unix seconds."""
        self._runs: dict[str, deque[EndedRun]] = {}
        self._periods: dict[str, Period] = {}
        self._position = 0

    @property
    def periods(self) -> Mapping[str, float]:
        """Seconds between two scheduled runs, by DAG."""
        return {dag_id: period.seconds for dag_id, period in self._periods.items()}

    def take(self, ended: EndedLog[DagRun], active: Iterable[DagRun], dags: Mapping[str, Dag]) -> None:
        """Learn from the runs that ended since the last call, from active ones, and from when the next is due."""
        batch = ended.read_from(self._position, self)
        self._position = batch.position
        for run in (*batch.entries, *active):
            dag = dags.get(run.dag_id)
            if dag is None or run.run_type != "scheduled" or run.run_after is None:
                continue
            if run.logical_date is not None:
                # A run that covers a data interval is due when the interval ends.
                self._note_period(dag, run.run_after - run.logical_date)
            self._note_run(dag, run.run_after)
            if run.end_date is not None and run.start_date is not None:
                runs = self._runs.setdefault(run.dag_id, deque(maxlen=RUNS_PER_DAG))
                took = run.end_date - run.start_date if run.state == "success" else None
                runs.append(EndedRun(run.run_after, took))
        for dag_id, newest in self.newest.items():
            dag = dags.get(dag_id)
            if dag is not None and dag.next_run is not None:
                self._note_period(dag, dag.next_run - newest)
        for run in active:
            if run.dag_id not in self._periods and (dag := dags.get(run.dag_id)) is not None:
                self._note_period(dag, 0.0)
        self._forget(dags)

    def _note_run(self, dag: Dag, run_after: float) -> None:
        before = self.newest.get(dag.dag_id)
        if before is not None:
            self._note_period(dag, abs(run_after - before))
        self.newest[dag.dag_id] = run_after if before is None else max(run_after, before)

    def _note_period(self, dag: Dag, seconds: float) -> None:
        """Note a time between two runs. The shortest holds, until the schedule changes."""
        known = self._periods.get(dag.dag_id)
        if known is None or known.schedule != dag.schedule:
            seconds = parse_period(dag.schedule) or seconds
        elif known.seconds <= seconds:
            return
        if seconds > 0:
            self._periods[dag.dag_id] = Period(dag.schedule, seconds)

    def _forget(self, dags: Mapping[str, Dag]) -> None:
        for dag_id in [dag_id for dag_id in (*self.newest, *self._periods) if dag_id not in dags]:
            self.newest.pop(dag_id, None)
            self._runs.pop(dag_id, None)
            self._periods.pop(dag_id, None)

    def get_durations(self) -> dict[str, list[float]]:
        """Seconds that the last successful scheduled runs took, by DAG."""
        return {dag_id: [run.seconds for run in runs if run.seconds is not None] for dag_id, runs in self._runs.items()}

    def count_skipped(self) -> dict[str, int]:
        """Intervals for which no run was made between the last scheduled runs, by DAG."""
        found = {}
        for dag_id, runs in self._runs.items():
            moments, period = sorted(run.run_after for run in runs), self._periods.get(dag_id)
            if period is not None and len(moments) > 1:
                gaps = [later - earlier for earlier, later in pairwise(moments)]
                found[dag_id] = sum(max(0, round(gap / period.seconds) - 1) for gap in gaps)
        return {dag_id: count for dag_id, count in found.items() if count}

"""Everything that is remembered of what DAGs cost, and what each reading of Airflow adds to it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from exporter.diagnosis.costs.findings import DagCosts, Surroundings
from exporter.diagnosis.costs.intervals import Intervals, ScheduledDag
from exporter.diagnosis.costs.rows import Cost, CostKind, InstanceRow, RunRow
from exporter.diagnosis.costs.runs import RunBook, RunRecord
from exporter.diagnosis.costs.schedule import get_period, parse_schedule
from exporter.diagnosis.costs.sensors import POKE, SensorTime
from exporter.diagnosis.costs.starting import StartCost
from exporter.diagnosis.costs.window import HourWindow

MAX_RUNS_PER_DAG = 10
"""Runs of each DAG of which tries and duration are remembered."""


class Seen(NamedTuple):
    """What one reading shows, and what ended since the one before."""

    now: float
    """When Airflow was read, in Unix seconds by the clock of its server."""
    tries: Sequence[InstanceRow] = ()
    """Tries that ended."""
    ends: Sequence[tuple[InstanceRow, bool]] = ()
    """Task instances that reached a terminal state, and whether each had a process."""
    ended_runs: Sequence[RunRow] = ()
    active_tasks: Sequence[InstanceRow] = ()
    active_runs: Sequence[RunRow] = ()
    dags: Mapping[str, ScheduledDag] | None = None
    """All DAGs; None where they were not read yet."""


@dataclass(slots=True)
class DagMemory:
    """The last runs of a DAG, the newest at the end."""

    durations: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_RUNS_PER_DAG))
    """Seconds that scheduled runs took."""
    records: deque[RunRecord] = field(default_factory=lambda: deque(maxlen=2))
    """What happened in them."""
    runs_without_work: int = 0
    idle_run_seconds: float = 0.0


class CostBook:
    """Adds up costs from reading to reading."""

    def __init__(self) -> None:
        self.starting = StartCost()
        self._runs = RunBook()
        self._sensors = SensorTime()
        self._intervals = Intervals()
        self._dags: dict[str, DagMemory] = {}
        self._short, self._poked, self._skipped = HourWindow(), HourWindow(), HourWindow()

    def add(self, seen: Seen) -> Iterator[Cost]:
        """What the DAGs have cost since the last reading."""
        for window in (self._short, self._poked, self._skipped):
            window.begin(seen.now)
        if seen.dags is not None:
            self._dags = {dag_id: one for dag_id, one in self._dags.items() if dag_id in seen.dags}
        self._runs.begin(chain(seen.active_runs, seen.ended_runs), seen.now)
        yield from self._add_tries(seen)
        yield from self._add_sensors(seen)
        yield from self._add_runs(seen)

    def _add_tries(self, seen: Seen) -> Iterator[Cost]:
        self.starting.learn(seen.tries)
        for row, gap in self._runs.add_tries(seen.tries, seen.active_tasks):
            yield Cost(CostKind.OVERHEAD, row.dag_id, self.starting.get_start_seconds(row) + gap)
            if self.starting.is_short(row):
                self._runs.note_short(row)
                self._short.add(row.dag_id)
                yield Cost(CostKind.SHORT_TRY, row.dag_id)
        for row, ran in seen.ends:
            self._runs.add_end(row, ran=ran)

    def _add_sensors(self, seen: Seen) -> Iterator[Cost]:
        for held in self._sensors.update(seen.tries, seen.active_tasks, seen.now):
            if held.mode == POKE:
                self._poked.add(held.dag_id, held.seconds)
            yield Cost(CostKind.SENSOR, held.dag_id, held.seconds, held.mode)

    def _add_runs(self, seen: Seen) -> Iterator[Cost]:
        made = chain(seen.active_runs, seen.ended_runs)
        for dag_id, times in self._intervals.find_skipped(seen.dags or {}, made):
            self._skipped.add(dag_id, times)
            yield Cost(CostKind.SKIPPED_INTERVAL, dag_id, times)
        self._runs.end(seen.ended_runs)
        for run, record in self._runs.take_settled(seen.now):
            if self._remember(run, record):
                yield Cost(CostKind.RUN_WITHOUT_WORK, run.dag_id)

    def _remember(self, run: RunRow, record: RunRecord) -> bool:
        """Remember a run that ended; whether it succeeded without any work."""
        memory = self._dags.setdefault(run.dag_id, DagMemory())
        duration = max(0.0, (run.end_date or 0.0) - (run.start_date or 0.0)) if run.start_date else 0.0
        if run.run_type == "scheduled":
            memory.durations.append(duration)
        memory.records.append(record)
        without_work = run.state == "success" and record.did_nothing
        if without_work:
            memory.runs_without_work += 1
            memory.idle_run_seconds += duration
        elif record.whole:
            memory.runs_without_work, memory.idle_run_seconds = 0, 0.0
        return without_work

    def describe(self, dags: Mapping[str, ScheduledDag]) -> Iterator[DagCosts]:
        """What each DAG that is not paused has cost, where there is anything to say."""
        short, poked, skipped = self._short.sum(), self._poked.sum(), self._skipped.sum()
        active: dict[str, RunRecord] = {}
        for record in self._runs.list_active():
            if record.tries > (active[record.dag_id].tries if record.dag_id in active else 0):
                active[record.dag_id] = record
        for dag_id in {*self._dags, *short, *poked, *skipped, *active}:
            dag = dags.get(dag_id)
            if dag is None or dag.is_paused:
                continue
            memory = self._dags.get(dag_id) or DagMemory()
            largest = max([*memory.records, *filter(None, [active.get(dag_id)])], key=get_tries, default=None)
            schedule = parse_schedule(dag.schedule)
            task = max(largest.short_tasks, key=largest.short_tasks.__getitem__, default="") if largest else ""
            yield DagCosts(
                dag_id,
                dag.max_active_runs,
                get_period(schedule) if schedule else None,
                largest.tries if largest else 0.0,
                largest.short_tries if largest else 0.0,
                short.get(dag_id, 0.0),
                task,
                self.starting.get_median((dag_id, task)),
                poked.get(dag_id, 0.0),
                tuple(memory.durations),
                skipped.get(dag_id, 0.0),
                memory.runs_without_work,
                memory.idle_run_seconds,
            )

    def get_surroundings(self, now: float, slots: float | None) -> Surroundings:
        """What is known of the whole Airflow; `slots` is None where unlimited or not known."""
        return Surroundings(self._short.get_observed(now), slots, self.starting.queued, self.starting.running)


def get_tries(record: RunRecord) -> int:
    """How many tries of a run ended."""
    return record.tries

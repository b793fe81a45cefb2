"""The reader of costs: what it takes to run the tasks, beside their work. It asks Airflow nothing."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping

from exporter.diagnosis.costs.book import CostBook, Seen
from exporter.diagnosis.costs.findings import find_costs
from exporter.diagnosis.costs.parsing import find_slow_files, list_files
from exporter.diagnosis.costs.rows import Cost, CostKind
from exporter.metrics.catalogue.api import costs
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Change, Reading
from exporter.sources.airflow.counting.rows import has_run
from exporter.sources.airflow.reader import ApiReader, ReaderContext
from exporter.sources.airflow.shared import AirflowState

COUNTERS: Mapping[CostKind, Family] = {
    CostKind.OVERHEAD: costs.OVERHEAD_SECONDS,
    CostKind.SENSOR: costs.SENSOR_SECONDS,
    CostKind.SHORT_TRY: costs.SHORT_TRIES,
    CostKind.RUN_WITHOUT_WORK: costs.RUNS_ALL_SKIPPED,
    CostKind.SKIPPED_INTERVAL: costs.SKIPPED_INTERVALS,
}


class CostsReader(ApiReader):
    """Adds up what tries and runs that ended have cost beside their work, and says what costs more than it needs to."""

    name = "costs"
    help = "What DAGs cost beside their work: starts, sensors, skipped runs and intervals"
    families = (costs.LEAST_OVERHEAD,)
    needs = ("dags", "runs", "tasks", "config")

    def __init__(self, shared: AirflowState, interval: float) -> None:
        self.interval = interval
        self._shared = shared
        self._tries = shared.ended_tries.open(self)
        self._ends = shared.terminal_states.open(self)
        self._runs = shared.ended_runs.open(self)
        self._book = CostBook()
        self._uncommitted: defaultdict[tuple[Family, Labels], float] = defaultdict(float)
        """What is not in the state file yet: the next reading counts it again if this one cannot be committed."""

    @classmethod
    def build(cls, context: ReaderContext, interval: float) -> CostsReader:
        """A reader for the Airflow that is connected now."""
        return cls(context.shared, interval)

    def read(self) -> Reading:
        """Add what ended since the last reading."""
        if self._shared.active_tasks is None:
            return Reading(notes=["active task instances were not read yet"])
        seen = self._take_seen()
        for family, labels, value in map(to_change, self._book.add(seen)):
            self._uncommitted[family, labels] += value
        findings = find_costs(
            self._book.describe(self._shared.dags or {}),
            self._book.get_surroundings(seen.now, get_slots(self._shared.parallelism)),
            self._shared.directory.growing_tasks,
        )
        files = list_files(self._shared.dags or {}, self._shared.directory.read_parse_durations())
        findings += find_slow_files(files)
        self._shared.directory.record_costs(findings)
        note = f"{len(seen.tries)} tries and {len(seen.ended_runs)} runs ended, {len(findings)} findings"
        changes = [Change(*counter, value) for counter, value in self._uncommitted.items()]
        after_commit = self._uncommitted.clear
        return Reading({costs.LEAST_OVERHEAD: self._least()}, changes, notes=[note], after_commit=after_commit)

    def _take_seen(self) -> Seen:
        shared = self._shared
        tries = shared.ended_tries.read_from(self._tries, self)
        ends = shared.terminal_states.read_from(self._ends, self)
        runs = shared.ended_runs.read_from(self._runs, self)
        self._tries, self._ends, self._runs = tries.position, ends.position, runs.position
        return Seen(
            now=shared.tasks_read_at,
            tries=[one.row for one in tries.entries],
            ends=[(one.row, has_run(one.row)) for one in ends.entries],
            ended_runs=runs.entries,
            active_tasks=shared.active_tasks or (),
            active_runs=shared.active_dag_runs,
            dags=shared.dags,
        )

    def _least(self) -> dict[Labels, float]:
        phases = zip(costs.PHASES, (self._book.starting.queued, self._book.starting.running), strict=True)
        return {(phase,): seconds for phase, seconds in phases if seconds is not None}


def to_change(cost: Cost) -> Change:
    """The change of a counter that a cost makes."""
    labels = (cost.dag_id, cost.mode) if cost.kind is CostKind.SENSOR else (cost.dag_id,)
    return Change(COUNTERS[cost.kind], labels, cost.value)


def get_slots(parallelism: float | None) -> float | None:
    """How many tasks run at once at most; None where it is not known or unlimited."""
    return None if parallelism is None or math.isinf(parallelism) else parallelism

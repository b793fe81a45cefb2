"""Which times of its schedule a DAG left out: found between two scheduled runs that follow each other.

With catchup=False Airflow goes on with the newest time when it can make a run again. Nothing is counted from before a
DAG was first seen, over a pause, or where its schedule changed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple, Protocol

from exporter.diagnosis.costs.rows import RunRow
from exporter.diagnosis.costs.schedule import count_skipped, parse_schedule


class ScheduledDag(Protocol):
    """A DAG."""

    @property
    def dag_id(self) -> str: ...
    @property
    def is_paused(self) -> bool: ...
    @property
    def schedule(self) -> str: ...
    @property
    def max_active_runs(self) -> int | None: ...


class LastRun(NamedTuple):
    """The newest scheduled run that was seen."""

    schedule: str
    logical_date: float
    """Unix seconds."""


class Intervals:
    """The newest scheduled run of each DAG."""

    def __init__(self) -> None:
        self._newest: dict[str, LastRun] = {}

    def find_skipped(self, dags: Mapping[str, ScheduledDag], runs: Iterable[RunRow]) -> Iterator[tuple[str, int]]:
        """Each DAG with times that were left out, and how many; `runs` are all that were made since the last call.

        Runs that were seen before do no harm.
        """
        found: defaultdict[str, set[float]] = defaultdict(set)
        for run in runs:
            if run.run_type == "scheduled" and run.logical_date is not None:
                found[run.dag_id].add(run.logical_date)
        for dag_id in [dag_id for dag_id in self._newest if dag_id not in dags or dags[dag_id].is_paused]:
            del self._newest[dag_id]
        for dag_id, dates in found.items():
            dag = dags.get(dag_id)
            if dag is not None and not dag.is_paused:
                skipped = self._advance(dag, sorted(dates))
                if skipped:
                    yield dag_id, skipped

    def _advance(self, dag: ScheduledDag, dates: list[float]) -> int:
        last = self._newest.get(dag.dag_id)
        if last is None or last.schedule != dag.schedule:
            self._newest[dag.dag_id] = LastRun(dag.schedule, dates[-1])
            return 0
        schedule = parse_schedule(dag.schedule)
        newest, skipped = last.logical_date, 0
        for moment in dates:
            if moment > newest:
                skipped += (count_skipped(schedule, newest, moment) or 0) if schedule else 0
                newest = moment
        self._newest[dag.dag_id] = LastRun(dag.schedule, newest)
        return skipped

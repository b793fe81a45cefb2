"""When task instances were first seen ready to run, and runs queued, for Airflow 2, which does not say it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from exporter.diagnosis.situation import ActiveDagRun, ActiveTaskInstance

READY = ("scheduled", "queued", "running")
"""States of a task instance that waits for a slot or has one."""

Key = tuple[str, str, str, int]
"""DAG, run, task and map index."""


class Sighting(NamedTuple):
    """How a task instance was seen last."""

    since: float
    """When it was first seen ready, in Unix seconds."""
    state: str | None
    try_number: int


class ReadyTasks:
    """Remembers in which reading each task instance was first seen ready.

    Of two that were first seen in different readings, the later one became ready later: it was not in the reading in
    which the other was. One that is missing from a single reading may only have changed its state while that was read.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._seen: dict[Key, Sighting] = {}
        self._before: dict[Key, Sighting] = {}

    def note(self, tasks: Iterable[ActiveTaskInstance], now: float) -> Mapping[Key, float]:
        """Note a reading of the active task instances, made at a time in Unix seconds; the same one may come again."""
        if now != self._now:
            found: dict[Key, Sighting] = {}
            for row in tasks:
                if row.state in READY:
                    key = (row.dag_id, row.run_id, row.task_id, row.map_index)
                    known = self._seen.get(key) or self._before.get(key)
                    since = now if known is None or has_run_since(row, known) else known.since
                    found[key] = Sighting(since, row.state, row.try_number)
            self._now, self._before, self._seen = now, self._seen, found
        return {key: one.since for key, one in self._seen.items()}


def has_run_since(row: ActiveTaskInstance, seen: Sighting) -> bool:
    """Whether it had a slot after it was seen, and is ready again: for a retry, a clear or a sensor's next check."""
    if row.try_number != seen.try_number:
        return True
    return row.state == "scheduled" and (seen.state == "running" or (row.queued_when or 0.0) > seen.since)


class QueuedRuns:
    """Remembers when each queued run was first seen.

    The time at which a run was due says it for those that became due between two readings only: catching up, Airflow
    creates runs that were due long ago.
    """

    def __init__(self) -> None:
        self._now: float | None = None
        self._seen: dict[tuple[str, str], float] = {}

    def note(self, runs: Iterable[ActiveDagRun], now: float) -> Mapping[tuple[str, str], float]:
        """Note a reading of the active runs, made at a time in Unix seconds; the same one may come again."""
        if now != self._now:
            queued = {(run.dag_id, run.run_id): run.run_after or 0.0 for run in runs if run.state == "queued"}
            before = now if self._now is None else self._now
            first = {key: due if before <= due <= now else now for key, due in queued.items()}
            self._seen = {key: self._seen.get(key, moment) for key, moment in first.items()}
            self._now = now
        return self._seen

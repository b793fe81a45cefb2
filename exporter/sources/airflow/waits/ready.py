"""When task instances were first seen ready to run, and runs queued, for Airflow 2, which does not say it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from exporter.diagnosis.situation import ActiveDagRun, ActiveTaskInstance

READY = ("scheduled", "queued", "running")
"""States of a task instance that waits for a slot or has one."""

Seen = dict[tuple[str, str, str, int], float]
"""Unix seconds, by DAG, run, task and map index."""


class ReadyTasks:
    """Remembers in which reading each task instance was first seen ready.

    Of two that were first seen in different readings, the later one became ready later: it was not in the reading in
    which the other was. One that is missing from a single reading may only have changed its state while that was read.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self._seen: Seen = {}
        self._before: Seen = {}

    def note(self, tasks: Iterable[ActiveTaskInstance], now: float) -> Mapping[tuple[str, str, str, int], float]:
        """Note a reading of the active task instances, made at a time in Unix seconds; the same one may come again."""
        if now == self._now:
            return self._seen
        found: Seen = {}
        for row in tasks:
            if row.state in READY:
                key = (row.dag_id, row.run_id, row.task_id, row.map_index)
                since = self._seen.get(key)
                found[key] = self._before.get(key, now) if since is None else since
        self._now, self._before, self._seen = now, self._seen, found
        return found


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

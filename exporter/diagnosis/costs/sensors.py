"""For how long sensors hold a slot, by their mode.

The API does not show the mode of a sensor, but what it does: one that is `up_for_reschedule` was rescheduled, one that
is `deferred` was deferred, and one that ends without either has poked all the time. Until that is known its seconds are
kept back; a sensor that runs for a minute without a break pokes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from exporter.diagnosis.costs.rows import InstanceRow, is_sensor

CERTAIN_SECONDS = 60.0
"""A part that runs for longer holds its slot, whatever the sensor does later."""
MAX_TASKS = 5_000
"""Tasks whose mode is remembered; the one that was seen first goes first."""
POKE, RESCHEDULE, DEFERRED = "poke", "reschedule", "deferred"
RESCHEDULED = "up_for_reschedule"
MODES = {RESCHEDULED: RESCHEDULE, "deferred": DEFERRED}
"""The mode of a sensor, by a state in which it is seen."""

InstanceKey = tuple[str, str, str, int]
"""DAG, run, task and map index."""


class Held(NamedTuple):
    """Seconds for which a sensor held slots, each slot counted."""

    dag_id: str
    mode: str
    seconds: float


@dataclass(slots=True)
class SensorPart:
    """The time from one start of a sensor to its next break."""

    begun: float
    """Unix seconds."""
    seen: float = 0.0
    """Seconds that it was seen to run."""
    counted: float = 0.0
    """Seconds of it that were counted."""


class SensorTime:
    """The parts of the sensors that are active."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._parts: dict[InstanceKey, SensorPart] = {}
        self._modes: dict[tuple[str, str], str] = {}

    def update(self, ended: Iterable[InstanceRow], active: Iterable[InstanceRow], now: float) -> Iterator[Held]:
        """The seconds held since the last call; `ended` are tries that ended since. Times before the first call are
        left out: they may have been counted before a restart."""
        if self._since is None:
            self._since = now
        for row in filter(is_sensor, ended):
            yield from self._end(row)
        sensors = {get_key(row): row for row in active if is_sensor(row)}
        for key, row in sensors.items():
            yield from self._follow(key, row, now)
        self._parts = {key: part for key, part in self._parts.items() if key in sensors}

    def _end(self, row: InstanceRow) -> Iterator[Held]:
        key, begun = get_key(row), self._get_begin(row)
        renewed = row.queued_when is not None and row.start_date is not None and row.queued_when > row.start_date
        mode = self._modes.get((row.dag_id, row.task_id), DEFERRED if renewed else POKE)
        part = self._parts.pop(key, None)
        if part is not None and part.begun != begun:
            yield from self._count(row, part, part.seen, mode)
            part = None
        if begun is not None and row.end_date is not None:
            yield from self._count(row, part or SensorPart(begun), row.end_date - begun, mode)

    def _follow(self, key: InstanceKey, row: InstanceRow, now: float) -> Iterator[Held]:
        task, begun = (row.dag_id, row.task_id), self._get_begin(row)
        if row.state in MODES:
            self._set_mode(task, MODES[row.state])
        elif row.state != "running":
            return
        part = self._parts.get(key)
        if begun is None or part is None or part.begun != begun:
            if part is not None:
                yield from self._count(row, part, part.seen, self._modes.get(task, POKE))
            if begun is None:
                return
            part = self._parts[key] = SensorPart(begun)
        if row.state == RESCHEDULED:
            part.seen = max(part.seen, (row.end_date or begun) - begun)
        elif row.state == "running":
            part.seen = max(part.seen, now - begun)
        mode = self._modes.get(task) or (POKE if part.seen > CERTAIN_SECONDS else None)
        if mode is not None:
            yield from self._count(row, part, part.seen, mode)

    def _get_begin(self, row: InstanceRow) -> float | None:
        """When the slot was taken. Airflow keeps the first start of a sensor that resumes, but queues it again."""
        if row.start_date is None:
            return None
        return max(row.start_date, row.queued_when or 0.0, self._since or 0.0)

    def _set_mode(self, task: tuple[str, str], mode: str) -> None:
        if task not in self._modes and len(self._modes) >= MAX_TASKS:
            self._modes.pop(next(iter(self._modes)))
        self._modes[task] = mode

    @staticmethod
    def _count(row: InstanceRow, part: SensorPart, seconds: float, mode: str) -> Iterator[Held]:
        if seconds > part.counted:
            yield Held(row.dag_id, mode, (seconds - part.counted) * row.pool_slots)
            part.counted = seconds


def get_key(row: InstanceRow) -> InstanceKey:
    """What identifies a task instance."""
    return row.dag_id, row.run_id, row.task_id, row.map_index

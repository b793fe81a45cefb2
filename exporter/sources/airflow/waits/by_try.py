"""Seconds that each try waited, by reason, for its line in the events file.

What is between two readings is not seen, so the reason of the reading before counts until the try started.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from exporter.diagnosis.waits.queueing import Explained
from exporter.diagnosis.waits.waiting import get_since
from exporter.sources.airflow.counting.decision import EndedTry

MAX_WAITING = 50_000
"""Task instances whose wait is remembered; the one that began to wait first is forgotten first."""
MAX_ENDED = 50_000
"""Tries that ended and whose line is not written."""

TaskInstanceId = tuple[str, str, str, int]
"""DAG, run, task and map index."""
TryId = tuple[str, str, str, int, int]
"""The same, and the number of the try."""


class IdentifiedTry(Protocol):
    """What identifies a try."""

    @property
    def dag_id(self) -> str: ...
    @property
    def run_id(self) -> str: ...
    @property
    def task_id(self) -> str: ...
    @property
    def map_index(self) -> int: ...
    @property
    def try_number(self) -> int: ...


@dataclass(slots=True)
class Wait:
    """What one task instance has waited since its last try."""

    reason: str
    """The one at the last reading at which it waited."""
    until: float
    """When that was."""
    is_whole: bool = True
    """False if it waited at the first reading already."""
    seconds: dict[str, float] = field(default_factory=dict)

    def add(self, reason: str, seconds: float) -> None:
        """Add seconds to a reason."""
        if seconds > 0:
            self.seconds[reason] = self.seconds.get(reason, 0.0) + seconds


class TryWaits:
    """Adds up what waits from reading to reading, and keeps it until the line of the try is made."""

    def __init__(self) -> None:
        self.noted_at = 0.0
        """When what was noted last was read, in Unix seconds of Airflow's clock."""
        self._begun: float | None = None
        self._waiting: dict[TaskInstanceId, Wait] = {}
        self._ended: dict[TryId, dict[str, float]] = {}

    def note(self, waiting: Iterable[Explained], ended: Iterable[EndedTry], now: float) -> None:
        """Note what waits in a reading, and what ended since the one before. `now` is when it was read."""
        for one in ended:
            self._end(one)
        last = self.noted_at if self._begun is not None else now
        for row, reason in waiting:
            name = (row.dag_id, row.run_id, row.task_id, row.map_index)
            wait = self._waiting.get(name)
            if wait is None:
                wait = self._waiting[name] = Wait(reason.name, -math.inf, is_whole=self._begun is not None)
            since = get_since(row)
            begun = max(last, min(now, since)) if since is not None else last
            if wait.until >= last:
                wait.add(wait.reason, begun - last)
            wait.add(reason.name, now - begun)
            wait.reason, wait.until = reason.name, now
        drop_first(self._waiting, MAX_WAITING)
        if self._begun is None:
            self._begun = now
        self.noted_at = now

    def find(self, one: IdentifiedTry) -> Mapping[str, float] | None:
        """Seconds that a try waited, by reason; None where its wait was not watched from its beginning."""
        return self._ended.get(identify(one))

    def forget(self, one: IdentifiedTry) -> None:
        """Forget a try whose line is written."""
        self._ended.pop(identify(one), None)

    def _end(self, ended: EndedTry) -> None:
        row = ended.row
        wait = self._waiting.pop((row.dag_id, row.run_id, row.task_id, row.map_index), None)
        begun = row.queued_when if row.scheduled_when is None else row.scheduled_when
        if self._begun is None or begun is None or begun < self._begun or (wait is not None and not wait.is_whole):
            return
        seconds = wait.seconds if wait is not None else {}
        if wait is not None and row.start_date is not None:
            wait.add(wait.reason, row.start_date - wait.until)
        self._ended[identify(row)] = {reason: round(value, 3) for reason, value in seconds.items()}
        drop_first(self._ended, MAX_ENDED)


def identify(one: IdentifiedTry) -> TryId:
    """What identifies a try."""
    return one.dag_id, one.run_id, one.task_id, one.map_index, one.try_number


def drop_first(entries: dict[Any, Any], most: int) -> None:
    """Drop the entries that are too many, those that were added first."""
    while len(entries) > most:
        del entries[next(iter(entries))]

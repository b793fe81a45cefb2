"""What really ran in a window: tries and runs of the events file (docs/events.md). Pure.

A line has when something ended and how long its parts took; from these the times follow. Lines may come twice and in
any order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

import msgspec

RunKey = tuple[str, str]
"""DAG and run."""


class RecordedTry(NamedTuple):
    """A try that ended. Times are Unix seconds."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    number: int
    ready_at: float | None
    """When it became ready (its state became scheduled); None where Airflow does not say."""
    started_at: float
    ended_at: float
    pool: str
    pool_slots: int
    priority_weight: int
    queue: str
    queued_seconds: float | None = None
    """From queued to the start."""

    @property
    def wait_seconds(self) -> float | None:
        """From ready to the start."""
        return None if self.ready_at is None else self.started_at - self.ready_at


class RecordedRun(NamedTuple):
    """A run that ended, with the same kind of times."""

    dag_id: str
    run_id: str
    due_at: float
    queued_at: float
    started_at: float
    ended_at: float


@dataclass(slots=True)
class Recording:
    """All that ended in a window."""

    tries: list[RecordedTry] = field(default_factory=list)
    """In the order in which they started."""
    runs: dict[RunKey, RecordedRun] = field(default_factory=dict)
    begin: float = 0.0
    """When the window begins: what ended before is missing, and with it what held up those that were ready then."""
    starts: list[float] = field(default_factory=list)
    """Seconds that the start of each try costs when a worker is free, where that is known."""
    alone: list[float] = field(default_factory=list)
    """How long each try would have taken alone; empty: as long as it did."""
    unreadable: int = 0
    """Lines that could not be read, and tries without a start or an end."""
    without_weights: int = 0
    """Tries whose pool_slots and priority_weight were not recorded: taken as 1."""
    deferred: int = 0
    """Tries that were deferred for a part of their time."""
    exact: bool = True
    """Whether each try is one that ran, and not made from averages."""

    def keep_newest(self, number: int) -> None:
        """Forget older tries. What held up those that were ready then is forgotten too: the window begins later."""
        if len(self.tries) > number:
            self.tries = self.tries[-number:]
            self.begin = max(self.begin, self.tries[0].started_at)


class EventLine(msgspec.Struct):
    """A line as it is written. The fields of tries and of runs are in one, because most have the same meaning."""

    event: str
    dag_id: str
    run_id: str
    time: datetime | None = None
    task_id: str = ""
    map_index: int = -1
    try_number: int = 0
    outcome: str = ""
    pool: str = ""
    pool_slots: int | None = None
    priority_weight: int | None = None
    queue: str = ""
    scheduled_seconds: float | None = None
    queued_seconds: float | None = None
    run_seconds: float | None = None
    due_to_end_seconds: float | None = None
    waited_seconds: dict[str, float] | None = None


def read_lines(lines: Iterable[bytes], begin: float, end: float) -> Recording:
    """The tries and runs that ended from `begin` to `end`; each once."""
    recording, tries = Recording(), {}
    decode = msgspec.json.Decoder(EventLine).decode
    for line in lines:
        try:
            event = decode(line)
        except msgspec.DecodeError:
            recording.unreadable += 1
            continue
        ended_at = None if event.time is None else event.time.timestamp()
        if ended_at is None or event.run_seconds is None:
            recording.unreadable += event.event == "task_try"
        elif begin <= ended_at <= end:
            if event.event == "dag_run":
                recording.runs[event.dag_id, event.run_id] = to_run(event, ended_at, event.run_seconds)
            elif event.event == "task_try":
                one = to_try(event, ended_at, event.run_seconds)
                deferred = bool(event.waited_seconds and event.waited_seconds.get("trigger"))
                tries[(*one[:5], event.outcome)] = one, event.priority_weight is None, deferred
    recording.begin = max(begin, min((one.ended_at for one, *_ in tries.values()), default=begin))
    recording.tries = sorted((one for one, *_ in tries.values()), key=lambda one: one.started_at)
    recording.without_weights = sum(unknown for _, unknown, _ in tries.values())
    recording.deferred = sum(deferred for *_, deferred in tries.values())
    return recording


def to_try(event: EventLine, ended_at: float, run_seconds: float) -> RecordedTry:
    """The try of a line."""
    started_at = ended_at - run_seconds
    waited = None
    if event.scheduled_seconds is not None and event.queued_seconds is not None:
        waited = event.scheduled_seconds + event.queued_seconds
    return RecordedTry(
        event.dag_id,
        event.run_id,
        event.task_id,
        event.map_index,
        event.try_number,
        None if waited is None else started_at - waited,
        started_at,
        ended_at,
        event.pool,
        event.pool_slots or 1,
        1 if event.priority_weight is None else event.priority_weight,
        event.queue,
        event.queued_seconds,
    )


def to_run(event: EventLine, ended_at: float, run_seconds: float) -> RecordedRun:
    """The run of a line; where Airflow does not say when it was due or queued, that was when it started."""
    started_at = ended_at - run_seconds
    queued_at = started_at - (event.queued_seconds or 0.0)
    due_at = queued_at if event.due_to_end_seconds is None else ended_at - event.due_to_end_seconds
    return RecordedRun(event.dag_id, event.run_id, due_at, queued_at, started_at, ended_at)

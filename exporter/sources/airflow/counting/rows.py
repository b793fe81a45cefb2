"""Telling from Airflow's rows which tries ended and which outcomes were reached, each of them once.

Pure: a row that a poll found and what is remembered of it go in, events and a new record come out.
Where the row alone cannot tell (numbers were skipped, a row is gone) the tries are asked for: see settlement.py.

Why it is not simpler: the row holds only the newest try; history calls every archived try failed, retried and
cleared ones alike; a clear leaves the old number on the row; rows of tasks that never ran carry dates.
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from exporter.sources.airflow.api.models import TIS_ENDED, TaskInstance

NEVER_RUN = ("upstream_failed", "removed")
PROMPT = 1.0
"""Within how many seconds a clear archives a running try and notes it on the run."""


class Fate(StrEnum):
    """How a try ended."""

    SUCCESS = "success"
    FAILED = "failed"
    RETRIED = "retried"
    CLEARED = "cleared"
    SKIPPED = "skipped"


class Ended(NamedTuple):
    """A try that ran has ended."""

    row: TaskInstance
    fate: Fate


class Outcome(NamedTuple):
    """A terminal state was reached."""

    row: TaskInstance
    state: str


class Unaccounted(NamedTuple):
    """A try ran, but Airflow no longer tells how it ended."""

    dag_id: str
    task_id: str
    reason: str


Event = Ended | Outcome | Unaccounted
Reached = tuple[int, str, float | None]
"""What makes an outcome: try number, state and end date."""


class Record(msgspec.Struct, frozen=True, array_like=True):
    """What is remembered of one task instance. `settled` is the newest try number that was dealt with."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    state: str
    settled: int
    ran: bool = False
    """Whether the newest try was seen with a process."""
    reached: Reached | None = None
    ended: float | None = None
    """When the newest settled try ended: a later try whose start is before that never ran, its start is stale."""
    limit: int | None = None
    """`max_tries` of the row when `reached` was reached; None in records of older releases of the exporter."""


class Finding(NamedTuple):
    """What one row tells: the record to keep (None: forget it) and what happened.

    `ask` says that the tries endpoint must tell first; the record is then what holds if nothing came before.
    `doubt` says that it might tell better: the finding holds where asking would cost too much.
    """

    record: Record | None
    events: tuple[Event, ...] = ()
    ask: bool = False
    doubt: bool = False


def has_run(row: TaskInstance, before: float | None = None) -> bool:
    """Whether the row's try ran: it has a process, and started after the try before it ended (`before`).

    A row keeps the process and the start of an earlier try until its next one runs.
    """
    if row.start_date is None or not has_process(row) or row.state in NEVER_RUN:
        return False
    if row.state == "skipped" and row.start_date == row.end_date:
        return False
    return before is None or row.start_date >= before


def has_process(row: TaskInstance) -> bool:
    """Whether the row bears a process, be it of this try or of an earlier one."""
    return row.pid is not None or row.hostname != ""


def observe(row: TaskInstance, known: Record | None, edge: float, cleared: float | None = None) -> Finding:
    """Deal with the newest row of a task instance.

    `edge` is the time (Unix seconds) before which nothing unknown is counted: the first start, or how far back
    settled rows are remembered; `cleared` is when tasks of its run were last cleared, where that is known.
    """
    record = remember(row, known, known.settled if known else row.try_number - 1)
    if needs_history(row, known, edge) or may_be_cleared(row, record, cleared):
        return Finding(record, ask=True)
    finding = conclude(row, record, edge if known is None else 0.0)
    return finding._replace(doubt=may_have_restarted(row, finding))


def leave_undated(finding: Finding) -> Finding:
    """Without outcomes that bear no date (mapped tasks that were skipped as a whole): they may be of long ago."""
    events = [one for one in finding.events if not (isinstance(one, Outcome) and one.row.end_date is None)]
    return finding._replace(events=tuple(events))


def conclude(row: TaskInstance, record: Record, edge: float) -> Finding:
    """Say what a row tells of its newest try, all earlier ones being settled."""
    recent = row.end_date is None or row.end_date >= edge
    events: list[Event] = []
    if is_over(row) and row.try_number > record.settled:
        ran = has_run(row, record.ended)
        record = msgspec.structs.replace(record, settled=row.try_number, ended=row.end_date)
        if ran and recent:
            events.append(Ended(row, fate_of_row(row)))
    reached = (row.try_number, row.state or "", row.end_date)
    if row.state in TIS_ENDED and reached != record.reached:
        repeated = is_repeated(row, record)
        record = msgspec.structs.replace(record, reached=reached, limit=row.max_tries)
        if recent and not repeated:
            events.append(Outcome(row, row.state))
    return Finding(record, tuple(events))


def is_repeated(row: TaskInstance, record: Record) -> bool:
    """Whether a row whose end differs from the one that is remembered shows the same outcome.

    Airflow 2 handles the failure of a task that was killed by a signal up to three times, half a minute apart at worst,
    and renews the end each time; it commits a skip before its end date. A clear of what failed raises `max_tries`.
    """
    if record.reached is None or record.reached[:2] != (row.try_number, row.state):
        return False
    return record.reached[2] is None or (row.state == "failed" and row.max_tries == record.limit)


def remember(row: TaskInstance, known: Record | None, settled: int) -> Record:
    """The record of a row, before anything is settled."""
    runs = has_run(row, known.ended if known else None) and row.state not in ("scheduled", "queued")
    ran_before = known is not None and known.ran and known.try_number == row.try_number
    return Record(
        row.dag_id,
        row.run_id,
        row.task_id,
        row.map_index,
        row.try_number,
        row.state or "",
        settled,
        runs or ran_before,
        known.reached if known else None,
        known.ended if known else None,
        known.limit if known else None,
    )


def needs_history(row: TaskInstance, known: Record | None, edge: float) -> bool:
    """Whether tries may have ended, since the edge, that the row does not show any more."""
    if known is None:
        recent = row.end_date is None or row.end_date >= edge
        return recent and (row.try_number > 1 or hides_one(row)) and not began_before(row, edge)
    return row.try_number > known.settled + 1 or (row.try_number > known.settled and hides_one(row))


def began_before(row: TaskInstance, edge: float) -> bool:
    """Whether the row's own try began before the edge, so that all earlier ones ended before it."""
    waits = row.state in ("scheduled", "queued", None)
    return has_run(row) and not waits and row.start_date is not None and row.start_date < edge


def hides_one(row: TaskInstance) -> bool:
    """Whether the row ended without running and yet bears the process of a try: that one was cleared before."""
    return row.state in TIS_ENDED and row.try_number > 0 and has_process(row) and not has_run(row)


def may_be_cleared(row: TaskInstance, record: Record, cleared: float | None) -> bool:
    """Whether a try that seems retried may have been cleared while it ran: its archived copy tells."""
    if row.state != "up_for_retry" or row.try_number <= record.settled or cleared is None:
        return False
    return (row.start_date or 0.0) <= cleared <= (row.end_date or 0.0) + PROMPT


def may_have_restarted(row: TaskInstance, finding: Finding) -> bool:
    """Whether a try that seems retried may have been cleared while it ran: Airflow 2 (no UUID) shows both alike."""
    return row.uuid is None and row.state == "up_for_retry" and bool(finding.events)


def is_over(row: TaskInstance) -> bool:
    """Whether the row's try has ended (restarting: it was cleared while it ran, and archived as it was)."""
    return row.state in TIS_ENDED or (row.state in ("up_for_retry", "restarting") and row.end_date is not None)


def fate_of_row(row: TaskInstance) -> Fate:
    """How the try ended that is still on its row."""
    match row.state:
        case "success":
            return Fate.SUCCESS
        case "failed":
            return Fate.FAILED
        case "up_for_retry":
            return Fate.RETRIED
        case "restarting":
            return Fate.CLEARED
    return Fate.SKIPPED

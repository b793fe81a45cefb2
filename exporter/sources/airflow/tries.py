"""Telling from Airflow's rows which tries ended and which outcomes were reached, each of them once.

Pure: a row that a poll found and what is remembered of it go in, events and a new record come out.
Where the row alone cannot tell (numbers were skipped, a row is gone) the answer of the tries endpoint is asked for.

Why it is not simpler: the row holds only the newest try; history calls every archived try failed, retried and
cleared ones alike; a clear leaves the old number on the row; rows of tasks that never ran carry dates.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from exporter.sources.airflow.replies import TIS_ENDED, TaskInstance

NEVER_RUN = ("upstream_failed", "removed")
PAUSED = ("deferred", "up_for_reschedule", "awaiting_input")
"""States in which a try goes on without a process; clearing one changes max_tries at once."""
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


class Finding(NamedTuple):
    """What one row tells: the record to keep (None: forget it) and what happened.

    `ask` says that the tries endpoint must tell first; the record is then what holds if nothing came before.
    """

    record: Record | None
    events: tuple[Event, ...] = ()
    ask: bool = False


def has_run(row: TaskInstance) -> bool:
    """Whether the row's try ran: it has a process, and its dates are of this try and no earlier one."""
    if row.start_date is None or not (row.pid is not None or row.hostname) or row.state in NEVER_RUN:
        return False
    if row.end_date is None:
        return True
    if row.state == "skipped" and row.start_date == row.end_date:
        return False
    return not any(begun is not None and row.end_date < begun for begun in (row.queued_when, row.scheduled_when))


def observe(row: TaskInstance, known: Record | None, edge: float, cleared: float | None = None) -> Finding:
    """Deal with the newest row of a task instance.

    `edge` is the time (Unix seconds) before which nothing unknown is counted: the first start, or how far back
    settled rows are remembered; `cleared` is when tasks of its run were last cleared, where that is known.
    """
    record = remember(row, known, known.settled if known else row.try_number - 1)
    if needs_history(row, known, edge) or may_be_cleared(row, record, cleared):
        return Finding(record, ask=True)
    return conclude(row, record, edge if known is None else 0.0)


def conclude(row: TaskInstance, record: Record, edge: float) -> Finding:
    """Say what a row tells of its newest try, all earlier ones being settled."""
    recent = row.end_date is None or row.end_date >= edge
    events: list[Event] = []
    if is_over(row) and row.try_number > record.settled:
        record = msgspec.structs.replace(record, settled=row.try_number)
        if has_run(row) and recent:
            events.append(Ended(row, fate_of_row(row)))
    reached = (row.try_number, row.state or "", row.end_date)
    if row.state in TIS_ENDED and reached != record.reached:
        record = msgspec.structs.replace(record, reached=reached)
        if recent:
            events.append(Outcome(row, row.state))
    return Finding(record, tuple(events))


def remember(row: TaskInstance, known: Record | None, settled: int) -> Record:
    """The record of a row, before anything is settled."""
    runs = has_run(row) and row.state not in ("scheduled", "queued")
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
    )


def needs_history(row: TaskInstance, known: Record | None, edge: float) -> bool:
    """Whether tries may have ended, since the edge, that the row does not show any more."""
    if known is None:
        recent = row.end_date is None or row.end_date >= edge
        return recent and (row.try_number > 1 or hides_one(row))
    return row.try_number > known.settled + 1 or (row.try_number > known.settled and hides_one(row))


def hides_one(row: TaskInstance) -> bool:
    """Whether the row ended without running and yet bears the process of a try: that one was cleared before."""
    has_process = row.pid is not None or row.hostname != ""
    return row.state in TIS_ENDED and row.try_number > 0 and has_process and not has_run(row)


def may_be_cleared(row: TaskInstance, record: Record, cleared: float | None) -> bool:
    """Whether a try that seems retried may have been cleared while it ran: its archived copy tells."""
    if row.state != "up_for_retry" or row.try_number <= record.settled or cleared is None:
        return False
    return (row.start_date or 0.0) <= cleared <= (row.end_date or 0.0) + PROMPT


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


def settle(
    current: TaskInstance | None,
    known: Record | None,
    tries: Sequence[TaskInstance],
    edge: float,
    cleared: float | None = None,
) -> Finding:
    """Deal with a task instance whose tries were asked for.

    `current` is its row as the poll found it, None where the poll found none: then `known` is there, and the
    answer shows the row, unless it leaves a doubt that only the next poll can lift.
    """
    if current is None:
        archived, row = split(tries)
    else:
        archived, row = precede(tries, current), current
    if row is None:
        return Finding(known)
    record = known or remember(archived[0] if archived else row, None, 0)
    watched_since = 0.0 if known else edge
    events: list[Event] = find_lost(known, tries)
    for attempt, after in zip(archived, [*archived[1:], row], strict=False):
        fate = fate_of_archived(attempt, after, record, cleared)
        events += settle_archived(attempt, fate, record, watched_since, edge)
        record = advance(record, attempt)
    settled = max(record.settled, row.try_number - 1)
    kept = msgspec.structs.replace(remember(row, record, settled), reached=record.reached)
    finding = conclude(row, kept, watched_since)
    return Finding(finding.record, (*events, *finding.events))


def find_lost(known: Record | None, tries: Sequence[TaskInstance]) -> list[Event]:
    """The try that was seen running, where history does not have it (any more)."""
    if known is None or not known.ran or known.try_number <= known.settled:
        return []
    if any(attempt.try_number == known.try_number for attempt in tries):
        return []
    # A task that is up_for_retry is left out of its own tries.
    if not any(attempt.try_number > known.try_number for attempt in tries):
        return []
    return [Unaccounted(known.dag_id, known.task_id, "not_in_history")]


def precede(tries: Sequence[TaskInstance], current: TaskInstance) -> list[TaskInstance]:
    """The archived tries before a row, oldest first; newer ones are left to the next poll, which will show them.

    A row that ended without running bears the number of the try that was cleared before; one that is up_for_retry
    has been archived already.
    """
    hidden = hides_one(current)
    earlier = [
        row
        for row in tries
        if row.try_number < current.try_number
        or (hidden and row.try_number == current.try_number and row.end_date != current.end_date)
        or (current.state == "up_for_retry" and row.try_number == current.try_number)
    ]
    return sorted(earlier, key=lambda row: row.try_number)


def split(tries: Sequence[TaskInstance]) -> tuple[list[TaskInstance], TaskInstance | None]:
    """Part an answer into archived tries, oldest first, and the current row, which comes last.

    The row is missing while it is up_for_retry. A last entry that failed with retries left may be that try's
    archived copy, so it is in doubt: then nothing is said.
    """
    *rows, last = tries
    numbers = [row.try_number for row in rows]
    in_doubt = last.state == "failed" and last.try_number <= last.max_tries and last.try_number not in numbers
    return sorted(rows, key=lambda row: row.try_number), None if in_doubt else last


def settle_archived(
    attempt: TaskInstance, fate: Fate, record: Record, watched_since: float, edge: float
) -> list[Event]:
    """Deal with a try that history shows."""
    events: list[Event] = []
    recent = (attempt.end_date or 0) >= watched_since
    if attempt.try_number > record.settled and recent and has_run(attempt):
        events.append(Ended(attempt, fate))
    state = attempt.state or ""
    terminal = state in TIS_ENDED and (state != "failed" or fate is Fate.FAILED)
    if terminal and is_new_outcome(attempt, record, edge):
        events.append(Outcome(attempt, state))
    return events


def is_new_outcome(attempt: TaskInstance, record: Record, edge: float) -> bool:
    """Whether an archived outcome came after the last one counted."""
    end = attempt.end_date or 0
    if record.reached is None:
        return end >= edge
    if record.reached[0] == attempt.try_number and record.reached[1] == attempt.state:
        return False
    return end > (record.reached[2] or 0)


def fate_of_archived(attempt: TaskInstance, after: TaskInstance, record: Record, cleared: float | None) -> Fate:
    """How an archived try ended: history says failed of retried, cleared and finally failed ones alike.

    A clear archives a running try at that moment. A clear of anything else raises max_tries, a retry leaves it;
    and beyond max_tries there are no retries.
    """
    if attempt.state == "success":
        return Fate.SUCCESS
    if attempt.state != "failed":
        return Fate.SKIPPED
    raised = after.max_tries != attempt.max_tries
    last_seen = record.state if record.try_number == attempt.try_number else ""
    exhausted = attempt.try_number > attempt.max_tries
    prompt = cleared is not None and attempt.end_date is not None and 0.0 <= cleared - attempt.end_date <= PROMPT
    if prompt or last_seen == "restarting" or (raised and last_seen in PAUSED):
        return Fate.CLEARED
    if not exhausted:
        return Fate.RETRIED
    return Fate.FAILED if raised else Fate.CLEARED


def advance(record: Record, attempt: TaskInstance) -> Record:
    """The record after an archived try was dealt with."""
    reached = record.reached
    if attempt.state in TIS_ENDED and (attempt.end_date or 0) > ((reached and reached[2]) or 0):
        reached = (attempt.try_number, attempt.state or "", attempt.end_date)
    return msgspec.structs.replace(record, settled=max(record.settled, attempt.try_number), reached=reached)


def settle_deleted(known: Record | None) -> Finding:
    """Deal with a task instance that is gone: its try, if one ran, was deleted while it ran."""
    if known is not None and known.ran and known.try_number > known.settled:
        return Finding(None, (Unaccounted(known.dag_id, known.task_id, "deleted"),))
    return Finding(None)

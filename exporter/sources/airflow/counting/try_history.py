"""Telling from the tries endpoint's answer what a task instance's row no longer shows.

Pure, like tries.py: the tries of one task instance and what is remembered of it go in, events and a record come out.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from exporter.sources.airflow.api.models import TIS_ENDED, TaskInstance
from exporter.sources.airflow.counting.rows import (
    PROMPT,
    Ended,
    Event,
    Fate,
    Finding,
    Outcome,
    Record,
    Unaccounted,
    conclude,
    has_run,
    hides_one,
    needs_history,
    remember,
)

MAX_REPEAT = 3.5
"""Seconds within which Airflow 2 handles the same failure again. A clear lets a try go on for longer: the process that
supervises it ends it at the second heartbeat after the clear, and those are 5 s apart by default."""
PAUSED = ("deferred", "up_for_reschedule", "awaiting_input", "scheduled", "queued")
"""States in which a try that ran goes on without a process; clearing one changes max_tries at once."""


def settle(
    current: TaskInstance | None,
    known: Record | None,
    tries: Sequence[TaskInstance],
    edge: float,
    cleared: float | None = None,
    before: TaskInstance | None = None,
) -> Finding:
    """Deal with a task instance whose tries were asked for.

    `current` is its row as the poll found it, None where the poll found none: then `known` is there, and the
    answer shows the row, unless it leaves a doubt that only the next poll can lift. `before` is another row of it
    that the same poll had found a moment earlier.
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
        seen = remember(before, record, record.settled) if before else record
        fate = Fate.CLEARED if before and outlived(attempt, before) else fate_of_archived(attempt, after, seen, cleared)
        events += settle_archived(attempt, fate, record, watched_since, edge)
        record = advance(record, attempt, fate)
    settled = max(record.settled, row.try_number - 1)
    finding = conclude(row, remember(row, record, settled), watched_since)
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

    A row that ended without running bears the number of the try that was cleared before, perhaps its end too; one
    that is up_for_retry has been archived already.
    """
    hidden = hides_one(current)
    earlier = [
        row
        for row in tries
        if row.try_number < current.try_number
        or (hidden and row.try_number == current.try_number and reach(row) != reach(current))
        or (current.state == "up_for_retry" and row.try_number == current.try_number)
    ]
    return sorted(earlier, key=lambda row: row.try_number)


def reach(row: TaskInstance) -> tuple[str | None, float | None]:
    """What tells a row from the archived copy of its try: its state and its end."""
    return row.state, row.end_date


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
    if attempt.try_number > record.settled and recent and has_run(attempt, record.ended):
        events.append(Ended(attempt, fate))
    if is_outcome(attempt, fate) and is_new_outcome(attempt, record, edge):
        events.append(Outcome(attempt, attempt.state or ""))
    return events


def is_outcome(attempt: TaskInstance, fate: Fate) -> bool:
    """Whether an archived try ended in a terminal state: history also says failed of retried and cleared ones."""
    return attempt.state in TIS_ENDED and (attempt.state != "failed" or fate is Fate.FAILED)


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
    and beyond max_tries there are no retries. Airflow 2 lets a try that was cleared while it ran go on to
    up_for_retry: the row ends later than the copy; Airflow 3 raises max_tries where no tries were left.
    """
    if attempt.state == "success":
        return Fate.SUCCESS
    if attempt.state != "failed":
        return Fate.SKIPPED
    raised = after.max_tries != attempt.max_tries
    same = record.try_number == attempt.try_number
    last_seen = record.state if same else ""
    paused = raised and last_seen in PAUSED and record.ran
    exhausted = attempt.try_number > attempt.max_tries
    prompt = cleared is not None and attempt.end_date is not None and 0.0 <= cleared - attempt.end_date <= PROMPT
    if prompt or last_seen == "restarting" or paused or outlived(attempt, after):
        return Fate.CLEARED
    if not exhausted:
        return Fate.CLEARED if raised else Fate.RETRIED
    return Fate.FAILED if raised else Fate.CLEARED


def outlived(attempt: TaskInstance, after: TaskInstance) -> bool:
    """Whether a row of Airflow 2 shows that its try ended later than its archived copy says: it was cleared meanwhile.

    A row keeps the end of its last try until the next one runs. An end that is only a little later is that of the same
    failure, handled again: Airflow does so with tasks that were killed by a signal.
    """
    waits = {0: ("up_for_retry",), 1: ("scheduled", "queued")}.get(after.try_number - attempt.try_number, ())
    if after.uuid is not None or after.state not in waits or after.end_date is None:
        return False
    return attempt.end_date is None or not 0.0 <= after.end_date - attempt.end_date <= MAX_REPEAT


def advance(record: Record, attempt: TaskInstance, fate: Fate) -> Record:
    """The record after an archived try was dealt with."""
    reached, limit = record.reached, record.limit
    if is_outcome(attempt, fate) and (attempt.end_date or 0) > ((reached and reached[2]) or 0):
        reached, limit = (attempt.try_number, attempt.state or "", attempt.end_date), attempt.max_tries
    settled = max(record.settled, attempt.try_number)
    ended = max(filter(None, (record.ended, attempt.end_date)), default=None)
    return msgspec.structs.replace(record, settled=settled, reached=reached, ended=ended, limit=limit)


def settle_deleted(known: Record | None, reason: str = "deleted") -> Finding:
    """Deal with a task instance that is gone: its try, if one ran, was deleted while it ran."""
    if known is not None and known.ran and known.try_number > known.settled:
        return Finding(None, (Unaccounted(known.dag_id, known.task_id, reason),))
    return Finding(None)


def give_up(current: TaskInstance | None, known: Record | None, edge: float) -> Finding:
    """Deal with a task instance whose tries Airflow does not tell, whatever is asked: the row alone speaks."""
    if current is None:
        return settle_deleted(known, "unanswered")
    lost = [Unaccounted(current.dag_id, current.task_id, "unanswered")] * count_hidden(current, known, edge)
    finding = conclude(current, remember(current, known, current.try_number - 1), 0.0 if known else edge)
    return Finding(finding.record, (*lost, *finding.events))


def count_hidden(row: TaskInstance, known: Record | None, edge: float) -> int:
    """How many tries ended that the row does not show: at least one where nothing was known of it."""
    if not needs_history(row, known, edge):
        return 0
    return row.try_number - 1 - known.settled + hides_one(row) if known else 1

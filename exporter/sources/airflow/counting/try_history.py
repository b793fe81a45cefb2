"""Decide from a task instance's history of tries what its row no longer shows. Lines H, G and U of decision.py."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from exporter.sources.airflow.api.objects.task_instances import TIS_ENDED, TaskInstance
from exporter.sources.airflow.counting.decision import (
    CountedEvent,
    Decision,
    EndedTry,
    TaskRecord,
    TerminalState,
    TryOutcome,
    UnaccountedTry,
)
from exporter.sources.airflow.counting.rows import (
    MAX_CLEAR_DELAY,
    close_try,
    get_process,
    has_run,
    hides_cleared_try,
    make_record,
    may_hide_tries,
)

MAX_REPEAT_DELAY = 3.5
"""Seconds within which Airflow 2 handles the same failure again. After a clear a try runs for longer: its supervisor
process ends it at the second heartbeat after the clear, and heartbeats are 5 s apart by default."""
MOMENT = 0.001
"""Seconds from a start to the assumed end of a try whose end Airflow does not keep: no later try has that start."""
SUSPENDED_STATES = ("deferred", "up_for_reschedule", "awaiting_input", "scheduled", "queued")
"""States in which a try that ran goes on without a process. Clearing one raises `max_tries` at once."""


def resolve_history(
    current: TaskInstance | None,
    known: TaskRecord | None,
    tries: Sequence[TaskInstance],
    count_from: float,
    run_cleared_at: float | None = None,
    before: TaskInstance | None = None,
) -> Decision:
    """Decide what a task instance with this history of tries adds to the counters.

    `current` is the row that the poll found. None: the poll found no row of a task instance that was active. Then the
    history shows the row, unless its last entry is ambiguous: the next poll decides. `before` is another row of it
    that the same poll found a moment earlier.
    """
    if current is None:
        archived, row = split_history(tries)
    else:
        archived, row = get_archived_before(tries, current), current
    if row is None:
        return Decision(known)
    record = known or make_record(archived[0] if archived else row, None, 0)
    tries_from = 0.0 if known else count_from
    events: list[CountedEvent] = get_lost_try(known, tries)
    for attempt, after in zip(archived, [*archived[1:], row], strict=False):
        closer = before if before and before.try_number == attempt.try_number else None
        seen = make_record(closer, record, record.last_counted_try) if closer else record
        cleared = before is not None and outlived_copy(attempt, before)
        outcome = TryOutcome.CLEARED if cleared else get_archived_outcome(attempt, after, seen, run_cleared_at)
        events += close_archived(attempt, outcome, record, tries_from, count_from)
        record = advance_record(record, attempt, outcome)
    decision = close_reset_try(row, record) if was_reset(row, record) else close_after(row, record, tries_from)
    return Decision(decision.record, (*events, *decision.events))


def close_after(row: TaskInstance, record: TaskRecord, tries_from: float) -> Decision:
    """Count the newest try of a row after its archived ones."""
    last_counted_try = max(record.last_counted_try, row.try_number - 1)
    return close_try(row, make_record(row, record, last_counted_try), tries_from)


def was_reset(row: TaskInstance, record: TaskRecord) -> bool:
    """Whether a try that ran lost its state without an archived copy: its scheduler died, another one reset it."""
    return row.state is None and record.ran and record.try_number == row.try_number > record.last_counted_try


def close_reset_try(row: TaskInstance, record: TaskRecord) -> Decision:
    """Count a try that a scheduler reset. Airflow does not know when it ended."""
    ended = msgspec.structs.replace(make_record(row, record, row.try_number), last_end=(row.start_date or 0.0) + MOMENT)
    return Decision(ended, (EndedTry(row, TryOutcome.CLEARED),))


def resolve_deleted(known: TaskRecord | None, reason: str = "deleted") -> Decision:
    """Forget a task instance that Airflow no longer has. A try of it that was running is unaccounted."""
    if known is not None and known.ran and known.try_number > known.last_counted_try:
        return Decision(None, (UnaccountedTry(known.dag_id, known.task_id, reason),))
    return Decision(None)


def abandon(current: TaskInstance | None, known: TaskRecord | None, count_from: float) -> Decision:
    """Decide without the history of tries, because Airflow keeps answering it with an error."""
    if current is None:
        return resolve_deleted(known, "unanswered")
    lost = [UnaccountedTry(current.dag_id, current.task_id, "unanswered")] * count_hidden(current, known, count_from)
    record = make_record(current, known, current.try_number - 1)
    decision = close_try(current, record, 0.0 if known else count_from)
    return Decision(decision.record, (*lost, *decision.events))


def count_hidden(row: TaskInstance, known: TaskRecord | None, count_from: float) -> int:
    """How many tries ended that the row does not show; 1 at least where nothing is remembered of it."""
    if not may_hide_tries(row, known, count_from):
        return 0
    return row.try_number - 1 - known.last_counted_try + hides_cleared_try(row) if known else 1


def get_lost_try(known: TaskRecord | None, tries: Sequence[TaskInstance]) -> list[CountedEvent]:
    """The try that was seen running and is missing in the history, if there is one."""
    if known is None or not known.ran or known.try_number <= known.last_counted_try:
        return []
    if any(attempt.try_number == known.try_number for attempt in tries):
        return []
    # Airflow leaves a task that is up_for_retry out of its own history.
    if not any(attempt.try_number > known.try_number for attempt in tries):
        return []
    return [UnaccountedTry(known.dag_id, known.task_id, "not_in_history")]


def get_archived_before(tries: Sequence[TaskInstance], current: TaskInstance) -> list[TaskInstance]:
    """The archived tries before a row, oldest first. Newer ones are left to the next poll, which will find their row.

    A row that ended without running has the number of the try that was cleared before, and perhaps its end. A row that
    is up_for_retry has been archived already.
    """
    hidden = hides_cleared_try(current)
    earlier = [
        row
        for row in tries
        if row.try_number < current.try_number
        or (hidden and row.try_number == current.try_number and state_and_end(row) != state_and_end(current))
        or (current.state == "up_for_retry" and row.try_number == current.try_number)
    ]
    return sorted(earlier, key=lambda row: row.try_number)


def state_and_end(row: TaskInstance) -> tuple[str | None, float | None]:
    """What differs between a row and the archived copy of its try."""
    return row.state, row.end_date


def split_history(tries: Sequence[TaskInstance]) -> tuple[list[TaskInstance], TaskInstance | None]:
    """Split a history into archived tries, oldest first, and the current row, which Airflow puts last.

    The row is missing while it is up_for_retry. A last entry that failed with retries left may be the archived copy of
    such a try: then the row is None.
    """
    *rows, last = tries
    numbers = [row.try_number for row in rows]
    ambiguous = last.state == "failed" and last.try_number <= last.max_tries and last.try_number not in numbers
    return sorted(rows, key=lambda row: row.try_number), None if ambiguous else last


def close_archived(
    attempt: TaskInstance, outcome: TryOutcome, record: TaskRecord, tries_from: float, count_from: float
) -> list[CountedEvent]:
    """Count an archived try and the terminal state that it reached."""
    events: list[CountedEvent] = []
    recent = (attempt.end_date or 0) >= tries_from
    if attempt.try_number > record.last_counted_try and recent and has_run(attempt, record):
        events.append(EndedTry(attempt, outcome))
    if is_terminal(attempt, outcome) and is_new_terminal(attempt, record, count_from):
        events.append(TerminalState(attempt, attempt.state or ""))
    return events


def is_terminal(attempt: TaskInstance, outcome: TryOutcome) -> bool:
    """Whether an archived try reached a terminal state. History also calls retried and cleared tries failed."""
    return attempt.state in TIS_ENDED and (attempt.state != "failed" or outcome is TryOutcome.FAILED)


def is_new_terminal(attempt: TaskInstance, record: TaskRecord, count_from: float) -> bool:
    """Whether an archived terminal state came after the last one that was counted."""
    end = attempt.end_date or 0
    if record.last_terminal is None:
        return end >= count_from
    if record.last_terminal[0] == attempt.try_number and record.last_terminal[1] == attempt.state:
        return False
    return end > (record.last_terminal[2] or 0)


def get_archived_outcome(
    attempt: TaskInstance, after: TaskInstance, record: TaskRecord, run_cleared_at: float | None
) -> TryOutcome:
    """How an archived try ended; `after` is the try or row that follows it.

    A retry leaves `max_tries` as it is, and there are no retries beyond it. A clear of a task that does not run raises
    it. So does Airflow 3 for a try that was cleared while it ran, if that was its last one.
    """
    retries_left = attempt.try_number <= attempt.max_tries
    raised = after.max_tries != attempt.max_tries
    cleared_while_running = was_cleared_while_running(attempt, after, record, run_cleared_at)
    match attempt.state, cleared_while_running, retries_left, raised:
        case "success", _, _, _:
            return TryOutcome.SUCCESS
        case "failed", True, _, _:
            return TryOutcome.CLEARED
        case "failed", False, True, False:
            return TryOutcome.RETRIED
        case "failed", False, False, True:
            return TryOutcome.FAILED
        case "failed", False, _, _:
            return TryOutcome.CLEARED
    return TryOutcome.SKIPPED


def was_cleared_while_running(
    attempt: TaskInstance, after: TaskInstance, record: TaskRecord, run_cleared_at: float | None
) -> bool:
    """Whether there is a sign that an archived try was cleared before it ended by itself."""
    last_seen = record.state if record.try_number == attempt.try_number else ""
    raised = after.max_tries != attempt.max_tries
    suspended = raised and last_seen in SUSPENDED_STATES and record.ran
    with_run = was_archived_at(attempt, run_cleared_at)
    return with_run or last_seen == "restarting" or suspended or outlived_copy(attempt, after)


def was_archived_at(attempt: TaskInstance, run_cleared_at: float | None) -> bool:
    """Whether a try was archived at the moment when tasks of its run were cleared."""
    if run_cleared_at is None or attempt.end_date is None:
        return False
    return 0.0 <= run_cleared_at - attempt.end_date <= MAX_CLEAR_DELAY


def outlived_copy(attempt: TaskInstance, after: TaskInstance) -> bool:
    """Whether a row of Airflow 2 shows a later end than the archived copy of its try: the try was cleared meanwhile.

    A row keeps the end of its last try until the next one runs. An end that is only a little later is that of the same
    failure, handled again: Airflow does so with tasks that were killed by a signal.
    """
    waits = {0: ("up_for_retry",), 1: ("scheduled", "queued")}.get(after.try_number - attempt.try_number, ())
    if after.uuid is not None or after.state not in waits or after.end_date is None:
        return False
    return attempt.end_date is None or not 0.0 <= after.end_date - attempt.end_date <= MAX_REPEAT_DELAY


def advance_record(record: TaskRecord, attempt: TaskInstance, outcome: TryOutcome) -> TaskRecord:
    """The record after an archived try was counted."""
    terminal, max_tries = record.last_terminal, record.terminal_max_tries
    if is_terminal(attempt, outcome) and (attempt.end_date or 0) > ((terminal and terminal[2]) or 0):
        terminal, max_tries = (attempt.try_number, attempt.state or "", attempt.end_date), attempt.max_tries
    return msgspec.structs.replace(
        record,
        last_counted_try=max(record.last_counted_try, attempt.try_number),
        last_terminal=terminal,
        last_end=max(filter(None, (record.last_end, attempt.end_date)), default=None),
        terminal_max_tries=max_tries,
        last_process=get_process(attempt),
    )

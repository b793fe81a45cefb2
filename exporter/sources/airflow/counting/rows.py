"""Decide from a task instance's row which try ended and which terminal state was reached. Lines R of decision.py."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from exporter.sources.airflow.api.objects.task_instances import TIS_ENDED, TaskInstance
from exporter.sources.airflow.counting.decision import (
    CountedEvent,
    Decision,
    EndedTry,
    Process,
    TaskRecord,
    TerminalState,
    TryOutcome,
)

STATES_WITHOUT_TRY = ("upstream_failed", "removed")
"""States that Airflow sets without running the task."""
MAX_CLEAR_DELAY = 1.0
"""Seconds between the moment when a clear archives a running try and the moment that it notes on the run, at most."""
ROW_OUTCOMES: Mapping[str, TryOutcome] = {
    "success": TryOutcome.SUCCESS,
    "failed": TryOutcome.FAILED,
    "up_for_retry": TryOutcome.RETRIED,
    "restarting": TryOutcome.CLEARED,
    "skipped": TryOutcome.SKIPPED,
}
"""The outcome of the try that ended, by the state of the row that still shows it."""


def apply_row(
    row: TaskInstance, known: TaskRecord | None, count_from: float, run_cleared_at: float | None = None
) -> Decision:
    """Decide what the newest row of a task instance adds to the counters.

    Unknown task instances that ended before `count_from` (Unix seconds) are not counted: that is the first start of
    the exporter, or the oldest record that the state file can still hold. `run_cleared_at` is when tasks of the run
    were last cleared; None where Airflow does not report it (2.x).
    """
    record = make_record(row, known, known.last_counted_try if known else row.try_number - 1)
    if awaits_end(row, known, count_from):
        return Decision(record, awaits_end=True)
    if may_hide_tries(row, known, count_from) or may_be_cleared(row, record, run_cleared_at):
        return Decision(record, needs_tries=True)
    decision = close_try(row, record, count_from if known is None else 0.0)
    return decision._replace(may_check_tries=may_have_restarted(row, decision))


def awaits_end(row: TaskInstance, known: TaskRecord | None, count_from: float) -> bool:
    """Whether Airflow 2 is just writing the row: it commits the state of a skipped try a moment before its end.

    Only for one poll: a process that is killed in between leaves such a row for good.
    """
    if row.uuid is not None or row.state != "skipped" or row.end_date is not None or not has_run(row):
        return False
    if known is None:
        return row.try_number == 1 and (row.start_date or 0.0) >= count_from
    return known.try_number == row.try_number > known.last_counted_try and known.state != row.state


def drop_undated(decision: Decision) -> Decision:
    """Drop terminal states without an end date (mapped tasks skipped as a whole): they may be years old."""
    events = [one for one in decision.events if not (isinstance(one, TerminalState) and one.row.end_date is None)]
    return decision._replace(events=tuple(events))


def close_try(row: TaskInstance, record: TaskRecord, count_from: float) -> Decision:
    """Count the newest try of a row, all earlier tries being counted."""
    recent = row.end_date is None or row.end_date >= count_from
    events: list[CountedEvent] = []
    if is_over(row) and row.try_number > record.last_counted_try:
        ran = has_run(row, record)
        process = get_process(row) if row.state == "up_for_retry" else None
        record = msgspec.structs.replace(
            record, last_counted_try=row.try_number, last_end=row.end_date, last_process=process
        )
        if ran and recent:
            events.append(EndedTry(row, ROW_OUTCOMES.get(row.state or "", TryOutcome.SKIPPED)))
    terminal = (row.try_number, row.state or "", row.end_date)
    if row.state in TIS_ENDED and terminal != record.last_terminal:
        repeated = is_repeated(row, record)
        record = msgspec.structs.replace(record, last_terminal=terminal, terminal_max_tries=row.max_tries)
        if recent and not repeated:
            events.append(TerminalState(row, row.state))
    return Decision(record, tuple(events))


def make_record(row: TaskInstance, known: TaskRecord | None, last_counted_try: int) -> TaskRecord:
    """The record of a row before any of its tries is counted."""
    runs = has_run(row, known) and row.state not in ("scheduled", "queued")
    ran_before = known is not None and known.ran and known.try_number == row.try_number
    return TaskRecord(
        row.dag_id,
        row.run_id,
        row.task_id,
        row.map_index,
        row.try_number,
        row.state or "",
        last_counted_try,
        runs or ran_before,
        known.last_terminal if known else None,
        known.last_end if known else None,
        known.terminal_max_tries if known else None,
        known.last_process if known else None,
    )


def has_process(row: TaskInstance) -> bool:
    """Whether the row shows a process, of its newest try or of an earlier one."""
    return row.pid is not None or row.hostname != ""


def get_process(row: TaskInstance) -> Process:
    """The process of the row's newest try, or of an earlier one."""
    return row.hostname, row.pid


def has_run(row: TaskInstance, known: TaskRecord | None = None) -> bool:
    """Whether the row's newest try ran: it has a process, and started after the last counted try had ended.

    A row keeps the process and the start of an earlier try until its next try runs. On Airflow 3.0 the retry of a
    deferred task keeps the start for good, but has a process of its own.
    """
    if row.start_date is None or not has_process(row) or row.state in STATES_WITHOUT_TRY:
        return False
    if row.state == "skipped" and row.start_date == row.end_date:
        return False
    if known is None or known.last_end is None or row.start_date >= known.last_end:
        return True
    return known.last_process is not None and get_process(row) != known.last_process


def is_over(row: TaskInstance) -> bool:
    """Whether the row's newest try has ended. `restarting` means that it was cleared and archived while it ran."""
    return row.state in TIS_ENDED or (row.state in ("up_for_retry", "restarting") and row.end_date is not None)


def is_repeated(row: TaskInstance, record: TaskRecord) -> bool:
    """Whether a row with a new end date shows the terminal state that was counted already.

    Airflow 2 handles the failure of a task that was killed by a signal up to three times, up to half a minute apart,
    and changes the end date each time. It also commits a skip before its end date. A clear raises `max_tries`.
    """
    if record.last_terminal is None or record.last_terminal[:2] != (row.try_number, row.state):
        return False
    undated = record.last_terminal[2] is None
    return undated or (row.state == "failed" and row.max_tries == record.terminal_max_tries)


def may_hide_tries(row: TaskInstance, known: TaskRecord | None, count_from: float) -> bool:
    """Whether tries that the row no longer shows may have ended since `count_from`."""
    if known is None:
        recent = row.end_date is None or row.end_date >= count_from
        return recent and (row.try_number > 1 or hides_cleared_try(row)) and not started_before(row, count_from)
    skipped_a_number = row.try_number > known.last_counted_try + 1
    return skipped_a_number or (row.try_number > known.last_counted_try and hides_cleared_try(row))


def started_before(row: TaskInstance, count_from: float) -> bool:
    """Whether the row's newest try started before `count_from`, so that all earlier tries ended before it."""
    waits = row.state in ("scheduled", "queued", None)
    return has_run(row) and not waits and row.start_date is not None and row.start_date < count_from


def hides_cleared_try(row: TaskInstance) -> bool:
    """Whether the row ended without running, but still shows the process of a try that was cleared before."""
    return row.state in TIS_ENDED and row.try_number > 0 and has_process(row) and not has_run(row)


def may_be_cleared(row: TaskInstance, record: TaskRecord, run_cleared_at: float | None) -> bool:
    """Whether a try that looks retried may have been cleared while it ran. Its archived copy shows which (3.x)."""
    if row.state != "up_for_retry" or row.try_number <= record.last_counted_try or run_cleared_at is None:
        return False
    return (row.start_date or 0.0) <= run_cleared_at <= (row.end_date or 0.0) + MAX_CLEAR_DELAY


def may_have_restarted(row: TaskInstance, decision: Decision) -> bool:
    """Whether a try that looks retried may have been cleared while it ran: rows of Airflow 2 (no UUID) look alike."""
    return row.uuid is None and row.state == "up_for_retry" and bool(decision.events)

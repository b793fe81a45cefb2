"""The words and the decision table of exact counting.

A poll brings the newest row of a task instance. `rows.py` decides from the row and from what is remembered of it. Where
the row cannot show every try that ended, the decision needs the task instance's history of tries: `try_history.py`.
`changes.py` turns the events into counters. All of it is pure: no clock, no request.

What makes it hard: a row holds only the newest try. History calls every archived try failed, whether it was retried,
cleared or failed for good. A cleared row keeps its old try number, and rows of tasks that never ran carry dates.

Each line of the table is a case of tests/unit/sources/airflow/counting/test_decision_table.py, and docs/counting.md
shows the table too (`make docs`). In lines R the row is enough; in lines H the history of tries is needed; in lines G
the row is gone; in lines U Airflow does not answer with the history. In the last column *try X* is a try that ended
with the outcome X, *terminal X* a terminal state that was reached, and *unaccounted X* a try whose outcome is unknown
for the reason X. The tasks have two retries.

| line | row | remembered | history | counted |
| --- | --- | --- | --- | --- |
| R1 | running | nothing | not needed | nothing |
| R2 | success | try 1 running | not needed | try success, terminal success |
| R3 | failed | try 1 running | not needed | try failed, terminal failed |
| R4 | skipped after it ran | try 1 running | not needed | try skipped, terminal skipped |
| R5 | up_for_retry, Airflow 3 | try 1 running | not needed | try retried |
| R6 | restarting | try 1 running | not needed | try cleared |
| R7 | upstream_failed, never ran | nothing | not needed | terminal upstream_failed |
| R8 | success, never ran (EmptyOperator) | nothing | not needed | terminal success |
| R9 | skipped, never ran (branch) | nothing | not needed | terminal skipped |
| R10 | failed, try 2 with the start of try 1 (never left the queue) | try 1 retried | not needed | terminal failed |
| R10a | failed, try 2 with the start of try 1, but another process (3.0: a retry of a deferred task) | try 1 retried \
| not needed | try failed, terminal failed |
| R11 | success | try 1 success | not needed | nothing |
| R12 | success (marked by hand) | try 1 failed | not needed | terminal success |
| R13 | failed with a later end (Airflow 2 repeats the handling) | try 1 failed | not needed | nothing |
| R14 | failed with a later end, max_tries raised by a clear | try 1 failed | not needed | terminal failed |
| R15 | success before counting began | nothing | not needed | nothing |
| R16 | skipped without an end date, at the very first poll | nothing | not needed | nothing |
| R17 | skipped after it ran, no end date yet, Airflow 2 | try 1 running | not needed | nothing |
| R18 | skipped after it ran, no end date yet, Airflow 2 | try 1 skipped, not counted | not needed | \
try skipped, terminal skipped |
| H1 | running try 2 | try 1 running | try 1 success | try success, terminal success |
| H2 | running try 2 | try 1 running | try 1 failed | try retried |
| H3 | running try 2, max_tries raised | try 1 running | try 1 failed | try cleared |
| H4 | running try 4, max_tries raised | try 3 running | try 3 failed, the last allowed | try failed, terminal failed |
| H5 | running try 4 | try 3 running | try 3 failed, the last allowed | try cleared |
| H6 | running try 2, max_tries raised | try 1 deferred | try 1 failed, the only one allowed | try cleared |
| H7 | up_for_retry, Airflow 3; its run was cleared when the try ended | try 1 running | try 1 failed | try cleared |
| H8 | up_for_retry, Airflow 2; ends 4 s after its archived copy | try 1 running | try 1 failed | try cleared |
| H9 | up_for_retry, Airflow 2 | try 1 running | try 1 failed | try retried |
| H10 | upstream_failed, still with the process of try 1 | try 1 running | try 1 success | try success, \
terminal success, terminal upstream_failed |
| H11 | success try 2; the same poll saw restarting before | try 1 running | try 1 failed | try cleared, try success, \
terminal success |
| H12 | success try 3 | nothing | try 1 is too old, try 2 failed | try retried, try success, terminal success |
| H13 | running try 3 | try 1 running | try 2 failed, without try 1 | unaccounted not_in_history, try retried |
| H14 | gone | try 2 running | try 1 failed, then a row without a state (reset by a scheduler) | try cleared |
| G1 | gone | try 1 running | try 1 success, then a cleared row | try success, terminal success |
| G2 | gone | try 1 running | try 1 failed, may be tried again | nothing |
| G3 | gone | try 1 running | deleted | unaccounted deleted |
| G4 | gone | try 2 queued | deleted | nothing |
| U1 | success try 2 | nothing | unanswered for 15 minutes | unaccounted unanswered, try success, terminal success |
| U2 | up_for_retry, Airflow 2 | try 1 running | unanswered for 15 minutes | try retried |
| U3 | gone | try 1 running | unanswered for 15 minutes | unaccounted unanswered |
"""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

import msgspec

from exporter.sources.airflow.api.objects.task_instances import TaskInstance


class TryOutcome(StrEnum):
    """How a try ended."""

    SUCCESS = "success"
    FAILED = "failed"
    """For good: Airflow does not retry it."""
    RETRIED = "retried"
    """It failed, and Airflow tries the task again."""
    CLEARED = "cleared"
    """A user cleared the task while the try ran."""
    SKIPPED = "skipped"
    """The task ran and skipped itself, or a sensor failed softly."""


class EndedTry(NamedTuple):
    """A try that ran has ended."""

    row: TaskInstance
    outcome: TryOutcome


class TerminalState(NamedTuple):
    """A task instance reached a terminal state: success, failed, skipped, upstream_failed or removed."""

    row: TaskInstance
    state: str


class UnaccountedTry(NamedTuple):
    """A try ran, but its outcome can no longer be determined. `reason` is the label of the metric."""

    dag_id: str
    task_id: str
    reason: str


CountedEvent = EndedTry | TerminalState | UnaccountedTry
TerminalKey = tuple[int, str, float | None]
"""What identifies a terminal state of a task instance: try number, state and end date (Unix seconds)."""


Process = tuple[str, int | None]
"""Host name and process id."""


class TaskRecord(msgspec.Struct, frozen=True, array_like=True):
    """What the state file remembers of one task instance.

    It is stored as an array: add fields at the end and with a default, so that older files stay readable.
    """

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    state: str
    last_counted_try: int
    """The newest try number that was dealt with. Tries up to it are never counted again."""
    ran: bool = False
    """Whether the newest try was seen with a process."""
    last_terminal: TerminalKey | None = None
    last_end: float | None = None
    """When the last counted try ended. A later try whose start is before that never ran, unless its process is new."""
    terminal_max_tries: int | None = None
    """`max_tries` of the row when it reached `last_terminal`. None in records of older releases of the exporter."""
    last_process: Process | None = None
    """Of the last counted try if it is retried. Its retry ran if it has another one, even if its start is stale."""


class Decision(NamedTuple):
    """The result for one task instance: the record to keep (None: forget it) and the events to count."""

    record: TaskRecord | None
    events: tuple[CountedEvent, ...] = ()
    needs_tries: bool = False
    """The history of tries must be read first. Until then only the record holds."""
    awaits_end: bool = False
    """Airflow is just writing the row: the next poll is to list its run again. Until then only the record holds."""
    may_check_tries: bool = False
    """The history of tries may show a better outcome. The decision holds where reading it would cost too much."""

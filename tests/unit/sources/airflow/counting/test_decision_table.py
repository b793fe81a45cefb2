"""Each line of the decision table of exact counting is a case; its words are defined here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.counting import decision as module
from exporter.sources.airflow.counting.decision import Decision, TaskRecord
from exporter.sources.airflow.counting.rows import apply_row, drop_undated
from exporter.sources.airflow.counting.try_history import abandon, resolve_deleted, resolve_history
from tests.unit.sources.airflow.counting.task_rows import COUNT_FROM, counted, make_record, make_row, make_running

DOCS = Path(__file__).parents[5] / "docs" / "counting.md"


class Line(NamedTuple):
    """One line of the table."""

    name: str
    row: str
    remembered: str
    history: str
    counted: str


def read_table(text: str) -> list[Line]:
    rows = [line.strip().strip("|").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    lines = [Line(*map(str.strip, cells)) for cells in rows if len(cells) == 5]
    return [line for line in lines if line.name not in ("line", "---")]


TABLE = read_table(module.__doc__ or "")
AIRFLOW_3: dict[str, Any] = {"uuid": "018f"}
NEVER_RAN: dict[str, Any] = {"hostname": "", "pid": None}


class Row(NamedTuple):
    """What a poll finds of a task instance, and what it knows beside."""

    row: TaskInstance | None
    before: TaskInstance | None = None
    run_cleared_at: float | None = None
    first_poll: bool = False


def second_row(state: str, number: int = 2) -> TaskInstance:
    return make_row(state, number, start_date=1030.0, end_date=1040.0)


ROWS: dict[str, Row] = {
    "running": Row(make_running()),
    "success": Row(make_row("success")),
    "failed": Row(make_row("failed")),
    "skipped after it ran": Row(make_row("skipped")),
    "up_for_retry, Airflow 3": Row(make_row("up_for_retry", **AIRFLOW_3)),
    "up_for_retry, Airflow 2": Row(make_row("up_for_retry")),
    "restarting": Row(make_row("restarting")),
    "upstream_failed, never ran": Row(make_row("upstream_failed", 0, **NEVER_RAN)),
    "success, never ran (EmptyOperator)": Row(make_row("success", **NEVER_RAN)),
    "skipped, never ran (branch)": Row(make_row("skipped", 0, start_date=1020.0, **NEVER_RAN)),
    "failed, try 2 with the start of try 1 (never left the queue)": Row(make_row("failed", 2, end_date=1060.0)),
    "failed, try 2 with the start of try 1, but another process (3.0: a retry of a deferred task)": Row(
        make_row("failed", 2, end_date=1060.0, pid=4712)
    ),
    "success (marked by hand)": Row(make_row("success", end_date=1060.0)),
    "failed with a later end (Airflow 2 repeats the handling)": Row(make_row("failed", end_date=1057.0)),
    "failed with a later end, max_tries raised by a clear": Row(make_row("failed", end_date=1057.0, max_tries=4)),
    "success before counting began": Row(make_row("success", start_date=890.0, end_date=900.0)),
    "skipped without an end date, at the very first poll": Row(
        make_row("skipped", 0, start_date=None, end_date=None, **NEVER_RAN), first_poll=True
    ),
    "skipped after it ran, no end date yet, Airflow 2": Row(make_row("skipped", end_date=None)),
    "running try 2": Row(make_running(2, start_date=1030.0)),
    "running try 2, max_tries raised": Row(make_running(2, start_date=1030.0, max_tries=3)),
    "running try 3": Row(make_running(3, start_date=1030.0)),
    "running try 4": Row(make_running(4, start_date=1030.0)),
    "running try 4, max_tries raised": Row(make_running(4, start_date=1030.0, max_tries=5)),
    "up_for_retry, Airflow 3; its run was cleared when the try ended": Row(
        make_row("up_for_retry", end_date=1024.0, **AIRFLOW_3), run_cleared_at=1020.1
    ),
    "up_for_retry, Airflow 2; ends 4 s after its archived copy": Row(make_row("up_for_retry", end_date=1024.0)),
    "upstream_failed, still with the process of try 1": Row(make_row("upstream_failed", end_date=1030.0, max_tries=3)),
    "success try 2": Row(second_row("success")),
    "success try 2; the same poll saw restarting before": Row(
        second_row("success"), before=make_row("restarting", end_date=1024.0)
    ),
    "success try 3": Row(second_row("success", 3)),
    "gone": Row(None),
}

REMEMBERED: dict[str, TaskRecord | None] = {
    "nothing": None,
    "try 1 running": make_record(),
    "try 2 running": make_record(number=2, last_counted=1),
    "try 3 running": make_record(number=3, last_counted=2),
    "try 1 deferred": make_record("deferred", ran=True),
    "try 2 queued": make_record("queued", 2, last_counted=1),
    "try 1 retried": apply_row(make_row("up_for_retry"), make_record(), COUNT_FROM).record,
    "try 1 success": apply_row(make_row("success"), make_record(), COUNT_FROM).record,
    "try 1 failed": apply_row(make_row("failed"), make_record(), COUNT_FROM).record,
    "try 1 skipped, not counted": apply_row(make_row("skipped", end_date=None), make_record(), COUNT_FROM).record,
}

FAILED = make_row("failed", 1)
HISTORIES: dict[str, list[TaskInstance]] = {
    "try 1 success": [make_row("success", 1)],
    "try 1 failed": [FAILED],
    "try 3 failed, the last allowed": [make_row("failed", 3)],
    "try 1 failed, the only one allowed": [make_row("failed", 1, max_tries=0)],
    "try 1 is too old, try 2 failed": [make_row("failed", 1, start_date=890.0, end_date=900.0), make_row("failed", 2)],
    "try 2 failed, without try 1": [make_row("failed", 2)],
    "try 1 success, then a cleared row": [make_row("success", 1), make_row(None, 1, max_tries=3)],
    "try 1 failed, then a row without a state (reset by a scheduler)": [
        FAILED,
        make_row(None, 2, start_date=1030.0, end_date=None),
    ],
    "try 1 failed, may be tried again": [FAILED],
}


def decide(line: Line) -> Decision:
    """The decision for a line, made as the reader of task instances makes it."""
    found, known = ROWS[line.row], REMEMBERED[line.remembered]
    if found.row is not None:
        by_row = apply_row(found.row, known, COUNT_FROM, found.run_cleared_at)
        reads_history = by_row.needs_tries or by_row.may_check_tries
        assert reads_history == (line.history != "not needed")
        if not reads_history:
            return drop_undated(by_row) if found.first_poll else by_row
    if line.history == "deleted":
        return resolve_deleted(known)
    if line.history == "unanswered for 15 minutes":
        return abandon(found.row, known, COUNT_FROM)
    tries = [*HISTORIES[line.history]]
    if found.row is not None and found.row.state != "up_for_retry":
        tries.append(found.row)
    return resolve_history(found.row, known, tries, COUNT_FROM, found.run_cleared_at, found.before)


def words(decision: Decision) -> str:
    """The events of a decision as the table writes them."""
    return ", ".join(f"{event[0]} {event[-1]}" for event in counted(decision)) or "nothing"


@pytest.mark.parametrize("line", TABLE, ids=lambda line: line.name)
def test_a_line_is_counted_as_the_table_says(line: Line) -> None:
    assert words(decide(line)) == line.counted


SETTLED = [line for line in TABLE if line.row != "gone" and not decide(line).awaits_end]


@pytest.mark.parametrize("line", SETTLED, ids=lambda line: line.name)
def test_the_next_poll_counts_nothing_again(line: Line) -> None:
    row = ROWS[line.row].row
    assert row is not None
    assert not apply_row(row, decide(line).record, COUNT_FROM).events


def test_every_line_has_a_name_of_its_own() -> None:
    names = [line.name for line in TABLE]
    assert len(set(names)) == len(names) > 30


def test_every_word_is_used() -> None:
    assert {line.row for line in TABLE} == ROWS.keys()
    assert {line.remembered for line in TABLE} == REMEMBERED.keys()
    assert {line.history for line in TABLE} >= HISTORIES.keys()


def test_the_documentation_shows_the_same_table() -> None:
    assert read_table(DOCS.read_text()) == TABLE

"""Rows and records of one task instance, and the events of a decision in short, for tests of counting."""

from __future__ import annotations

from typing import Any

from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.counting.decision import Decision, EndedTry, TaskRecord, TerminalState, UnaccountedTry

COUNT_FROM = 1000.0


def make_row(state: str | None, number: int = 1, **changes: Any) -> TaskInstance:
    """A row of a task that ran from 1010 to 1020 with two retries allowed."""
    fields: dict[str, Any] = {
        "dag_id": "d", "run_id": "r", "task_id": "t", "state": state, "try_number": number, "max_tries": 2,
        "scheduled_when": 1001.0, "queued_when": 1005.0, "start_date": 1010.0, "end_date": 1020.0,
        "hostname": "worker", "pid": 7,
    }  # fmt: skip
    return TaskInstance(**(fields | changes))


def make_running(number: int = 1, **changes: Any) -> TaskInstance:
    fields: dict[str, Any] = {"state": "running", "number": number, "end_date": None} | changes
    return make_row(**fields)


def make_record(state: str = "running", number: int = 1, last_counted: int = 0, **changes: Any) -> TaskRecord:
    fields: dict[str, Any] = {"ran": state == "running", "last_terminal": None} | changes
    return TaskRecord("d", "r", "t", -1, number, state, last_counted, **fields)


def counted(decision: Decision) -> list[tuple[str, ...]]:
    """The events of a decision in short."""
    words: list[tuple[str, ...]] = []
    for event in decision.events:
        match event:
            case EndedTry(row, outcome):
                words.append(("try", str(row.try_number), str(outcome)))
            case TerminalState(_, state):
                words.append(("terminal", state))
            case UnaccountedTry(_, _, reason):
                words.append(("unaccounted", reason))
    return words

"""Tries that killed themselves on a real Airflow 2.11.2, and others that were cleared there, polled at any moment.

Each case of the recording is one task instance: its versions and archived copies as they were committed, as (second,
whether it is an archived copy, state, try number, max_tries, start, end). The machine was very busy, so that Airflow
handled each failure up to three times.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.counting.decision import EndedTry, TaskRecord, TerminalState
from exporter.sources.airflow.counting.rows import apply_row
from exporter.sources.airflow.counting.try_history import resolve_history

RECORDED: dict[str, list[Any]] = json.loads(
    (Path(__file__).parents[4] / "data" / "counting" / "killed-2.11.2.json").read_text()
)
Version = tuple[float, bool, TaskInstance]
Events = Counter[tuple[str, ...]]


def read_case(rows: list[Any]) -> list[Version]:
    return [(at, archived, make_row(*fields)) for at, archived, *fields in rows]


def make_row(state: str, number: int, limit: int, start: float, end: float | None) -> TaskInstance:
    return TaskInstance(
        dag_id="d", run_id="r", task_id="t", state=state, try_number=number, max_tries=limit,
        start_date=start, end_date=end, hostname="w", pid=7,
    )  # fmt: skip


def poll(versions: list[Version], phase: float, interval: float) -> Events:
    """What an exporter counts that polls until everything has ended."""
    events: Events = Counter()
    known: TaskRecord | None = None
    moment = versions[0][0] + phase
    while moment < versions[-1][0] + 2 * interval:
        seen = [(archived, row) for at, archived, row in versions if at <= moment]
        rows = [row for archived, row in seen if not archived]
        if rows:
            row = rows[-1]
            tries = [row for archived, row in seen if archived] + ([row] if row.state != "up_for_retry" else [])
            decision = apply_row(row, known, 0.0)
            if decision.needs_tries or decision.may_check_tries:
                decision = resolve_history(row, known, tries, 0.0)
            known = decision.record
            for event in decision.events:
                match event:
                    case EndedTry(row, outcome):
                        events["try", str(row.try_number), str(outcome)] += 1
                    case TerminalState(row, state):
                        events["terminal", state] += 1
        moment += interval
    return events


def expect(case: str, versions: list[Version]) -> Events:
    """What the case's task did. The next try of a retried one does not run where Airflow fails it in the queue."""
    if "long" in case:
        return Counter({("try", "1", "cleared"): 1, ("try", "2", "success"): 1, ("terminal", "success"): 1})
    if "noretry" in case:
        return Counter({("try", "1", "failed"): 1, ("terminal", "failed"): 1})
    second = any(row.state == "running" and row.try_number == 2 for _, _, row in versions)
    events: Events = Counter({("try", "1", "retried"): 1, ("terminal", "failed"): 1})
    if second:
        events["try", "2", "failed"] = 1
    return events


@pytest.mark.parametrize("case", RECORDED)
def test_each_is_counted_once_and_with_its_outcome(case: str) -> None:
    versions = read_case(RECORDED[case])
    # Airflow 2 shows that a try was cleared until the next one runs, here 20 s later.
    found = {
        (interval, phase): poll(versions, phase, float(interval))
        for interval in ((5, 20) if "long" in case else (5, 30, 120))
        for phase in (0.0, 0.3, 1.1, 2.9, 4.7, *range(6, interval, 3))
    }
    assert {moment: events for moment, events in found.items() if events != expect(case, versions)} == {}

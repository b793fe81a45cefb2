"""`airflow-exporter diagnose`: the three parts in text, what one reading does not know, and the exit code."""

from __future__ import annotations

from collections import Counter

import pytest

from exporter.commands.diagnose import NO_COSTS, NO_FAILURES, WINDOW, needs_attention, to_text
from exporter.diagnosis.findings import Finding
from exporter.diagnosis.reasons import POOL, RETRY_DELAY
from exporter.diagnosis.report import CostFinding, Diagnosis, FailedTry, FailureFinding, HostSizing
from exporter.sources.airflow.counting.cursor import Cursor, next_range

TRY = FailedTry("sales", "load", "r", 3, 2, 0.0, "network", True, "https://airflow.example.org/x")
FAILURE = FailureFinding("network", "No connection.", 3, {"sales": 3}, ["3 of 4 recover."], "Look at DNS.", TRY)
COST = CostFinding("poking_sensors", "sales.wait", "Sensors hold slots.", ["2 h a day."], "Reschedule.", 7200.0)
WAITING = Finding(POOL, "forklifts", tasks=7, dags=Counter(sales=7), suggestion="Try 4 slots.")
NORMAL = Finding(RETRY_DELAY, "sales.load", tasks=1)


def test_it_has_the_parts_of_the_page() -> None:
    lines = list(to_text(Diagnosis(100.0, [WAITING], [FAILURE], [TRY], [COST])))
    assert [line for line in lines if line.isupper()] == ["WAITING NOW", "FAILING NOW", "COSTS"]
    for line in (
        "pool: 7 task instances wait (pool forklifts)",
        "  -> Try 4 slots.",
        "network: 3 failed tries in the last 15 minutes",
        "  3 of 4 recover.",
        "  1970-01-01 00:00:00 UTC sales load [3], try 2: network https://airflow.example.org/x",
        "poking_sensors: sales.wait",
        "  -> Reschedule.",
    ):
        assert line in lines
    assert NO_FAILURES not in lines
    assert NO_COSTS not in lines


def test_it_says_that_nothing_is_found() -> None:
    lines = list(to_text(Diagnosis(100.0)))
    assert "Nothing waits." in lines
    assert NO_FAILURES in lines
    assert NO_COSTS in lines


@pytest.mark.parametrize(
    ("diagnosis", "expected"),
    [
        (Diagnosis(1.0), False),
        (Diagnosis(1.0, [NORMAL], failed_tries=[TRY]), False),
        (Diagnosis(1.0, [NORMAL, WAITING]), True),
        (Diagnosis(1.0, failures=[FAILURE]), True),
        (Diagnosis(1.0, costs=[COST]), True),
    ],
)
def test_when_it_is_more_than_normal_work(diagnosis: Diagnosis, expected: bool) -> None:
    assert needs_attention(diagnosis) is expected


def test_what_failed_lately_is_read_in_one_poll() -> None:
    cursor = Cursor(10_000.0 - WINDOW, 10_000.0 - WINDOW)
    assert next_range(cursor, 10_000.0).until is None


def test_what_a_slot_costs_comes_last() -> None:
    sizing = [HostSizing("worker-1", cpu=0.5, more_by_cpu=4, evidence=["eight CPUs"], unknown=["the memory"])]
    assert list(to_text(Diagnosis(100.0), sizing))[-6:] == [
        "SIZING",
        "worker-1",
        "  a slot costs: CPU: 0.50 CPUs, memory: not known",
        "  room for more tasks: by CPU: 4 more, by memory: not known",
        "  eight CPUs",
        "  not known: the memory",
    ]

"""Runs: gaps in which nothing ran, and runs in which everything was skipped."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.diagnosis.costs import runs as module
from exporter.diagnosis.costs.runs import MAX_GAP_SECONDS, SETTLE_SECONDS, RunBook
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from tests.unit.diagnosis.rows import run, task


def ended(task_id: str, start: float, end: float, **more: Any) -> TaskInstance:
    """A try that was scheduled and queued a second before its start."""
    fields = {"scheduled_when": start - 1, "queued_when": start - 1, "start_date": start, "end_date": end} | more
    return task("success", task_id, **({"try_number": 1} | fields))


def make_book(start: float = 100.0) -> RunBook:
    book = RunBook()
    book.begin([run(start_date=start)], 0.0)
    return book


def list_gaps(book: RunBook, *rows: TaskInstance, active: tuple[TaskInstance, ...] = ()) -> list[float]:
    return [gap for _, gap in book.add_tries(rows, active)]


def test_gaps_lie_between_the_end_of_a_task_and_the_scheduling_of_the_next() -> None:
    assert list_gaps(make_book(), ended("a", 103, 110), ended("b", 116, 120)) == [2, 5]


def test_gaps_go_on_over_readings() -> None:
    book = make_book()
    list_gaps(book, ended("a", 103, 110))
    assert list_gaps(book, ended("b", 116, 120)) == [5]


def test_there_is_no_gap_while_another_task_of_the_run_is_running() -> None:
    book = make_book()
    assert list_gaps(book, ended("long", 101, 200), ended("a", 101, 110), ended("b", 116, 120)) == [0, 0, 0]
    still = task("running", "long", start_date=101.0)
    assert list_gaps(make_book(), ended("a", 101, 110), ended("b", 116, 120), active=(still,)) == [0, 0]


def test_other_runs_do_not_fill_a_gap() -> None:
    other = task("running", "long", start_date=101.0, run_id="r2")
    assert list_gaps(make_book(), ended("a", 101, 110), ended("b", 116, 120), active=(other,)) == [0, 5]


@pytest.mark.parametrize(
    "more",
    [
        {"try_number": 2},
        {"operator": "PythonSensor"},
        {"queued_when": 117.0},
        {"scheduled_when": 111 + MAX_GAP_SECONDS},
    ],
)
def test_waits_for_a_retry_a_poke_a_trigger_or_something_else_are_no_gap(more: dict[str, Any]) -> None:
    start = 116 + (MAX_GAP_SECONDS if "scheduled_when" in more else 0)
    assert list_gaps(make_book(), ended("a", 101, 110), ended("b", start, start + 5, **more)) == [0, 0]


def test_on_airflow_2_the_time_when_it_was_queued_is_taken() -> None:
    rows = ended("a", 101, 110), ended("b", 116, 120, scheduled_when=None, queued_when=113.0)
    assert list_gaps(make_book(), *rows) == [0, 3]


def test_a_run_whose_start_is_unknown_has_no_gap_before_its_first_task() -> None:
    assert list_gaps(RunBook(), ended("a", 103, 110), ended("b", 116, 120)) == [0, 5]


def judge(book: RunBook, *ends: tuple[TaskInstance, bool]) -> list[bool]:
    for row, ran in ends:
        book.add_end(row, ran=ran)
    book.end([run("success", start_date=100.0, end_date=200.0)])
    assert not list(book.take_settled(200.0 + SETTLE_SECONDS - 1))
    return [record.did_nothing for _, record in book.take_settled(200.0 + SETTLE_SECONDS)]


@pytest.mark.parametrize(
    "operator", ["BranchPythonOperator", "_ShortCircuitDecoratedOperator", "PythonSensor", "EmptyOperator"]
)
def test_a_run_in_which_a_task_decided_and_the_others_were_skipped_did_nothing(operator: str) -> None:
    decided = task("success", "choose", operator=operator)
    assert judge(make_book(), (decided, True), (task("skipped", "work"), False)) == [True]


def test_a_run_whose_only_task_skipped_itself_did_nothing() -> None:
    assert judge(make_book(), (task("skipped", operator="PythonOperator"), True)) == [True]


@pytest.mark.parametrize(
    "rows",
    [
        [(task("success", "work", operator="PythonOperator"), True), (task("skipped", "other"), False)],
        [(task("failed", "work"), True), (task("skipped", "other"), False)],
        [(task("upstream_failed", "work"), False), (task("skipped", "other"), False)],
        [(task("success", "nothing", operator="EmptyOperator"), False)],
        [],
    ],
)
def test_a_run_that_worked_failed_or_skipped_nothing_is_none_of_these(rows: list[tuple[TaskInstance, bool]]) -> None:
    assert judge(make_book(), *rows) == [False]


def test_a_run_that_was_not_seen_from_its_start_is_not_judged() -> None:
    book = RunBook()
    book.begin([run(start_date=100.0)], 101.0)
    assert judge(book, (task("skipped"), True)) == [False]


def test_the_number_of_runs_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RUNS", 3)
    book = RunBook()
    book.begin([run(run_id=f"r{number}", start_date=1.0) for number in range(10)], 0.0)
    assert len(list(book.list_active())) == 3

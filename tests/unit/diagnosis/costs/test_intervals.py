"""Times of a schedule that were left out, from run to run."""

from __future__ import annotations

from typing import Any

from exporter.diagnosis.costs.intervals import Intervals
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.dags import Dag
from tests.unit.diagnosis.rows import run

MINUTE = 60.0
BEGIN = 1_767_225_600.0  # 2026-01-01 00:00 UTC


def made(*minutes: int, run_type: str = "scheduled") -> list[DagRun]:
    return [run(run_id=f"r{one}", logical_date=BEGIN + one * MINUTE, run_type=run_type) for one in minutes]


def dags(schedule: str = "* * * * *", **more: Any) -> dict[str, Dag]:
    return {"orders": Dag(dag_id="orders", schedule=schedule, **more)}


def find(intervals: Intervals, *minutes: int, known: dict[str, Dag] | None = None) -> dict[str, int]:
    return dict(intervals.find_skipped(known or dags(), made(*minutes)))


def test_each_time_that_was_left_out_counts_once() -> None:
    intervals = Intervals()
    assert find(intervals, 0) == {}
    assert find(intervals, 0, 1) == {}
    assert find(intervals, 1, 4) == {"orders": 2}
    assert find(intervals, 4) == {}
    assert find(intervals, 4, 7, 8) == {"orders": 2}


def test_runs_of_one_reading_count_in_the_order_of_their_dates() -> None:
    intervals = Intervals()
    find(intervals, 0)
    assert find(intervals, 6, 3) == {"orders": 4}


def test_manual_runs_and_backfills_fill_no_gap() -> None:
    intervals = Intervals()
    find(intervals, 0)
    assert not dict(intervals.find_skipped(dags(), made(1, run_type="manual")))
    assert find(intervals, 2) == {"orders": 1}


def test_a_pause_leaves_out_nothing() -> None:
    intervals = Intervals()
    find(intervals, 0)
    assert find(intervals, 0, known=dags(is_paused=True)) == {}
    assert find(intervals, 60) == {}
    assert find(intervals, 62) == {"orders": 1}


def test_a_new_schedule_begins_again() -> None:
    intervals = Intervals()
    find(intervals, 0)
    assert find(intervals, 10, known=dags("*/5 * * * *")) == {}
    assert find(intervals, 20, known=dags("*/5 * * * *")) == {"orders": 1}


def test_a_schedule_that_is_not_understood_leaves_out_nothing() -> None:
    intervals = Intervals()
    find(intervals, 0, known=dags("Asset"))
    assert find(intervals, 60, known=dags("Asset")) == {}


def test_a_removed_dag_is_forgotten() -> None:
    intervals = Intervals()
    find(intervals, 0)
    assert not dict(intervals.find_skipped({}, []))
    assert find(intervals, 60) == {}

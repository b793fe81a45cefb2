"""Findings on costs: figures and settings, and silence just below each threshold."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.diagnosis.costs.findings import DagCosts, Surroundings, find_costs
from exporter.diagnosis.costs.rows import MemoryGrowth
from exporter.diagnosis.report import CostFinding

MEBI = 1024.0**2
AROUND = Surroundings(observed=3_600.0, slots=32.0, queued=0.2, running=1.0)
FINE: dict[str, Any] = {
    "tries_per_run": 150,
    "short_per_run": 150,
    "short_tries": 900,
    "short_task": "tiny",
    "median_duration": 1.1,
}
SLOW: dict[str, Any] = {
    "period": 60.0,
    "max_active_runs": 1,
    "run_durations": (150.0, 151.0, 152.0),
    "skipped_intervals": 6,
}
WITHOUT_WORK: dict[str, Any] = {"runs_without_work": 3, "idle_run_seconds": 30.0}


def find(around: Surroundings = AROUND, **costs: Any) -> list[CostFinding]:
    return find_costs([DagCosts("orders", **costs)], around, {})


def find_growing(*peaks: tuple[float, float], steady: bool = True) -> list[CostFinding]:
    growing = {
        ("orders", f"t{number}"): MemoryGrowth(old * MEBI, new * MEBI, 8, steady=steady)
        for number, (old, new) in enumerate(peaks)
    }
    return find_costs([], AROUND, growing)


def test_a_dag_without_costs_has_no_finding() -> None:
    assert find() == []


def test_too_fine_tasks_are_named_with_a_batch_to_try() -> None:
    [found] = find(**FINE)
    assert (found.name, found.object) == ("too_fine", "orders")
    assert found.seconds == pytest.approx(900 * 1.2)
    assert "150 of 150 tries of a run, mostly of tiny, half of its tries end within 1.1 s" in found.evidence
    assert "batch of some 15 items" in found.suggestion


@pytest.mark.parametrize(
    ("around", "changed"),
    [
        (AROUND, {"tries_per_run": 100, "short_per_run": 100}),
        (AROUND, {"short_per_run": 75}),
        (Surroundings(3_600.0), {}),
    ],
)
def test_few_tasks_tasks_that_work_and_an_unknown_start_are_no_finding(
    around: Surroundings, changed: dict[str, Any]
) -> None:
    assert find(around, **(FINE | changed)) == []


def test_sensors_that_hold_a_tenth_of_the_slots_are_named() -> None:
    [found] = find(poked_seconds=3.2 * 3_600)
    assert (found.name, found.seconds) == ("poking_sensor", 3.2 * 3_600)
    assert "3.2 slots on average, 10 % of 32, over 1 h" in found.evidence
    assert "deferrable=True" in found.suggestion
    assert find(poked_seconds=3.1 * 3_600) == []


def test_without_parallelism_one_slot_all_the_time_is_named() -> None:
    assert [one.name for one in find(AROUND._replace(slots=None), poked_seconds=3_600.0)] == ["poking_sensor"]
    assert find(AROUND._replace(slots=None), poked_seconds=3_500.0) == []


def test_a_share_over_a_short_time_says_nothing() -> None:
    assert find(AROUND._replace(observed=100.0), poked_seconds=3_000.0) == []


def test_a_dag_that_is_slower_than_its_schedule_is_named_with_the_runs_that_it_needs() -> None:
    [found] = find(**SLOW)
    assert found.name == "slower_than_schedule"
    assert found.seconds == pytest.approx(90 + 91 + 92)
    assert "times of the schedule without a run: 6" in found.evidence
    assert "set max_active_runs to 3" in found.suggestion


@pytest.mark.parametrize("changed", [{"max_active_runs": 3}, {"run_durations": (150.0, 151.0)}, {"period": None}])
def test_runs_that_may_overlap_few_runs_and_an_unknown_schedule_are_no_finding(changed: dict[str, Any]) -> None:
    assert find(**(SLOW | changed)) == []


def test_runs_in_which_everything_was_skipped_are_named() -> None:
    [found] = find(**WITHOUT_WORK)
    assert (found.name, found.seconds) == ("all_skipped", 30.0)
    assert find(**(WITHOUT_WORK | {"runs_without_work": 2})) == []


def test_a_task_whose_memory_grows_is_named() -> None:
    [found] = find_growing((100, 200))
    assert (found.name, found.object) == ("memory_growth", "orders.t0")
    assert "peak of 200 MiB after 100 MiB, over 8 tries" in found.evidence
    assert "orders.t0" in found.suggestion


@pytest.mark.parametrize(("peaks", "steady"), [((100, 120), True), ((40, 70), True), ((100, 200), False)])
def test_small_and_unsteady_growth_is_no_finding(peaks: tuple[float, float], *, steady: bool) -> None:
    assert find_growing(peaks, steady=steady) == []


def test_if_many_tasks_grow_it_is_the_worker() -> None:
    found = find_growing((100, 200), (100, 300), (100, 250))
    assert [one.object for one in found] == ["orders.t1", "orders.t2", "orders.t0"]
    assert all("worker_max_tasks_per_child" in one.suggestion for one in found)


def test_the_dearest_comes_first() -> None:
    assert [one.name for one in find(**FINE, **WITHOUT_WORK, **SLOW)] == [
        "too_fine",
        "slower_than_schedule",
        "all_skipped",
    ]

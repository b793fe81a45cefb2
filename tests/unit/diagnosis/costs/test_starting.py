"""What starting a try costs, learned from the quickest tries."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.diagnosis.costs import starting
from exporter.diagnosis.costs.starting import MAX_QUICK_SECONDS, MAX_STARTS, MIN_QUEUED, StartCost
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from tests.unit.diagnosis.rows import NOW, task


def ended(queued: float = 0.3, duration: float = 20.0, **more: Any) -> TaskInstance:
    """A try that waited for `queued` seconds and ran for `duration`."""
    fields = {"queued_when": NOW - queued, "start_date": NOW, "end_date": NOW + duration} | more
    return task("success", **fields)


def learn(*rows: TaskInstance) -> StartCost:
    cost = StartCost()
    cost.learn(rows)
    return cost


def test_nothing_is_said_before_enough_tries_ended() -> None:
    cost = learn(*[ended()] * (MIN_QUEUED - 1))
    assert cost.queued is None
    assert cost.get_start_seconds(ended()) == 0
    assert not cost.is_short(ended(duration=0.0))


def test_the_least_is_that_of_the_quickest_even_if_most_wait_for_a_slot() -> None:
    cost = learn(*[ended(queued=0.3, duration=0.9)] * 5, *[ended(queued=40.0, duration=1.2, task_id="other")] * 45)
    assert cost.queued == pytest.approx(0.3)
    assert cost.running == pytest.approx(0.9)
    assert cost.least == pytest.approx(1.2)


def test_a_wait_for_a_slot_is_no_cost_of_starting() -> None:
    cost = learn(*[ended(queued=0.5)] * MIN_QUEUED)
    assert cost.get_start_seconds(ended(queued=1.5)) == pytest.approx(1.5)
    assert cost.get_start_seconds(ended(queued=300.0)) == pytest.approx(MAX_STARTS * 0.5)


def test_a_deferred_try_was_queued_again_so_its_start_is_unknown() -> None:
    cost = learn(*[ended()] * MIN_QUEUED)
    assert cost.get_start_seconds(ended(queued=-30.0)) == 0


def test_tasks_that_work_do_not_show_what_a_process_costs() -> None:
    cost = learn(*[ended(duration=MAX_QUICK_SECONDS + 1)] * MIN_QUEUED)
    assert cost.running is None
    assert cost.least == pytest.approx(0.3)
    assert not cost.is_short(ended(duration=MAX_QUICK_SECONDS + 1))


def test_one_quick_try_of_a_task_is_not_its_usual_duration() -> None:
    cost = learn(ended(duration=0.5), *[ended(duration=1.0)] * MIN_QUEUED)
    assert cost.running == pytest.approx(1.0)


@pytest.mark.parametrize(("duration", "short"), [(1.05, True), (2.0, True), (2.2, False), (60.0, False)])
def test_a_try_is_short_if_it_works_for_less_time_than_its_start_costs(duration: float, *, short: bool) -> None:
    cost = learn(*[ended(queued=0.3, duration=0.9)] * MIN_QUEUED)
    assert cost.is_short(ended(duration=duration)) is short


@pytest.mark.parametrize("operator", ["PythonSensor", "DateTimeSensorAsync", "DecoratedSensorOperator"])
def test_sensors_are_never_short(operator: str) -> None:
    cost = learn(*[ended(queued=0.3, duration=0.9)] * MIN_QUEUED)
    assert not cost.is_short(ended(duration=0.9, operator=operator))


def test_the_number_of_tasks_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(starting, "MAX_TASKS", 2)
    cost = learn(*[ended(task_id=name, duration=number) for number, name in enumerate("abc", 1) for _ in range(20)])
    assert cost.get_median(("orders", "a")) is None
    assert cost.get_median(("orders", "c")) == 3


def test_on_a_busy_machine_a_process_takes_longer_but_not_without_end() -> None:
    quickest = ended(duration=1.2)
    assert learn(quickest, *[ended(duration=4.5)] * MIN_QUEUED).running == pytest.approx(4.5)
    assert learn(quickest, *[ended(duration=20.0)] * MIN_QUEUED).running is None

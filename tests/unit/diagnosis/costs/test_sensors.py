"""Slots that sensors hold: exact for those that poke, no second counted twice, the mode found by what they do."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from exporter.diagnosis.costs import sensors as module
from exporter.diagnosis.costs.sensors import SensorTime
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from tests.unit.diagnosis.rows import task

START = 1_000.0


def sensor(state: str, **more: Any) -> TaskInstance:
    fields = {"operator": "PythonSensor", "queued_when": START - 1, "start_date": START} | more
    return task(state, "wait", **fields)


class Watch:
    """A SensorTime from the first reading on, and what it has counted by mode."""

    def __init__(self, now: float = START - 100) -> None:
        self.time = SensorTime()
        self.held: Counter[str] = Counter()
        self.see(now)

    def see(self, now: float, *active: TaskInstance, ended: tuple[TaskInstance, ...] = ()) -> dict[str, float]:
        for one in self.time.update(ended, active, now):
            assert one.seconds > 0
            self.held[one.mode] += one.seconds  # type: ignore[assignment]
        return dict(self.held)


def test_a_poking_sensor_holds_its_slot_from_start_to_end() -> None:
    watch = Watch()
    assert watch.see(START + 30, sensor("running")) == {}
    assert watch.see(START + 70, sensor("running")) == {"poke": 70}
    assert watch.see(START + 100, ended=(sensor("success", end_date=START + 90),)) == {"poke": 90}


def test_a_sensor_that_ends_between_two_readings_counts_too_with_all_its_slots() -> None:
    assert Watch().see(START + 50, ended=(sensor("success", end_date=START + 20, pool_slots=3),)) == {"poke": 60}


def test_a_failed_sensor_has_held_its_slot() -> None:
    assert Watch().see(START + 50, ended=(sensor("up_for_retry", end_date=START + 20),)) == {"poke": 20}


def test_what_is_no_sensor_does_not_count() -> None:
    row = task("success", operator="PythonOperator", start_date=START, end_date=START + 9)
    assert Watch().see(START + 50, sensor("queued"), ended=(row,)) == {}


def test_a_rescheduled_sensor_holds_its_slot_during_each_poke_only() -> None:
    watch = Watch()
    watch.see(START + 1, sensor("running"))
    assert watch.see(START + 15, sensor("up_for_reschedule", end_date=START + 2)) == {"reschedule": 2}
    assert watch.see(START + 30, sensor("up_for_reschedule", end_date=START + 2)) == {"reschedule": 2}
    again = {"queued_when": START + 60, "start_date": START + 61}
    assert watch.see(START + 62, sensor("running", **again)) == {"reschedule": 3}
    assert watch.see(START + 75, ended=(sensor("success", **again, end_date=START + 64),)) == {"reschedule": 5}


def test_airflow_2_keeps_the_first_start_of_a_rescheduled_sensor_but_queues_it_again() -> None:
    watch = Watch()
    watch.see(START + 15, sensor("up_for_reschedule", end_date=START + 2))
    again = sensor("success", queued_when=START + 60, end_date=START + 63)
    assert watch.see(START + 75, ended=(again,)) == {"reschedule": 5}


def test_a_deferred_sensor_holds_its_slot_before_the_deferral_as_far_as_it_was_seen_and_after_it() -> None:
    watch = Watch()
    watch.see(START + 2, sensor("running"))
    assert watch.see(START + 15, sensor("deferred")) == {"deferred": 2}
    assert watch.see(START + 90, sensor("deferred")) == {"deferred": 2}
    resumed = sensor("success", queued_when=START + 100, end_date=START + 103)
    assert watch.see(START + 105, ended=(resumed,)) == {"deferred": 5}


def test_a_deferral_that_no_reading_saw_is_recognized_by_the_second_queueing() -> None:
    resumed = sensor("success", queued_when=START + 5, end_date=START + 7)
    assert Watch().see(START + 15, ended=(resumed,)) == {"deferred": 2}


def test_the_mode_of_a_task_is_known_for_its_next_run() -> None:
    watch = Watch()
    watch.see(START + 15, sensor("up_for_reschedule", end_date=START + 2))
    later = {"run_id": "r2", "queued_when": START + 500, "start_date": START + 501}
    assert watch.see(START + 510, ended=(sensor("success", **later, end_date=START + 504),)) == {"reschedule": 5}


def test_what_may_have_been_counted_before_a_restart_is_left_out() -> None:
    watch = Watch(START + 500)
    assert watch.see(START + 600, sensor("running")) == {"poke": 100}
    assert watch.see(START + 615, ended=(sensor("success", end_date=START + 610),)) == {"poke": 110}


def test_a_sensor_that_was_cleared_is_forgotten() -> None:
    watch = Watch()
    watch.see(START + 30, sensor("running"))
    watch.see(START + 40)
    assert not watch.time._parts


def test_the_number_of_remembered_modes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TASKS", 2)
    watch = Watch()
    for number in range(5):
        watch.see(START + number, sensor("deferred", dag_id=f"dag{number}"))
    assert len(watch.time._modes) == 2

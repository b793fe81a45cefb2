"""Deferred, rescheduled and to be retried: what is said of them, and when they are more than normal work."""

from __future__ import annotations

from typing import Any

from exporter.diagnosis.findings import Finding, Observations, build_findings
from exporter.diagnosis.waits.parked import LONG_WAIT_SECONDS, ParkedContext, RetryRule, Triggerers
from exporter.diagnosis.waits.running import Past
from exporter.diagnosis.waits.waiting import explain
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from tests.unit.diagnosis.rows import NOW, situation, task


def find(row: TaskInstance, **more: Any) -> Finding:
    given = situation(row)
    [finding] = build_findings(given, explain(given), Observations(parked=ParkedContext(NOW, **more)))
    return finding


def deferred(seconds: float = 100.0) -> TaskInstance:
    trigger: dict[str, Any] = {
        "trigger_class": "x.DateTimeTrigger",
        "trigger_created": NOW - seconds,
        "triggerer_id": 3,
    }
    return task("deferred", start_date=NOW - seconds, **trigger)


def test_a_deferred_task_names_its_trigger_its_triggerer_and_its_age() -> None:
    finding = find(deferred(), triggerers=Triggerers(1, 1_000), deferred=1)
    assert (finding.reason.name, finding.object, finding.since) == ("trigger", "orders.load", NOW - 100)
    assert finding.facts == ["trigger x.DateTimeTrigger", "in triggerer 3"]
    assert finding.patience.name == "NORMAL"


def test_without_a_triggerer_no_trigger_fires() -> None:
    finding = find(deferred(), triggerers=Triggerers(0))
    assert finding.facts[1] == "no triggerer is alive"
    assert finding.suggestion.startswith("Start a triggerer")
    assert finding.patience.name == "BUSY"


def test_more_deferred_than_the_triggerers_run_at_once() -> None:
    finding = find(deferred(), triggerers=Triggerers(2, 100.0), deferred=201)
    assert "201 are deferred, the triggerers run 200 triggers at once" in finding.facts
    assert finding.patience.name == "BUSY"


def test_a_wait_far_longer_than_in_the_past_is_more_than_normal() -> None:
    past = Past([60.0] * 10)
    assert find(deferred(600), get_past=lambda *_: past).patience.name == "NORMAL"
    longer = find(deferred(700), get_past=lambda *_: past)
    assert longer.patience.name == "BUSY"
    assert "95 % of its last 10 successful tries took up to 1 min" in longer.facts[-1]


def test_a_task_that_is_no_sensor_may_have_been_put_off_because_its_dag_was_not_found() -> None:
    finding = find(task("up_for_reschedule", start_date=NOW - 60, operator="BashOperator", try_number=1))
    assert "its DAG was not found when it started" in finding.suggestion
    sensor = find(task("up_for_reschedule", start_date=NOW - 60, operator="PythonSensor", try_number=1))
    assert sensor.suggestion == "See what orders.load waits for; its timeout ends it."


def test_without_a_known_past_half_a_day_is_the_limit() -> None:
    row = task("up_for_reschedule", start_date=NOW - LONG_WAIT_SECONDS - 1, operator="PythonSensor", try_number=1)
    finding = find(row)
    assert (finding.reason.name, finding.since) == ("sensor", NOW - LONG_WAIT_SECONDS - 1)
    assert finding.facts == ["PythonSensor, try 1 of 1", "for 12 h, longer than 12 h"]
    assert finding.patience.name == "BUSY"


def test_a_sensor_has_waited_since_it_was_first_seen_to_check_where_airflow_renews_its_start() -> None:
    row = task("up_for_reschedule", start_date=NOW - 5, operator="PythonSensor")
    finding = find(row, first_checks={("orders", "r1", "load", -1): NOW - LONG_WAIT_SECONDS - 60})
    assert (finding.since, finding.patience.name) == (NOW - LONG_WAIT_SECONDS - 60, "BUSY")


def test_a_retry_names_the_try_the_delay_and_the_class_of_the_failure() -> None:
    row = task("up_for_retry", try_number=1, max_tries=3, end_date=NOW - 60)
    rules = {("orders", "load"): RetryRule(300.0)}
    finding = find(row, retry_rules=rules, failure_classes={("orders", "load"): "network"})
    assert finding.facts == ["try 1 of 4 failed", "class of the failure: network", "retry_delay 5 min, 4 min to go"]
    assert finding.patience.name == "NORMAL"


def test_a_retry_that_waits_for_very_long_is_more_than_normal() -> None:
    row = task("up_for_retry", try_number=1, max_tries=3, end_date=NOW - 60)
    assert find(row, retry_rules={("orders", "load"): RetryRule(2_400.0)}).patience.name == "BUSY"
    growing = find(row, retry_rules={("orders", "load"): RetryRule(300.0, grows=True)})
    assert growing.facts[-1] == "retry_delay 5 min, growing from try to try"


def test_a_cleared_task_that_airflow_3_0_never_schedules_again_is_to_be_cleared_once_more() -> None:
    stopping = find(task("restarting", end_date=NOW - 10))
    assert (stopping.facts, stopping.suggestion, stopping.patience.name) == ([], "", "NORMAL")
    stuck = find(task("restarting", end_date=NOW - 480))
    assert stuck.facts == ["cleared 8 min ago; Airflow 3.0 leaves such a task in this state for ever"]
    assert (stuck.suggestion, stuck.patience.name) == ("Clear orders.load once more.", "BUSY")

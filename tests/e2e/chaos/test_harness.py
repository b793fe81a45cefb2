"""Tests of the chaos run itself: its plan, and that what is lost, doubled or steps back is noticed."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.chaos.plan import DISTURBANCES, KILLS, make_plan
from tests.e2e.chaos.watch import CounterWatch, judge_lines, read_counters
from tests.e2e.exactness.subject import Subject

TEXT = """\
# TYPE airflow_task_tries_total counter
airflow_task_tries_total{dag_id="a b"} 3
# TYPE airflow_wait_seconds histogram
airflow_wait_seconds_bucket{le="1.0"} 2
airflow_wait_seconds_sum 1.5
# TYPE airflow_dags gauge
airflow_dags 7
"""


@pytest.mark.parametrize("minutes", [2.0, 10.0, 60.0])
def test_a_plan_has_every_disturbance_and_lasts_as_long_as_asked(minutes: float) -> None:
    plan = make_plan(minutes, seed=1)
    assert {step.disturbance for step in plan} == set(DISTURBANCES)
    assert sum(step.seconds + step.calm for step in plan) == pytest.approx(minutes * 60)
    assert sum(step.kills for step in plan) == (KILLS if minutes >= 10 else 4)
    assert plan == make_plan(minutes, seed=1)


def test_only_counters_and_histograms_are_watched() -> None:
    assert read_counters(TEXT) == {
        'airflow_task_tries_total{dag_id="a b"}': 3.0,
        'airflow_wait_seconds_bucket{le="1.0"}': 2.0,
        "airflow_wait_seconds_sum": 1.5,
    }


def test_a_step_back_is_noticed_across_a_restart_too(tmp_path: Path) -> None:
    watch = CounterWatch(Subject(tmp_path, []))
    watch.compare(
        {"airflow_a_total": 3.0, "airflow_exporter_b_total": 3.0, "airflow_host_cpu_seconds_total": 3.0}, 1, 1.0
    )
    watch.compare(
        {"airflow_a_total": 2.0, "airflow_exporter_b_total": 0.0, "airflow_host_cpu_seconds_total": 0.0}, 2, 2.0
    )
    assert [str(one)[9:] for one in watch.steps_back] == ["airflow_a_total: 3, then 2"]
    watch.compare({"airflow_exporter_b_total": 4.0}, 2, 3.0)
    watch.compare({"airflow_exporter_b_total": 3.0}, 2, 4.0)
    assert len(watch.steps_back) == 2


def test_a_series_that_comes_back_lower_stepped_back_when_it_was_lost(tmp_path: Path) -> None:
    """What a full disk and a kill lose is lost then, also where the next event of a series comes minutes later."""
    watch = CounterWatch(Subject(tmp_path, []))
    watch.compare({"airflow_a_total": 1.0, "airflow_b_total": 1.0}, 1, 1.0)
    watch.compare({"airflow_b_total": 1.0}, 2, 2.0)
    watch.compare({"airflow_b_total": 1.0}, 2, 3.0)
    watch.compare({"airflow_a_total": 0.0, "airflow_b_total": 0.0}, 2, 200.0)
    assert [(one.series, one.at) for one in sorted(watch.steps_back)] == [
        ("airflow_a_total", 2.0),
        ("airflow_b_total", 200.0),
    ]


def test_an_exporter_that_ends_by_itself_is_noticed(tmp_path: Path) -> None:
    subject = Subject(tmp_path, ["--no-such-flag"])
    subject.start()
    with pytest.raises(RuntimeError, match="ended with 2"):
        subject.wait_ready()
    subject.kill()
    assert subject.ended == [2]


def test_lines_may_be_lost_only_around_kills() -> None:
    sent, spans, answered = [float(at) for at in range(100)], [(40.0, 48.0)], [10.0, 51.0, 52.0]
    assert judge_lines(sent, 88, spans, answered) == (100, 88, 12)
    assert judge_lines(sent, 88, spans, answered).right
    assert not judge_lines(sent, 87, spans, answered).right
    assert not judge_lines(sent, 101, spans, answered).right
    assert not judge_lines(sent, 99, [], answered).right

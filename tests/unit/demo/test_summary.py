"""The demo's summary of an exposition."""

from __future__ import annotations

import pytest

from demo.__main__ import Screen
from demo.summary import Samples, failing, shows, summary

EXPOSITION = """\
# TYPE airflow_info gauge
airflow_info{version="3.3.2"} 1
# TYPE airflow_dags gauge
airflow_dags{state="active"} 6
airflow_dags{state="paused"} 1
airflow_dags{state="stale"} 0
# TYPE airflow_dag_runs gauge
airflow_dag_runs{dag_id="a",run_type="scheduled",state="running"} 2
airflow_dag_runs{dag_id="b",run_type="manual",state="running"} 1
airflow_dag_runs{dag_id="b",run_type="manual",state="queued"} 0
# TYPE airflow_task_instances gauge
airflow_task_instances{dag_id="a",pool="p",queue="q",state="queued"} 4
airflow_task_instances{dag_id="a",pool="p",queue="q",state="running"} 2
# TYPE airflow_task_tries_total counter
airflow_task_tries_total{dag_id="a",task_id="t"} 30
airflow_task_tries_total{dag_id="b",task_id="t"} 12
# TYPE airflow_task_tries_failed_total counter
airflow_task_tries_failed_total{dag_id="a",task_id="t"} 5
# TYPE airflow_task_retries_total counter
airflow_task_retries_total{dag_id="a",task_id="t"} 3
# TYPE airflow_task_queued_duration_seconds histogram
airflow_task_queued_duration_seconds_bucket{queue="q",le="+Inf"} 4
airflow_task_queued_duration_seconds_count{queue="q"} 4
airflow_task_queued_duration_seconds_sum{queue="q"} 6
# TYPE airflow_pool_slots gauge
airflow_pool_slots{pool="forklifts"} 2
airflow_pool_slots{pool="endless"} +Inf
# TYPE airflow_pool_occupied_slots gauge
airflow_pool_occupied_slots{pool="forklifts",state="queued"} 1
airflow_pool_occupied_slots{pool="forklifts",state="running"} 1
# TYPE airflow_pool_waiting_slots gauge
airflow_pool_waiting_slots{pool="forklifts"} 5
"""


@pytest.fixture
def samples() -> Samples:
    return Samples(EXPOSITION)


def test_summary_adds_up(samples: Samples) -> None:
    assert summary(samples) == {
        "DAGs": "6 active, 1 paused",
        "Runs now": "3 running",
        "Runs ended": "none",
        "Tasks now": "2 running, 4 queued",
        "Tries ended": "42, of which 5 failed, 3 of these to be tried again",
        "Waits": "1.5 s queued, unknown scheduled, on average",
        "Pools": "endless 0 of inf used, 0 waiting; forklifts 2 of 2 used, 5 waiting",
    }


def test_nothing_read_yet_is_no_error() -> None:
    assert summary(Samples(""))["Pools"] == "none"


def test_labels_may_hold_anything() -> None:
    samples = Samples('# HELP a b{c="d"} 1\na{x="1, \\"} 2",y="p\\\\q\\nr"} 3e2\na_bare NaN\n')
    assert [(sample.labels, sample.value) for sample in samples.get("a")] == [({"x": '1, "} 2', "y": "p\\q\nr"}, 300.0)]
    assert len(samples.get("a_bare")) == 1
    assert not samples.get("b")


def test_another_release_does_not_count(samples: Samples) -> None:
    assert shows(samples, "3.3.2")
    assert not shows(samples, "2.11.2")


def test_an_airflow_without_dags_does_not_count() -> None:
    assert not shows(Samples('airflow_info{version="3.3.2"} 1\n'), "3.3.2")


def test_failing_readers_are_named() -> None:
    line = 'airflow_exporter_reader_success{source="airflow",reader="%s"} %d\n'
    samples = Samples(line % ("runs", 0) + line % ("dags", 1))
    assert failing(samples) == ["runs"]
    assert summary(samples)["Failing"] == "runs"


def test_outside_a_terminal_summaries_are_few(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen()
    screen.show({"DAGs": "1 active"})
    screen.show({"DAGs": "2 active"})
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) == 1
    assert shown[0].endswith("DAGs: 1 active")

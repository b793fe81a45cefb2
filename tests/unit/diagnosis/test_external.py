"""Sensors that wait for another DAG: what is said of it, and when the wait cannot end."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.diagnosis.findings import Observations, build_findings
from exporter.diagnosis.situation import Situation
from exporter.diagnosis.waits.external import ExternalDag, ExternalWait, explain_external
from exporter.diagnosis.waits.parked import ParkedContext
from exporter.diagnosis.waits.running import RunningTasks, find_suspicious
from exporter.diagnosis.waits.waiting import explain
from exporter.sources.airflow.api.objects.dags import Dag
from tests.unit.diagnosis.rows import NOW, run, situation, task

WAITS = ExternalDag("upstream", ["load"])
SENSOR: dict[str, Any] = {"operator": "ExternalTaskSensor", "start_date": NOW - 300}


def given(*dags: Dag, complete: bool = True) -> Situation:
    return situation(dags={dag.dag_id: dag for dag in dags}, runs=[run(dag_id="upstream")], complete=complete)


def judge(situation: Situation, external: ExternalDag = WAITS) -> ExternalWait:
    return explain_external("orders.wait", external, situation)


def test_a_paused_dag_is_named_with_the_way_out() -> None:
    found = judge(given(Dag(dag_id="upstream", is_paused=True)))
    assert found.facts == ["it waits for task load of DAG upstream, which is paused"]
    assert (found.suggestion, found.escalated) == ("Unpause the DAG upstream.", True)


def test_a_dag_that_is_not_there_is_a_wrong_name_or_a_lost_file() -> None:
    missing = judge(given(Dag(dag_id="upstreams")))
    assert missing.facts == ["it waits for task load of DAG upstream, which Airflow does not have"]
    assert (missing.suggestion, missing.escalated) == ("Correct external_dag_id of orders.wait.", True)
    lost = judge(given(Dag(dag_id="upstream", is_stale=True)))
    assert "no longer in the DAG files" in lost.facts[0]
    assert lost.escalated


def test_where_dags_are_hidden_none_is_called_missing() -> None:
    assert not judge(given(complete=False)).escalated


@pytest.mark.parametrize(
    ("runs", "fact"), [(0, "none of its runs is active"), (1, "1 run of it is active"), (2, "2 runs of it are active")]
)
def test_a_dag_that_runs_may_have_no_run_of_that_date(runs: int, fact: str) -> None:
    dags = {"upstream": Dag(dag_id="upstream")}
    active = [run(run_id=f"u{number}", dag_id="upstream") for number in range(runs)]
    found = judge(situation(dags=dags, runs=active), ExternalDag("upstream"))
    assert found.facts == ["it waits for DAG upstream", fact]
    assert "execution_delta" in found.suggestion
    assert not found.escalated


def test_a_rescheduled_and_a_deferred_sensor_say_so() -> None:
    key, found = ("orders", "r1", "load", -1), judge(given(Dag(dag_id="upstream", is_paused=True)))
    for state in ("up_for_reschedule", "deferred"):
        now = situation(task(state, **SENSOR))
        parked = ParkedContext(NOW, external={key: found})
        [finding] = build_findings(now, explain(now), Observations(parked=parked))
        assert (finding.patience.name, finding.suggestion) == ("BUSY", "Unpause the DAG upstream.")
        assert found.facts[0] in finding.facts


def test_a_poking_sensor_says_so_too() -> None:
    key, found = ("orders", "r1", "load", -1), judge(given(Dag(dag_id="upstream", is_paused=True)))
    [suspicion] = find_suspicious(RunningTasks(NOW, [task("running", **SENSOR)], external={key: found}))
    assert (suspicion.reason.name, suspicion.escalated, suspicion.facts[-1]) == ("polls", True, found.facts[0])
    assert suspicion.suggestion.startswith("Unpause the DAG upstream. Use mode='reschedule'")

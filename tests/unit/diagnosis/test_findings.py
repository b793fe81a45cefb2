"""A finding names the object, its limit, its use, what holds it, what waits, and what to change."""

from __future__ import annotations

import json

from exporter.diagnosis.findings import Finding, build_findings
from exporter.diagnosis.report import Diagnosis, to_json
from exporter.diagnosis.situation import Situation, Workers
from exporter.diagnosis.waits.waiting import explain
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.api.objects.pools import Pool
from tests.unit.diagnosis.rows import NOW, run, situation, task

FORKLIFTS = {"forklifts": Pool(name="forklifts", slots=2), "default_pool": Pool(name="default_pool", slots=128)}


def find(given: Situation) -> list[Finding]:
    return build_findings(given, explain(given))


def test_a_full_pool_is_named_with_its_use_its_holders_and_the_slots_that_are_missing() -> None:
    rows = [
        task("running", pool="forklifts", dag_id="moves"),
        task("running", "other", pool="forklifts", dag_id="moves"),
        task("scheduled", "a", pool="forklifts", scheduled_when=NOW - 840),
        task("scheduled", "b", pool="forklifts", scheduled_when=NOW - 60),
    ]
    [finding] = find(situation(*rows, pools=FORKLIFTS))
    assert (finding.reason.name, finding.object, finding.tasks) == ("pool", "forklifts", 2)
    assert finding.title == "2 task instances wait (pool forklifts)"
    assert finding.list_evidence(NOW) == [
        "limit 2, 2 in use",
        "held by moves (2)",
        "waiting: orders (2)",
        "the longest waits for 14 min",
    ]
    assert finding.suggestion == (
        "Pool forklifts: 2 more slots would take everything that waits now (2 slots, 2 in use)."
    )


def test_a_task_that_asks_for_more_slots_than_its_pool_has_is_named_with_both_ways_out() -> None:
    [finding] = find(situation(task("scheduled", "heavy", pool="forklifts", pool_slots=3), pools=FORKLIFTS))
    assert finding.suggestion == (
        "Give pool forklifts at least 3 slots (it has 2), or lower pool_slots of orders.heavy."
    )


def test_what_never_starts_comes_before_what_waits_for_a_limit_before_normal_work() -> None:
    rows = [
        task("deferred", "sleeps"),
        task("scheduled", "a", pool="forklifts"),
        task("scheduled", "b", pool="forklifts"),
        task("running", pool="forklifts", pool_slots=2),
        task("scheduled", "lost", pool="nowhere"),
    ]
    assert [one.reason.name for one in find(situation(*rows, pools=FORKLIFTS))] == ["pool_missing", "pool", "trigger"]


def test_max_active_tasks_of_airflow_3_shows_the_fullest_run() -> None:
    rows = [task("running", "x", run_id="r2"), task("running", "y", run_id="r2"), task("scheduled", run_id="r2")]
    limited = {"orders": Dag(dag_id="orders", max_active_tasks=2)}
    [finding] = find(situation(*rows, task("running"), runs=[run(), run(run_id="r2")], dags=limited))
    assert (finding.limit, finding.used) == (2, 2)
    assert finding.suggestion == "Raise max_active_tasks of orders from 2, by up to 1."


def test_queued_runs_are_findings_of_their_dag() -> None:
    runs = [run(), run("queued", "r2"), run("queued", "r3")]
    [finding] = find(situation(runs=runs, dags={"orders": Dag(dag_id="orders", max_active_runs=1)}))
    assert (finding.title, finding.limit, finding.used) == ("2 runs wait (dag orders)", 1, 1)
    assert finding.suggestion == "Raise max_active_runs of orders from 1, by up to 2, or shorten its runs."


def test_the_json_form_has_no_infinite_numbers() -> None:
    unlimited = {"default_pool": Pool(name="default_pool", slots=-1)}
    given = situation(task("scheduled"), task("deferred"), pools=unlimited, parallelism=float("inf"))
    text = json.dumps(to_json(Diagnosis(NOW, find(given))), allow_nan=False)
    assert json.loads(text)["findings"][0]["reason"] == "scheduler"


def test_what_the_local_executor_of_airflow_3_has_queued_is_behind_its_slots_and_not_in_use() -> None:
    rows = [task("running", "a"), task("running", "b"), *(task("queued", name) for name in "cde")]
    [finding] = find(situation(*rows, parallelism=2.0, executors=("LocalExecutor",)))
    assert (finding.reason.name, finding.tasks, finding.limit, finding.used) == ("parallelism", 3, 2, 2)


def test_a_queue_in_which_nothing_runs_while_others_work_is_named() -> None:
    rows = [task("running"), task("queued", "lost", queue="gpu", queued_when=NOW - 400)]
    [finding] = find(situation(*rows))
    assert (finding.reason.name, finding.object, finding.patience.name) == ("not_started", "gpu", "BUSY")
    assert "no task instance of queue gpu is running, 1 of other queues are" in finding.facts[0]
    assert finding.suggestion == "Start a worker with queue gpu, or correct queue= of the tasks."


def test_full_workers_are_named_with_their_slots_and_a_queue_without_worker_with_the_command() -> None:
    workers = {"default": Workers(slots=4, busy=4)}
    rows = [task("queued", "a"), task("queued", "b", queue="gpu")]
    missing, full = find(situation(*rows, workers=workers))
    assert (full.reason.name, full.object, full.limit, full.used) == ("workers_full", "default", 4, 4)
    assert "raise worker_concurrency" in full.suggestion
    assert (missing.reason.name, missing.object) == ("no_worker", "gpu")
    assert missing.suggestion == (
        "Start a worker for it (airflow celery worker --queues gpu), or correct queue= of orders.b."
    )


def test_workers_say_nothing_of_tasks_of_another_executor() -> None:
    rows = [task("queued", "a", queue="gpu", executor="KubernetesExecutor", queued_when=NOW - 5)]
    [finding] = find(situation(*rows, workers={}, executors=("CeleryExecutor", "KubernetesExecutor")))
    assert finding.reason.name == "starting"

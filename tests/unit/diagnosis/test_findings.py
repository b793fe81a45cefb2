"""A finding names the object, its limit, its use, what holds it, what waits, and what to change."""

from __future__ import annotations

import json

from exporter.diagnosis.findings import Finding, Observations, build_findings
from exporter.diagnosis.reasons import MAX_ACTIVE_TIS, POLLS, STARVED_OF_CPU
from exporter.diagnosis.report import Diagnosis, to_json
from exporter.diagnosis.situation import Situation, Workers
from exporter.diagnosis.suggestions import suggest_limit
from exporter.diagnosis.waits.running import Suspicion
from exporter.diagnosis.waits.waiting import Waiting, explain
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
        "the longest has waited for 14 min",
    ]
    assert finding.suggestion == "Raise the slots of pool forklifts from 2 to 4."


def test_slots_that_are_free_but_promised_to_others_are_explained() -> None:
    """A scheduler that is slow has not queued yet what takes the free slots."""
    rows = [task("scheduled", name, pool="forklifts") for name in "abc"]
    finding = next(one for one in find(situation(*rows, pools=FORKLIFTS)) if one.reason.name == "pool")
    assert finding.list_evidence(NOW)[0] == "limit 2, 0 in use"
    assert "2 free: others come first, or these need more at once" in finding.list_evidence(NOW)


def test_a_limit_is_doubled_at_most_and_what_would_be_needed_is_said() -> None:
    rows = [task("scheduled", name, pool="forklifts") for name in "abcde"]
    [finding] = find(situation(task("running", pool="forklifts", pool_slots=2), *rows, pools=FORKLIFTS))
    assert finding.suggestion == (
        "Raise the slots of pool forklifts from 2 to 4 (7 would take everything that waits now)."
    )


def test_deferred_tasks_of_a_pool_that_counts_them_are_among_its_holders() -> None:
    pools = {"narrow": Pool(name="narrow", slots=2, include_deferred=True, deferred_slots=2)}
    rows = [task("deferred", name, dag_id="waits", pool="narrow") for name in "ab"]
    finding = find(situation(*rows, task("scheduled", "late", pool="narrow"), pools=pools))[0]
    assert (finding.reason.name, finding.used, finding.holders) == ("pool", 2, [("waits", 2)])
    assert finding.facts == ["deferred task instances hold 2 of these slots (include_deferred)"]
    assert finding.suggestion == (
        "Raise the slots of pool narrow from 2 to 3, "
        "or switch off its include_deferred if what is deferred needs no slot."
    )
    not_counted = find(
        situation(
            *rows,
            task("scheduled", "late", pool="narrow"),
            pools=FORKLIFTS | {"narrow": Pool(name="narrow", slots=2, deferred_slots=2)},
        )
    )
    assert [one.reason.name for one in not_counted] == ["scheduler", "trigger", "trigger"]


def test_where_some_dags_are_hidden_the_pool_says_itself_what_is_in_use() -> None:
    pools = {"narrow": Pool(name="narrow", slots=2, running_slots=1, queued_slots=1)}
    [finding] = find(situation(task("scheduled", pool="narrow"), pools=pools, complete=False))
    assert (finding.limit, finding.used, finding.holders) == (2, 2, [])


def test_what_is_overtaken_can_be_helped_by_its_weight_too() -> None:
    rows = [
        task("running", "heavy", pool="forklifts", pool_slots=2, priority_weight=9, scheduled_when=NOW - 10),
        task("scheduled", "light", pool="forklifts", scheduled_when=NOW - 60),
    ]
    [finding] = find(situation(*rows, pools=FORKLIFTS))
    assert (
        finding.suggestion
        == "Raise the slots of pool forklifts from 2 to 3, or priority_weight of orders.light above 9."
    )
    assert finding.facts == ["priority_weight 0 waits longest, 9 holds slots"]


def test_runs_of_a_backfill_hold_none_of_the_places_of_other_runs() -> None:
    runs = [run(), run(run_id="b1", run_type="backfill"), run("queued", "r2"), run("queued", "b2", run_type="backfill")]
    limited = {"orders": Dag(dag_id="orders", max_active_runs=1)}
    backfill, other = find(situation(runs=runs, dags=limited, backfill_limits={"orders": 1}))
    assert (other.reason.name, other.limit, other.used, other.holders) == ("max_active_runs", 1, 1, [("r1", 1)])
    assert (backfill.reason.name, backfill.limit, backfill.used) == ("backfill_limit", 1, 1)
    assert backfill.suggestion.endswith("create it again with a higher Max Active Runs (1).")
    [paused] = find(situation(runs=runs[3:], dags=limited, backfill_limits={"orders": 0}))
    assert paused.suggestion == "Unpause the backfill of orders, or cancel it."


def test_the_limit_of_a_task_is_at_most_what_runs_of_it_now() -> None:
    rows = [task("running", "load", run_id=run_id) for run_id in ("r1", "r1", "r2")]
    given = situation(*rows, task("scheduled", "load"), task("scheduled", "load"))
    waiting = [(row, MAX_ACTIVE_TIS) for row in given.tasks if row.state == "scheduled"]
    [finding] = build_findings(given, Waiting(waiting, []))
    assert (finding.object, finding.used, finding.facts) == ("orders.load", 3, ["at most 2 of them are of one run"])
    assert finding.suggestion == (
        "Raise max_active_tis_per_dag (or max_active_tis_per_dagrun) of task orders.load above 3, for example to 5."
    )


def test_a_pool_that_sensors_hold_is_freed_before_it_is_made_larger() -> None:
    rows = [
        task("running", "is_open", pool="forklifts", operator="DecoratedSensorOperator", start_date=NOW - 90),
        task("running", "other", pool="forklifts", operator="PythonOperator", start_date=NOW - 90),
        task("scheduled", "enter", pool="forklifts"),
    ]
    [finding] = find(situation(*rows, pools=FORKLIFTS))
    assert finding.suggestion == (
        "Free the slots that sensors hold while they wait (polls); then raise the slots of pool forklifts from 2 to 3."
    )
    [finding] = find(situation(*[*rows[1:], rows[1]], pools=FORKLIFTS))
    assert finding.suggestion.startswith("Raise")


def test_more_runs_at_once_do_not_help_a_dag_whose_runs_wait_for_the_one_before() -> None:
    given = situation(runs=[run(), run("queued", "r2")], dags={"orders": Dag(dag_id="orders", max_active_runs=1)})
    [finding] = build_findings(given, explain(given), Observations(chained={"orders"}))
    assert (finding.reason.name, suggest_limit(finding)) == ("max_active_runs", None)
    assert "so a higher max_active_runs does not help" in finding.suggestion
    [finding] = build_findings(given, explain(given), Observations(chained={"others"}))
    assert suggest_limit(finding) == 2


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
    assert finding.suggestion == "Raise max_active_tasks of orders from 2 to 3."


def test_queued_runs_are_findings_of_their_dag() -> None:
    runs = [run(), run("queued", "r2"), run("queued", "r3")]
    [finding] = find(situation(runs=runs, dags={"orders": Dag(dag_id="orders", max_active_runs=1)}))
    assert (finding.title, finding.limit, finding.used) == ("2 runs wait (DAG orders)", 1, 1)
    assert finding.suggestion == (
        "Raise max_active_runs of orders from 1 to 2 (3 would take everything that waits now), or shorten its runs."
    )


def test_the_json_form_has_no_infinite_numbers() -> None:
    unlimited = {"default_pool": Pool(name="default_pool", slots=-1)}
    given = situation(task("scheduled"), task("deferred"), pools=unlimited, parallelism=float("inf"))
    text = json.dumps(to_json(Diagnosis(NOW, find(given))), allow_nan=False)
    assert json.loads(text)["findings"][0]["reason"] == "scheduler"


def test_what_the_local_executor_of_airflow_3_has_queued_is_behind_its_slots_and_not_in_use() -> None:
    rows = [task("running", "a"), task("running", "b"), *(task("queued", name) for name in "cde")]
    [finding] = find(situation(*rows, parallelism=2.0, executors=("LocalExecutor",)))
    assert (finding.reason.name, finding.tasks, finding.limit, finding.used) == ("parallelism", 3, 2, 2)


def test_for_tasks_of_the_sequential_executor_no_higher_parallelism_is_advised() -> None:
    rows = [task("running", "a"), *(task("queued", name) for name in "bc")]
    [finding] = find(
        situation(*rows, release=(2, 11, 2), parallelism=32.0, executors=("SequentialExecutor",), workers={})
    )
    assert (finding.reason.name, finding.tasks, finding.limit, finding.used) == ("parallelism", 2, None, 1)
    assert finding.suggestion.startswith("Use the LocalExecutor")
    assert "SequentialExecutor runs one task instance at a time, whatever parallelism is" in finding.facts


def test_more_tasks_at_once_are_not_advised_where_running_ones_lack_cpu() -> None:
    given = situation(task("running", "a"), task("queued", "b"), parallelism=1.0, executors=("LocalExecutor",))
    starved = Suspicion("orders", "a", STARVED_OF_CPU, ["0.20 CPUs instead of 0.90 as in the past"], "Run fewer tasks.")
    for suspicions, first in (([], "Raise parallelism from 1 to 2"), ([starved], "Add CPUs or machines first")):
        found = build_findings(given, explain(given), Observations(suspicions=suspicions))
        [finding] = [one for one in found if one.reason.name == "parallelism"]
        assert finding.suggestion.startswith(first)


def test_where_sensors_hold_the_slots_they_are_to_be_freed_before_parallelism_is_raised() -> None:
    given = situation(task("running", "a"), task("queued", "b"), parallelism=1.0, executors=("LocalExecutor",))
    polls = Suspicion("orders", "a", POLLS, ["FileSensor has held a slot"], "Use mode='reschedule'.")
    found = build_findings(given, explain(given), Observations(suspicions=[polls]))
    [finding] = [one for one in found if one.reason.name == "parallelism"]
    assert finding.suggestion.startswith("Free the slots that 1 sensors hold while they wait (polls); then raise paral")


def test_more_slots_of_a_pool_are_advised_with_care_where_running_ones_lack_cpu() -> None:
    given = situation(
        task("running", "a"), task("scheduled", "b"), pools={"default_pool": Pool(name="default_pool", slots=1)}
    )
    starved = Suspicion("orders", "a", STARVED_OF_CPU, ["0.20 CPUs instead of 0.90 as in the past"], "Run fewer tasks.")
    found = build_findings(given, explain(given), Observations(suspicions=[starved]))
    [finding] = [one for one in found if one.reason.name == "pool"]
    assert finding.suggestion.startswith("Raise the slots of pool default_pool from 1 to 2. Only if these tasks mostly")


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


def test_pods_of_the_executor_that_has_both_lack_no_celery_worker() -> None:
    rows = [task("queued", "a", queue="kubernetes", queued_when=NOW - 90), task("queued", "b", queue="gpu")]
    found = find(situation(*rows, workers={"default": Workers(slots=4)}, executors=("CeleryKubernetesExecutor",)))
    assert {(one.reason.name, one.object) for one in found} == {("no_worker", "gpu"), ("not_started", "kubernetes")}


def test_workers_say_nothing_of_tasks_of_another_executor() -> None:
    rows = [task("queued", "a", queue="gpu", executor="KubernetesExecutor", queued_when=NOW - 5)]
    [finding] = find(situation(*rows, workers={}, executors=("CeleryExecutor", "KubernetesExecutor")))
    assert finding.reason.name == "starting"


def test_when_a_run_began_to_wait_is_what_airflow_says_or_when_it_was_first_seen() -> None:
    late = run("queued", run_after=NOW - 30_000)
    said = run("queued", run_after=NOW - 30_000, queued_at=NOW - 20)
    for waiting, seen, since in (
        (late, {("orders", "r1"): NOW - 60}, NOW - 60),
        (late, {}, None),
        (said, {}, NOW - 20),
    ):
        [finding] = find(situation(runs=[waiting], release=(2, 11, 2), queued_since=seen))
        assert finding.since == since


def test_a_run_that_was_made_in_advance_waits_since_it_is_due() -> None:
    for due, since in ((NOW - 10, NOW - 10), (NOW + 10, NOW - 18_000)):
        early = run("queued", queued_at=NOW - 18_000, run_after=due)
        [finding] = find(situation(runs=[early]))
        assert finding.since == since


def test_when_a_task_instance_began_to_wait_is_what_airflow_says_or_when_it_was_first_seen_ready() -> None:
    row = task("scheduled", scheduled_when=None)
    seen = {(row.dag_id, row.run_id, row.task_id, row.map_index): NOW - 40}
    for waiting, since in ((row, NOW - 40), (task("scheduled", scheduled_when=NOW - 5), NOW - 5)):
        [finding] = find(situation(waiting, release=(2, 11, 2), ready_since=seen))
        assert finding.since == since

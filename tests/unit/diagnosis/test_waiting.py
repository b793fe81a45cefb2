"""Each waiting task instance and run has one reason: the first of the scheduler's checks that it does not pass."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.diagnosis.reasons import REASONS
from exporter.diagnosis.situation import Situation, TaskLimits, Workers
from exporter.diagnosis.waits.waiting import explain
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.api.objects.pools import Pool
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.waits.ready import QueuedRuns, ReadyTasks
from tests.unit.diagnosis.rows import NOW, run, situation, task


def reasons_of(given: Situation) -> list[str]:
    return [reason.name for _, reason in explain(given).tasks]


def pool(slots: int, **more: Any) -> dict[str, Pool]:
    return {"default_pool": Pool(name="default_pool", slots=slots, **more)}


def dag(**more: Any) -> dict[str, Dag]:
    return {"orders": Dag(dag_id="orders", **({"max_active_runs": 16, "max_active_tasks": 16} | more))}


SCHEDULED = task("scheduled", "waits")

CASES = {
    "scheduler": situation(SCHEDULED),
    "dag_paused": situation(SCHEDULED, dags=dag(is_paused=True)),
    "run_not_running": situation(SCHEDULED, runs=[run("queued")]),
    "pool_missing": situation(SCHEDULED, pools={}),
    "pool_without_slots": situation(SCHEDULED, pools=pool(0)),
    "pool_too_small": situation(task("scheduled", pool_slots=3), pools=pool(2)),
    "pool": situation(SCHEDULED, task("running"), pools=pool(1)),
    "priority": situation(
        task("scheduled", scheduled_when=5.0, priority_weight=1),
        task("running", scheduled_when=6.0, priority_weight=2),
        pools=pool(1),
    ),
    "max_active_tasks": situation(SCHEDULED, task("running"), dags=dag(max_active_tasks=1)),
    "max_active_tis": situation(
        SCHEDULED,
        task("running", "waits", run_id="r2"),
        runs=[run(), run(run_id="r2")],
        task_limits={("orders", "waits"): TaskLimits(per_dag=1)},
    ),
    "parallelism": situation(SCHEDULED, task("running"), parallelism=1.0),
}


@pytest.mark.parametrize("reason", CASES)
def test_a_scheduled_task_instance_waits_for_the_first_limit_that_binds(reason: str) -> None:
    assert reasons_of(CASES[reason]) == [reason]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (task("up_for_retry"), "dag_removed"),
        (task("up_for_reschedule"), "dag_removed"),
        (task("deferred"), "trigger"),
        (task("queued", queued_when=NOW - 5), "starting"),
        (task("scheduled"), "scheduler"),
    ],
)
def test_of_a_dag_that_was_removed_only_what_no_look_at_the_run_needs_goes_on(row: Any, reason: str) -> None:
    assert reasons_of(situation(row, dags=dag(is_stale=True))) == [reason]
    assert reasons_of(situation(row, dags={})) != ["dag_removed"], "a DAG that is not listed may be new"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (task("up_for_retry"), "dag_paused"),
        (task("up_for_reschedule"), "dag_paused"),
        (task("scheduled"), "dag_paused"),
        (task("deferred"), "trigger"),
        (task("queued", queued_when=NOW - 5), "starting"),
    ],
)
def test_of_a_paused_dag_neither_retries_nor_sensors_come_back(row: Any, reason: str) -> None:
    assert reasons_of(situation(row, dags=dag(is_paused=True))) == [reason]


def test_a_queued_run_of_a_dag_that_was_removed_never_starts() -> None:
    given = situation(runs=[run("queued")], dags=dag(is_stale=True))
    assert [reason.name for _, reason in explain(given).runs] == ["dag_removed"]


@pytest.mark.parametrize(
    ("reason", "row"),
    [
        ("retry_delay", task("up_for_retry")),
        ("sensor", task("up_for_reschedule")),
        ("trigger", task("deferred")),
        ("human_input", task("awaiting_input")),
        ("restarting", task("restarting")),
        ("starting", task("queued", queued_when=NOW - 5)),
        ("not_started", task("queued", queued_when=NOW - 3_600)),
    ],
)
def test_other_states_say_why(reason: str, row: Any) -> None:
    assert reasons_of(situation(row)) == [reason]


def test_running_task_instances_do_not_wait() -> None:
    assert reasons_of(situation(task("running"))) == []


def test_what_is_not_known_is_no_reason() -> None:
    unknown = situation(SCHEDULED, task("running"), pools=None, dags=None, parallelism=None, runs=[])
    assert reasons_of(unknown) == ["scheduler"]


def test_airflow_2_counts_max_active_tasks_over_all_runs_of_the_dag() -> None:
    rows = (SCHEDULED, task("running", run_id="r2"))
    limited = {"dags": dag(max_active_tasks=1), "runs": [run(), run(run_id="r2")]}
    assert reasons_of(situation(*rows, release=(2, 11, 2), **limited)) == ["max_active_tasks"]
    assert reasons_of(situation(*rows, **limited)) == ["scheduler"]


def test_free_slots_go_to_the_highest_priority_then_to_the_oldest_run() -> None:
    rows = [
        task("scheduled", "low", priority_weight=1),
        task("scheduled", "late", run_id="r2", priority_weight=5),
        task("scheduled", "high", priority_weight=5),
    ]
    runs = [run(logical_date=1.0), run(run_id="r2", logical_date=2.0)]
    found = {row.task_id: reason.name for row, reason in explain(situation(*rows, runs=runs, pools=pool(2))).tasks}
    assert found == {"high": "scheduler", "late": "scheduler", "low": "pool"}


def test_in_airflow_2_what_was_seen_ready_later_has_overtaken() -> None:
    light, heavy = task("scheduled", "light", priority_weight=1), task("running", "heavy", priority_weight=9)
    ready = ReadyTasks()
    for later, rows, reason in ((0, [light, task("running")], "pool"), (9, [light, heavy], "priority")):
        seen = ready.note(rows, NOW + later)
        assert reasons_of(situation(*rows, release=(2, 11, 2), pools=pool(1), ready_since=seen)) == [reason]
    together = ReadyTasks().note([light, heavy], NOW)
    assert reasons_of(situation(light, heavy, release=(2, 11, 2), pools=pool(1), ready_since=together)) == ["pool"]


def test_what_a_single_reading_lacks_was_ready_before() -> None:
    ready, row = ReadyTasks(), task("scheduled", "light")
    ready.note([row], 1.0)
    assert ready.note([], 2.0) == {}
    assert list(ready.note([row], 3.0).values()) == [1.0]


def test_in_airflow_2_a_task_that_has_run_is_ready_anew() -> None:
    scheduled: dict[str, Any] = {"try_number": 1, "scheduled_when": None}
    for states in (
        [("running", 1), ("up_for_retry", 1), ("scheduled", 2)],
        [("running", 1), ("scheduled", 2)],
        [("running", 1), ("up_for_reschedule", 1), ("scheduled", 1)],
        [("running", 1), ("scheduled", 1)],
    ):
        ready = ReadyTasks()
        for moment, (state, number) in enumerate(states):
            ready.note([task(state, **(scheduled | {"try_number": number}))], NOW + 100 * moment)
        last = NOW + 100 * (len(states) - 1)
        assert list(ready.note([], last).values()) == [last]
    ready = ReadyTasks()
    ready.note([task("scheduled", **scheduled)], NOW)
    assert list(ready.note([task("scheduled", **scheduled, queued_when=NOW + 5)], NOW + 100).values()) == [NOW + 100]
    ready.note([task("queued", **scheduled, queued_when=NOW + 105)], NOW + 110)
    assert list(ready.note([task("running", **scheduled)], NOW + 120).values()) == [NOW + 100]


def test_in_airflow_2_a_run_waits_since_it_was_first_seen_or_since_it_became_due_between_two_readings() -> None:
    queued = QueuedRuns()
    old = run("queued", run_id="catch-up", run_after=NOW - 30_000)
    assert queued.note([old], NOW) == {("orders", "catch-up"): NOW}
    due = run("queued", run_id="due", run_after=NOW + 4)
    older = run("queued", run_id="older", run_after=NOW - 20_000)
    known = {("orders", "catch-up"): NOW, ("orders", "due"): NOW + 4, ("orders", "older"): NOW + 10}
    assert queued.note([old, due, older], NOW + 10) == queued.note([], NOW + 10) == known
    assert queued.note([old, run("running", run_id="due")], NOW + 20) == {("orders", "catch-up"): NOW}


def test_a_backfill_counts_for_the_limit_of_its_dag_on_airflow_2_only() -> None:
    runs = [run("running", "b", run_type="backfill"), run("queued", "m", run_type="manual")]
    for release, reason in (((2, 11, 2), "max_active_runs"), ((3, 3, 2), "scheduler")):
        [(_, found)] = explain(situation(runs=runs, release=release, dags=dag(max_active_runs=1))).runs
        assert found.name == reason


def test_a_dag_that_may_have_no_run_starts_none() -> None:
    [(_, found)] = explain(situation(runs=[run("queued")], dags=dag(max_active_runs=0))).runs
    assert found.name == "max_active_runs"


def test_a_backfill_of_airflow_2_goes_on_though_its_dag_is_paused() -> None:
    rows = (SCHEDULED, task("running"), task("up_for_retry", "again"))
    for release, found in (((2, 11, 2), ["pool", "retry_delay"]), ((3, 3, 2), ["dag_paused", "dag_paused"])):
        given = situation(
            *rows, runs=[run(run_type="backfill")], release=release, pools=pool(1), dags=dag(is_paused=True)
        )
        assert reasons_of(given) == found


def test_all_executors_together_have_no_more_than_parallelism() -> None:
    rows = [task("running"), task("running", executor="KubernetesExecutor"), SCHEDULED]
    executors = ("CeleryExecutor", "KubernetesExecutor")
    assert reasons_of(situation(*rows, parallelism=2.0, executors=executors)) == ["parallelism"]
    assert reasons_of(situation(*rows, parallelism=3.0, executors=executors)) == ["scheduler"]


def test_deferred_task_instances_hold_slots_only_where_the_pool_counts_them() -> None:
    rows = (SCHEDULED, task("deferred"))
    assert reasons_of(situation(*rows, pools=pool(1, include_deferred=True))) == ["pool", "trigger"]
    assert reasons_of(situation(*rows, pools=pool(1))) == ["scheduler", "trigger"]


def test_where_some_dags_are_hidden_the_pool_says_itself_what_is_in_use() -> None:
    full = pool(4, running_slots=3, queued_slots=1)
    assert reasons_of(situation(SCHEDULED, pools=full, complete=False)) == ["pool"]
    assert reasons_of(situation(SCHEDULED, pools=full)) == ["scheduler"]


def test_tasks_behind_a_head_that_cannot_start_are_not_looked_at_from_3_2_on() -> None:
    rows = (task("scheduled", "head", pool="missing", priority_weight=9), task("scheduled", "behind"))
    limited = {"dags": dag(max_active_tasks=1)}
    assert reasons_of(situation(*rows, **limited)) == ["pool_missing", "max_active_tasks"]
    assert reasons_of(situation(*rows, release=(3, 1, 8), **limited)) == ["pool_missing", "scheduler"]


def test_the_local_executor_of_airflow_3_queues_behind_parallelism() -> None:
    rows = (SCHEDULED, task("running"), task("queued", "next", queued_when=NOW - 900))
    local = {"executors": ("LocalExecutor",), "parallelism": 1.0}
    assert reasons_of(situation(*rows, **local)) == ["scheduler", "parallelism"]
    assert reasons_of(situation(*rows, release=(2, 11, 2), **local)) == ["parallelism", "not_started"]


def test_an_executor_is_known_by_its_alias() -> None:
    next_one = task("queued", "next", executor="mine", queue="gpu", queued_when=NOW - 900)
    local = {"executors": ("CeleryExecutor", "LocalExecutor"), "executor_aliases": {"mine": "LocalExecutor"}}
    rows = (task("running", executor="mine"), next_one)
    assert reasons_of(situation(*rows, parallelism=1.0, **local)) == ["parallelism"]
    celery = {"executors": ("LocalExecutor", "CeleryExecutor"), "executor_aliases": {"mine": "CeleryExecutor"}}
    assert reasons_of(situation(next_one, workers={}, **celery)) == ["no_worker"]


def test_tasks_that_name_the_default_executor_share_its_slots_with_those_that_name_none() -> None:
    rows = (task("running", executor="LocalExecutor"), task("queued", "next", queued_when=NOW - 900))
    assert reasons_of(situation(*rows, executors=("LocalExecutor",), parallelism=1.0)) == ["parallelism"]
    full = {"executors": ("CeleryExecutor",), "workers": {"default": Workers(slots=2, busy=1)}}
    both = tuple(task("queued", str(name), executor=name, queued_when=NOW - 900) for name in (None, "CeleryExecutor"))
    assert reasons_of(situation(*both, **full)) == ["starting", "workers_full"]


def test_the_sequential_executor_runs_one_after_the_other() -> None:
    queued = [task("queued", name, queued_when=NOW - 900) for name in ("a", "b")]
    sequential = {"executors": ("SequentialExecutor",), "release": (2, 11, 2), "parallelism": 32.0}
    assert reasons_of(situation(task("running"), *queued, **sequential)) == ["parallelism", "parallelism"]
    assert reasons_of(situation(*queued, **sequential)) == ["not_started", "not_started"]


def reasons_of_a_local_executor(*rows: TaskInstance, parallelism: float) -> list[str]:
    return reasons_of(situation(*rows, executors=("LocalExecutor",), parallelism=parallelism))


def test_between_two_short_tasks_of_the_local_executor_a_slot_is_being_filled_and_the_queue_waits_behind_it() -> None:
    queue = [task("queued", f"q{number}", queued_when=NOW - 200 + number) for number in range(4)]
    assert reasons_of_a_local_executor(task("running"), *reversed(queue), parallelism=3) == [
        "starting",
        "starting",
        "parallelism",
        "parallelism",
    ]


def test_a_local_executor_that_runs_nothing_does_not_start_what_it_has_queued_for_minutes() -> None:
    queue = [task("queued", f"q{number}", queued_when=NOW - 200 + number) for number in range(4)]
    assert reasons_of_a_local_executor(*queue, parallelism=3) == ["not_started"] * 4


def test_a_local_executor_with_a_slot_for_each_does_not_start_what_it_has_queued_for_minutes() -> None:
    rows = (task("running"), task("queued", "q", queued_when=NOW - 200))
    assert reasons_of_a_local_executor(*rows, parallelism=3) == ["not_started"]


@pytest.mark.parametrize(
    ("reason", "workers"),
    [
        ("no_worker", {"other": Workers(16)}),
        ("no_worker", {"default": Workers(0)}),
        ("workers_full", {"default": Workers(16, 16)}),
        ("starting", {"default": Workers(16, 3)}),
    ],
)
def test_a_queued_task_instance_waits_for_the_workers_of_its_queue(reason: str, workers: dict[str, Workers]) -> None:
    assert reasons_of(situation(task("queued", queued_when=NOW - 5), workers=workers)) == [reason]


def test_between_two_short_tasks_of_a_celery_worker_the_queue_waits_for_its_slots() -> None:
    queue = [task("queued", f"q{number}", queued_when=NOW - 200 + number) for number in range(4)]
    assert reasons_of(situation(*queue, workers={"default": Workers(16, 14)})) == [
        "starting",
        "starting",
        "workers_full",
        "workers_full",
    ]
    assert reasons_of(situation(*queue, workers={"default": Workers(16, 12)})) == ["not_started"] * 4


def test_runs_wait_for_max_active_runs_and_backfills_for_their_own() -> None:
    runs = [run(), run("queued", "r2", run_after=200.0), run("queued", "r3", run_after=300.0)]
    backfill = [run("running", "b1", run_type="backfill"), run("queued", "b2", run_type="backfill")]
    later = run("queued", "r9", run_after=NOW + 60)
    given = situation(runs=[*runs, *backfill, later], dags=dag(max_active_runs=2), backfill_limits={"orders": 1})
    found = {row.run_id: reason.name for row, reason in explain(given).runs}
    assert found == {"r2": "scheduler", "r3": "max_active_runs", "b2": "backfill_limit", "r9": "not_due"}


def test_names_of_reasons_are_unique_and_documented() -> None:
    assert len({reason.name for reason in REASONS}) == len(REASONS)
    assert all(reason.meaning.endswith(".") and reason.setting for reason in REASONS)

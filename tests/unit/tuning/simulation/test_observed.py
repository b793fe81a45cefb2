"""Settings from series: the values, when they changed, and what kind of executor it is."""

from __future__ import annotations

import math

from exporter.tuning.simulation.observed import ObservedLimits, build_timeline


def test_each_change_of_a_limit_begins_new_settings() -> None:
    limits = ObservedLimits(
        parallelism={0: 8, 300: 8, 600: 16},
        pools={"p": {0: 2, 300: 4, 600: 4}, "q": {300: 1}},
        max_active_tasks={"d": 3},
        max_active_runs={"d": 1},
    )
    timeline = build_timeline(limits)
    assert [(at, one.parallelism, one.pools["p"]) for at, one in timeline] == [
        (-math.inf, 8, 2),
        (300, 8, 4),
        (600, 16, 4),
    ]
    assert {one.pools["q"] for _, one in timeline} == {1}
    assert {(one.max_active_tasks["d"], one.max_active_runs["d"]) for _, one in timeline} == {(3, 1)}


def test_what_is_not_known_is_unlimited() -> None:
    [(_, settings)] = build_timeline(ObservedLimits())
    assert (settings.parallelism, settings.default_workers.concurrency) == (math.inf, math.inf)
    assert settings.counts_tasks_per_run


def test_the_local_executor_of_airflow_3_queues_itself() -> None:
    name = "airflow.executors.local_executor.LocalExecutor"
    [(_, settings)] = build_timeline(ObservedLimits(3, name, {0: 4}))
    assert (settings.is_local, settings.scheduler_slots, settings.default_workers.concurrency) == (True, math.inf, 4)
    [(_, settings)] = build_timeline(ObservedLimits(2, name, {0: 4}))
    assert (settings.is_local, settings.scheduler_slots) == (False, 4)
    assert not settings.counts_tasks_per_run


def test_celery_workers_take_what_they_say() -> None:
    [(_, settings)] = build_timeline(ObservedLimits(3, "CeleryExecutor", {0: 32}, worker_slots=(4, 4, 4)))
    workers = settings.get_workers("default")
    assert (workers.concurrency, len(workers.machines)) == (4, 3)

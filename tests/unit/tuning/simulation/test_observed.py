"""Settings from series: the values, when they changed, and what kind of executor it is."""

from __future__ import annotations

import math

from exporter.tuning.simulation.observed import ObservedLimits, ObservedWorker, build_timeline
from exporter.tuning.simulation.settings import CeleryWorker


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


def test_celery_workers_take_what_they_say_of_the_queues_that_they_consume() -> None:
    workers = [
        ObservedWorker("one", {0: 4, 300: 4, 600: 8}, frozenset({"default", "heavy"})),
        ObservedWorker("two", {300: 2, 600: 2}, frozenset({"heavy"})),
        ObservedWorker("three", {0: 6, 300: 6}),
    ]
    timeline = build_timeline(ObservedLimits(3, "CeleryExecutor", {0: 32}, workers=workers))
    assert [
        (at, [(one.name, one.concurrency) for one in settings.celery_workers or ()]) for at, settings in timeline
    ] == [
        (-math.inf, [("one", 4), ("three", 6)]),
        (300, [("one", 4), ("two", 2), ("three", 6)]),
        (600, [("one", 8), ("two", 2)]),
    ]
    serving = {one.name: (one.serves("default"), one.serves("heavy")) for one in timeline[1][1].celery_workers or ()}
    assert serving == {"one": (True, True), "two": (False, True), "three": (True, True)}


def test_queues_of_which_no_worker_was_seen_have_no_limit() -> None:
    limits = ObservedLimits(
        3, "CeleryExecutor", workers=[ObservedWorker("one", {0: 4}, frozenset({"a"}))], unseen_queues=frozenset({"b"})
    )
    [(_, settings)] = build_timeline(limits)
    assert settings.celery_workers == [
        CeleryWorker("one", 4, frozenset({"a"})),
        CeleryWorker("unseen", math.inf, frozenset({"b"})),
    ]
    [(_, without)] = build_timeline(ObservedLimits(3, "CeleryExecutor"))
    assert without.celery_workers is None

"""Advice on pools and on limits of DAGs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.tuning.advice import Confidence
from exporter.tuning.queries import (
    HOST_CPU,
    MAX_ACTIVE_RUNS,
    MAX_ACTIVE_TASKS,
    OBJECT_WAITED,
    POOL_SLOTS,
    POOL_USED,
    POOL_WANTED,
    RUN_SECONDS_P95,
    RUNNING,
    SKIPPED,
    SLOTS,
    TASK_CPUS,
    TASKS_MAX_CHANGED,
    WAITED,
    WAITING_RUNS,
)
from exporter.tuning.questions import dag_limits, pools
from exporter.tuning.questions.headroom import Headroom
from exporter.tuning.questions.raising import choose_value, estimate_savings
from tests.unit.tuning.observed import Watched, in_hours, unwrap


def watch(days: float = 14, *, cpu: float = 0.5, slots: float = 32, running: float = 8) -> Watched:
    """An Airflow with room."""
    watched = Watched(days).add(RUNNING, running).add(SLOTS, slots).add(WAITED, 0.0, reason="pool")
    return watched.add(HOST_CPU, cpu, instance="a")


def add_pool(watched: Watched, waiting: float = 2, slots: float = 2) -> Watched:
    """Pool `narrow`, for which tasks wait from 14 to 16 h."""
    return (
        watched.add(POOL_SLOTS, slots, pool="narrow")
        .add(POOL_USED, in_hours(14, 16, slots, 1), pool="narrow")
        .add(POOL_WANTED, in_hours(14, 16, slots + waiting, 1), pool="narrow")
        .add(OBJECT_WAITED, in_hours(14, 16, waiting), reason="pool", object="narrow")
    )


def test_a_pool_that_is_waited_for_grows() -> None:
    found = pools.answer(add_pool(watch()).observe())
    one = unwrap(found.recommendations)
    assert (one.object, one.current, one.value) == ("narrow", "2", "4")
    # 2 tasks for 2 h on 14 days; four slots take them at once.
    assert one.savings.most == pytest.approx(56)
    assert one.savings.least == pytest.approx(28)
    assert one.confidence is Confidence.MEDIUM
    assert "tasks waited 56 h for it in 14 days, on 14 of them" in one.seen[0]
    assert 'pool="narrow"' in one.queries[1]
    assert "Parallelism leaves 24 slots" in one.counter_check
    assert unwrap(found.charts).categories == ["pool: narrow"]


def test_a_pool_is_at_most_doubled() -> None:
    assert unwrap(pools.answer(add_pool(watch(), waiting=20).observe()).recommendations).value == "4"


def test_a_pool_does_not_grow_on_a_full_machine() -> None:
    found = pools.answer(add_pool(watch(cpu=0.99)).observe())
    assert not found.recommendations
    assert "the machines are full" in found.nothing


def test_parallelism_comes_first() -> None:
    found = pools.answer(add_pool(watch(slots=8)).observe())
    assert not found.recommendations
    assert "parallelism leaves no slot" in found.nothing


def test_a_pool_grows_only_into_the_room_there_is() -> None:
    assert unwrap(pools.answer(add_pool(watch(slots=9)).observe()).recommendations).value == "3"


def test_a_short_wait_is_no_reason() -> None:
    watched = add_pool(watch()).add(OBJECT_WAITED, in_hours(1, 1.1, 1), reason="pool", object="other")
    watched.add(POOL_SLOTS, 2, pool="other").add(POOL_WANTED, 3, pool="other")
    assert [one.object for one in pools.answer(watched.observe()).recommendations] == ["narrow"]


def test_without_waits_nothing_changes() -> None:
    assert pools.answer(watch().observe()).nothing.startswith("Nothing to change")


@pytest.mark.parametrize("answer", [pools.answer, dag_limits.answer])
def test_hours_are_too_little(answer: object) -> None:
    assert callable(answer)
    found = answer(add_pool(watch(0.5)).observe())
    assert not found.recommendations
    assert unwrap(found.missing).have == "12 h observed"


def test_runs_and_tasks_of_a_dag_may_be_more() -> None:
    watched = (
        watch()
        .add(MAX_ACTIVE_TASKS, 4, dag_id="etl")
        .add(OBJECT_WAITED, in_hours(2, 3, 6), reason="max_active_tasks", object="etl")
        .add(MAX_ACTIVE_RUNS, 1, dag_id="hourly")
        .add(WAITING_RUNS, in_hours(0, 24, 1), reason="max_active_runs", object="hourly")
        .add(RUN_SECONDS_P95, 5400, dag_id="hourly")
        .add(SKIPPED, 30, dag_id="hourly")
    )
    found = dag_limits.answer(watched.observe()).recommendations
    assert [(one.object, one.setting, one.value) for one in found] == [
        ("etl", "max_active_tasks", "8"),
        ("hourly", "max_active_runs", "2"),
    ]
    assert found[1].seen[2:] == ["its runs take up to 90 min (p95)", "30 times of its schedule passed without a run"]
    assert "Runs overlap" in found[1].risk


def test_limits_of_dags_respect_machine_and_parallelism() -> None:
    for watched, reason in ((watch(cpu=1.0), "machines are full"), (watch(slots=8), "parallelism leaves no slot")):
        watched.add(MAX_ACTIVE_TASKS, 4, dag_id="etl").add(OBJECT_WAITED, 6, reason="max_active_tasks", object="etl")
        found = dag_limits.answer(watched.observe())
        assert not found.recommendations
        assert reason in found.nothing


@pytest.mark.parametrize("answer", [pools.answer, dag_limits.answer])
def test_nothing_is_said_where_waits_are_not_recorded(answer: object) -> None:
    assert callable(answer)
    found = answer(Watched(14).add(RUNNING, 8).add(SLOTS, 32).observe())
    assert not found.nothing
    assert unwrap(found.missing).what == "Waits"


def grow_pool(after_days: float, waiting_until: float) -> Watched:
    """Pool `narrow`, which grew from two to four slots; tasks waited from 14 to 16 h, up to a day."""

    def wait(hour: float) -> float | None:
        return 2 if 14 <= hour % 24 < 16 and hour < 24 * waiting_until else None

    return (
        watch()
        .add(POOL_SLOTS, lambda hour: 4 if hour >= 24 * after_days else 2, pool="narrow")
        .add(POOL_WANTED, lambda hour: 7 if hour >= 24 * after_days else 4, pool="narrow")
        .add(OBJECT_WAITED, wait, reason="pool", object="narrow")
    )


def test_waits_before_a_pool_was_changed_do_not_count() -> None:
    found = pools.answer(grow_pool(10, 10).observe())
    assert not found.recommendations
    assert found.nothing == "Tasks waited 40 h for pool narrow, nearly all before it was changed."


def test_a_pool_that_was_changed_is_judged_by_what_came_after_it() -> None:
    one = unwrap(pools.answer(grow_pool(10, 14).observe()).recommendations)
    assert (one.current, one.value) == ("4", "7")
    assert "tasks waited 16 h for it in 4 days" in one.seen[0]


def test_hours_after_a_pool_was_changed_are_too_little() -> None:
    found = pools.answer(grow_pool(13.5, 14).observe())
    assert not found.recommendations
    assert "has had 4 slots for 12 h only" in found.nothing


def test_a_limit_of_a_dag_that_was_changed_is_not_judged_by_what_came_before() -> None:
    watched = watch().add(MAX_ACTIVE_TASKS, 8, dag_id="etl").add(TASKS_MAX_CHANGED, 8, dag_id="etl")
    found = dag_limits.answer(watched.add(OBJECT_WAITED, 6, reason="max_active_tasks", object="etl").observe())
    assert not found.recommendations
    assert "which was changed meanwhile: shorten --window" in found.nothing


@pytest.mark.parametrize(
    ("cpus", "grows"), [((1.0, 0.5, 0.5), True), ((1.0, 1.0, 0.5), False), ((0.5, 0.5, 1.0), False)]
)
def test_a_pool_grows_while_one_worker_has_room_and_the_database_has(
    cpus: tuple[float, float, float], *, grows: bool
) -> None:
    watched = add_pool(Watched(14).add(RUNNING, 8).add(SLOTS, 32).add(WAITED, 0.0, reason="pool"))
    for name, cpu in zip(("worker-1", "worker-2", "database"), cpus, strict=True):
        watched.add(HOST_CPU, cpu, instance=name).add(TASK_CPUS, 0.0 if name == "database" else 1.0, instance=name)
    assert bool(pools.answer(watched.observe()).recommendations) == grows


def test_a_pool_does_not_take_the_slots_that_are_taken_away() -> None:
    seen = replace(add_pool(watch()).observe(), advised_slots=9)
    assert unwrap(pools.answer(seen).recommendations).value == "3"


def test_the_value_is_what_was_wanted() -> None:
    assert choose_value(4, 5.2, Headroom(None, None, "")) == 6
    assert choose_value(4, 100, Headroom(None, None, "")) == 8
    assert choose_value(4, 100, Headroom(1.5, None, "")) == 5
    assert choose_value(4, 100, Headroom(0, None, "")) == 4


def test_savings_lie_between_a_burst_and_a_steady_load() -> None:
    one = estimate_savings({0: 10, 300: 10}, 6000, 4, 8)
    assert one.least == pytest.approx(0.4 * 6000 / 3600)
    assert one.most == pytest.approx(0.75 * 6000 / 3600)
    assert estimate_savings({}, 0, 4, 8).most == 0

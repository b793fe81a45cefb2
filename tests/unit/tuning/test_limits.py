"""Advice on pools and on limits of DAGs."""

from __future__ import annotations

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
    RUN_SECONDS_P50,
    RUNNING,
    SKIPPED,
    SLOTS,
    WAITING_RUNS,
)
from exporter.tuning.questions import dag_limits, pools
from exporter.tuning.questions.headroom import Headroom
from exporter.tuning.questions.raising import choose_value, estimate_savings
from tests.unit.tuning.observed import Watched, in_hours, unwrap


def watch(days: float = 14, *, cpu: float = 0.5, slots: float = 32, running: float = 8) -> Watched:
    """An Airflow with room."""
    return Watched(days).add(RUNNING, running).add(SLOTS, slots).add(HOST_CPU, cpu, instance="a")


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
        .add(RUN_SECONDS_P50, 5400, dag_id="hourly")
        .add(SKIPPED, 30, dag_id="hourly")
    )
    found = dag_limits.answer(watched.observe()).recommendations
    assert [(one.object, one.setting, one.value) for one in found] == [
        ("etl", "max_active_tasks", "8"),
        ("hourly", "max_active_runs", "2"),
    ]
    assert found[1].seen[2:] == ["its runs take 90 min", "30 times of its schedule passed without a run"]
    assert "Runs overlap" in found[1].risk


def test_limits_of_dags_respect_machine_and_parallelism() -> None:
    for watched, reason in ((watch(cpu=1.0), "machines are full"), (watch(slots=8), "parallelism leaves no slot")):
        watched.add(MAX_ACTIVE_TASKS, 4, dag_id="etl").add(OBJECT_WAITED, 6, reason="max_active_tasks", object="etl")
        found = dag_limits.answer(watched.observe())
        assert not found.recommendations
        assert reason in found.nothing


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

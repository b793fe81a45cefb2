"""Advice on granularity, memory, schedules, the database and the broker."""

from __future__ import annotations

from dataclasses import replace

import pytest

from exporter.tuning.advice import Confidence
from exporter.tuning.engine import QUESTIONS, advise
from exporter.tuning.queries import (
    API_SECONDS,
    CLEANABLE_ROWS,
    DAG_OVERHEAD,
    DAG_POKED,
    DAG_SECONDS,
    DAG_TRIES,
    DATABASE_CONNECTIONS,
    DATABASE_LIMIT,
    DUE,
    EXECUTOR,
    HELD_TASKS,
    HOST_CPUS,
    HOST_MEMORY,
    HOST_MEMORY_BYTES,
    LONGEST_TRY,
    NEXT_RUN,
    OBJECT_WAITED,
    PEAK_GROWTH,
    POOL_SLOTS,
    POOL_WANTED,
    RUNNING,
    SHORT_TRIES,
    SLOTS,
    TASK_MEMORY,
    TASK_PEAK,
    TASK_SECONDS,
    VISIBILITY_TIMEOUT,
    WAITED,
)
from exporter.tuning.questions import backends, granularity, memory, schedule
from tests.unit.tuning.observed import BEGIN, Watched, in_hours, repeat, unwrap

GIB = 1024.0**3
MIB = 1024.0**2


def watch(days: float = 14) -> Watched:
    """An Airflow with ten slots."""
    return Watched(days).add(RUNNING, repeat(1, 2, 3, 8)).add(SLOTS, 10)


# ---- granularity ---------------------------------------------------------------------------------


def test_short_tasks_are_batched() -> None:
    watched = watch().add(DAG_TRIES, 20_000, dag_id="fine").add(SHORT_TRIES, 15_000, dag_id="fine")
    watched.add(DAG_OVERHEAD, 72_000, dag_id="fine").add(DAG_SECONDS, 9_000, dag_id="fine")
    one = unwrap(granularity.answer(watched.observe()).recommendations)
    assert one.object == "fine"
    # Three quarters of 20 h.
    assert (one.savings.least, one.savings.most) == pytest.approx((7.5, 13.5))


@pytest.mark.parametrize("short", [1000, 9000])
def test_a_few_short_tasks_are_no_burden(short: float) -> None:
    watched = watch().add(DAG_TRIES, 20_000, dag_id="fine").add(SHORT_TRIES, short, dag_id="fine")
    assert not granularity.answer(watched.observe()).recommendations


def test_sensors_that_hold_slots_are_named() -> None:
    watched = watch().add(DAG_TRIES, 100, dag_id="waits").add(DAG_POKED, 3 * 14 * 86_400, dag_id="waits")
    watched.add(WAITED, 0.5, reason="parallelism")
    one = unwrap(granularity.answer(watched.observe()).recommendations)
    assert "sensors hold 3 slots on average, 30 % of all" in one.seen[0]
    # At most what waited for slots.
    assert (one.savings.least, one.savings.most) == (0, pytest.approx(168))


def test_one_sensor_is_no_burden() -> None:
    watched = watch().add(DAG_TRIES, 100, dag_id="waits").add(DAG_POKED, 0.9 * 14 * 86_400, dag_id="waits")
    assert granularity.answer(watched.observe()).nothing.startswith("Nothing to change")


# ---- memory --------------------------------------------------------------------------------------


def add_machine(watched: Watched, size: float) -> Watched:
    """One machine; each running task takes 1 GiB at a usual moment."""
    return (
        watched.add(HOST_CPUS, 8, instance="a")
        .add(HOST_MEMORY_BYTES, size, instance="a")
        .add(HOST_MEMORY, 0.0, instance="a")
        .add(TASK_MEMORY, repeat(*(count * GIB for count in (1, 2, 3, 8))), instance="a")
    )


def add_tasks(watched: Watched) -> Watched:
    """A large task that seldom runs, and a small one that always does."""
    for name, peak, seconds in (("large", 8 * GIB, 1_000), ("small", 1 * GIB, 9_000)):
        watched.add(TASK_PEAK, peak, dag_id="etl", task_id=name).add(TASK_SECONDS, seconds, dag_id="etl", task_id=name)
    return watched


def test_large_tasks_take_more_slots_where_memory_is_short() -> None:
    found = memory.answer(add_tasks(add_machine(watch(), 20 * GIB)).observe())
    one = unwrap(found.recommendations)
    # 19 GiB for ten slots; 8 GiB are five shares.
    assert (one.object, one.setting, one.value) == ("etl.large", "pool and pool_slots", "up to 5")
    assert "10 slots want 80.0 GiB if all tasks peak at once" in found.nothing
    bars, line = unwrap(found.charts).lines
    assert list(bars.y) == [8, 1]
    assert list(line.y) == [pytest.approx(1.9)] * 2


def test_with_fewer_slots_as_advised_large_tasks_fit() -> None:
    seen = replace(add_tasks(add_machine(watch(), 20 * GIB)).observe(), advised_slots=2)
    found = memory.answer(seen)
    assert not found.recommendations
    assert "2 slots want 16.0 GiB" in found.nothing


def test_enough_memory_is_no_advice() -> None:
    found = memory.answer(add_tasks(add_machine(watch(), 100 * GIB)).observe())
    assert not found.recommendations
    assert "so 95 fit" in found.nothing


def test_without_a_machine_nothing_is_known() -> None:
    assert unwrap(memory.answer(add_tasks(watch()).observe()).missing).have == "memory of 2 tasks, of no machines"


def test_many_growing_tasks_mean_the_worker() -> None:
    watched = watch().add(EXECUTOR, 1, executor="CeleryExecutor")
    for name in "abc":
        watched.add(TASK_PEAK, 500 * MIB, dag_id="d", task_id=name).add(PEAK_GROWTH, 1.5, dag_id="d", task_id=name)
    one = unwrap(memory.answer(watched.observe()).recommendations)
    assert one.setting == "[celery] worker_max_tasks_per_child"


@pytest.mark.parametrize(("growth", "peak", "found"), [(1.5, 500, 1), (1.2, 500, 0), (1.5, 60, 0)])
def test_a_growing_task_means_its_code(growth: float, peak: float, found: int) -> None:
    watched = (
        watch().add(TASK_PEAK, peak * MIB, dag_id="d", task_id="a").add(PEAK_GROWTH, growth, dag_id="d", task_id="a")
    )
    recommendations = memory.answer(watched.observe()).recommendations
    assert [one.setting for one in recommendations] == ["the code of the tasks"] * found


# ---- schedule ------------------------------------------------------------------------------------


def due_at(hour: float, count: float) -> object:
    """Runs that are due at one time of the day: counted in the minute before."""
    return lambda now: count if abs(now % 24 - (hour - 1 / 60)) < 1e-6 else None


def test_runs_of_one_minute_that_wait_are_spread() -> None:
    watched = watch().add(DUE, due_at(2, 40)).add(WAITED, in_hours(2, 2.5, 20, 0.1), reason="parallelism")  # type: ignore[arg-type]
    watched.add(NEXT_RUN, BEGIN + 2 * 3600, dag_id="nightly").add(NEXT_RUN, BEGIN + 7 * 60, dag_id="other")
    found = schedule.answer(watched.observe())
    one = unwrap(found.recommendations)
    assert (one.object, one.current) == ("nightly", "02:00 UTC")
    assert "40 at 02:00 UTC" in one.seen[0]
    assert 0 < one.savings.least < one.savings.most < 140
    grid = unwrap(found.charts).grid
    assert grid[2][0] == pytest.approx(40)
    assert sum(map(sum, grid)) == pytest.approx(40)


def test_runs_that_do_not_wait_stay() -> None:
    found = schedule.answer(watch().add(DUE, due_at(2, 40)).observe())  # type: ignore[arg-type]
    assert not found.recommendations
    assert "40 runs are due at 02:00 UTC, and do not wait" in found.nothing


def test_waiting_at_other_times_has_other_reasons() -> None:
    watched = watch().add(DUE, due_at(2, 40)).add(WAITED, in_hours(8, 20, 5, 0.0), reason="pool")  # type: ignore[arg-type]
    assert not schedule.answer(watched.observe()).recommendations


def test_spread_runs_are_no_peak() -> None:
    found = schedule.answer(watch().add(DUE, 1).add(WAITED, 5, reason="pool").observe())
    assert found.nothing == "Nothing to change: due runs are spread over the day."


# ---- database and broker -------------------------------------------------------------------------


def test_tasks_that_busy_workers_hold_are_named() -> None:
    one = unwrap(backends.answer(watch().add(API_SECONDS, 0.1).add(HELD_TASKS, 0.5).observe()).recommendations)
    assert (one.setting, one.savings.most) == ("[celery] worker_prefetch_multiplier", pytest.approx(168))


@pytest.mark.parametrize(
    ("longest", "confidence"), [(4 * 3600, Confidence.HIGH), (5000, Confidence.MEDIUM), (900, None)]
)
def test_the_visibility_timeout_must_be_long_enough(longest: float, confidence: Confidence | None) -> None:
    watched = watch().add(API_SECONDS, 0.1).add(VISIBILITY_TIMEOUT, 7200 / 1.2).add(LONGEST_TRY, longest, dag_id="etl")
    found = backends.answer(watched.observe())
    assert [one.confidence for one in found.recommendations] == ([confidence] if confidence else [])
    assert bool(found.nothing) == (confidence is None)


def test_a_slow_database_is_suspected_when_much_runs() -> None:
    watched = watch().add(API_SECONDS, repeat(0.2, 0.2, 0.2, 3.0))
    one = unwrap(backends.answer(watched.observe()).recommendations)
    assert "take 3.0 s in the busiest quarter of the time, else 0.2 s" in one.seen[0]
    assert one.confidence is Confidence.LOW


def test_an_api_that_is_always_slow_says_nothing_of_the_load() -> None:
    assert not backends.answer(watch().add(API_SECONDS, 3.0).observe()).recommendations


def test_connections_near_their_limit_are_named() -> None:
    watched = watch().add(API_SECONDS, 0.1).add(DATABASE_CONNECTIONS, 85).add(DATABASE_LIMIT, 97)
    one = unwrap(backends.answer(watched.observe()).recommendations)
    assert (one.setting, one.current, one.value) == ("max_connections", "97", "180")
    few = watch().add(API_SECONDS, 0.1).add(DATABASE_CONNECTIONS, 60).add(DATABASE_LIMIT, 97)
    assert not backends.answer(few.observe()).recommendations


@pytest.mark.parametrize(("count", "found"), [(2e6, 1), (1e5, 0)])
def test_many_old_rows_are_named(count: float, found: int) -> None:
    watched = watch().add(API_SECONDS, 0.1).add(CLEANABLE_ROWS, count, table="log").add(CLEANABLE_ROWS, 1, table="job")
    recommendations = backends.answer(watched.observe()).recommendations
    assert [one.setting for one in recommendations] == ["airflow db clean"] * found


def test_celery_without_its_broker_is_missing() -> None:
    watched = watch().add(API_SECONDS, 0.1).add(EXECUTOR, 1, executor="CeleryExecutor")
    assert unwrap(backends.answer(watched.observe()).missing).what == "The broker"


# ---- all -----------------------------------------------------------------------------------------


def test_every_question_is_answered_without_any_data() -> None:
    report = advise(Watched(1).observe())
    assert [answer.question for answer in report.answers] == [name for name, _ in QUESTIONS]
    assert len(QUESTIONS) == 8
    assert not report.ranking
    assert all(answer.missing for answer in report.answers)


def test_what_could_not_be_read_of_a_part_of_the_time_is_missing_too() -> None:
    watched = watch().add(WAITED, 1.0, reason="pool").add(OBJECT_WAITED, 1.0, reason="pool", object="narrow")
    watched.add(POOL_SLOTS, lambda hour: 1 if hour < 48 else 2, pool="narrow")
    seen = replace(watched.observe(), failures={POOL_WANTED.name: "too many samples"})
    answer = next(one for one in advise(seen).answers if one.question == "pools")
    assert "how many slots they wanted is not known" in answer.nothing
    assert "not read (too many samples)" in str(answer.missing[-1])


def test_what_could_not_be_read_is_not_nothing_to_change() -> None:
    watched = watch().add(DAG_TRIES, 20_000, dag_id="fine").add(API_SECONDS, 0.1)
    seen = replace(watched.observe(), failures={"short_tries": "too many samples"}, warnings=["one store is down"])
    report = advise(seen)
    answers = {one.question: one for one in report.answers}
    assert not answers["granularity"].nothing
    assert "not read (too many samples)" in str(answers["granularity"].missing[-1])
    assert answers["backends"].nothing.startswith("Nothing to change")
    assert report.problems == [
        "tries that did less than their start costs: too many samples",
        "one store is down",
    ]

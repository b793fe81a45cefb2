"""Advice on parallelism: raised, lowered, left, or not known."""

from __future__ import annotations

import math

import pytest

from exporter.tuning.advice import Confidence
from exporter.tuning.capacity import Room
from exporter.tuning.knee import KneeEstimate, LoadBin, LoadCurve
from exporter.tuning.queries import (
    API_SECONDS,
    EXECUTOR,
    HOST_CPU,
    HOST_CPUS,
    HOST_MEMORY,
    HOST_MEMORY_BYTES,
    OBJECT_WAITED,
    RUNNING,
    SCHEDULERS,
    SLOTS,
    STRETCH,
    TASK_CPUS,
    TASK_MEMORY,
    WAITED,
    WORK,
    WORKER_QUEUES,
    WORKER_SLOTS,
)
from exporter.tuning.query import STEP
from exporter.tuning.questions.load import measure_slots_per_task
from exporter.tuning.questions.parallelism import agrees, answer
from exporter.tuning.questions.parallelism_charts import draw_load
from exporter.tuning.series import HOUR
from tests.unit.tuning.observed import Watched, in_hours, repeat, unwrap

GIB = 1024.0**3
LEVELS = (1, 2, 3, 4, 6, 8, 10, 12, 14, 16)


def watch(days: float = 7, *, slots: float = 16, knee: float = 6, most: float = 16, each: int = 1) -> Watched:
    """Concurrency that goes up and down every `each` points; a machine that is busy from `knee` running tasks on."""
    levels = [level for level in LEVELS if level <= most for _ in range(each)]
    slow = [max(1.0, level / knee) for level in levels]
    work = [level / one for level, one in zip(levels, slow, strict=True)]
    return (
        Watched(days)
        .add(RUNNING, repeat(*levels))
        .add(STRETCH, repeat(*slow))
        .add(WORK, repeat(*work))
        .add(SLOTS, slots)
        .add(HOST_CPUS, 3, instance="a")
        .add(TASK_CPUS, repeat(*[one * 3 / knee for one in work]), instance="a")
        .add(HOST_CPU, repeat(*[one / knee for one in work]), instance="a")
        .add(TASK_MEMORY, repeat(*[level * GIB for level in levels]), instance="a")
        .add(HOST_MEMORY, repeat(*[level / 100 for level in levels]), instance="a")
        .add(HOST_MEMORY_BYTES, 100 * GIB, instance="a")
    )


def wait_while_full(hour: float) -> float:
    """Five tasks, in the one hour of four in which four of four slots are in use."""
    return 5.0 if hour % 4 >= 3 else 0.0


def test_it_is_lowered_to_the_knee() -> None:
    found = answer(watch().observe())
    one = unwrap(found.recommendations)
    assert (one.current, one.value, one.setting) == ("16", "6", "[core] parallelism")
    assert one.confidence is Confidence.HIGH
    assert one.savings.expected == 0
    assert "the same work is done per second" in one.effect
    assert "2.6 times" in one.effect
    assert [chart.title for chart in found.charts] == ["Throughput over concurrency", "Stretch over concurrency"]
    assert [mark.name for mark in found.charts[0].marks] == ["best: 6", "90 % range", "limit: 16"]


def add_database(watched: Watched, per_task: float, cores: float = 10) -> Watched:
    """The machine of the database, of which each of up to four tasks uses something."""
    points = watched.observe().get(RUNNING)
    begin = min(points)

    def get_share(hour: float) -> float:
        return points[begin + round(hour * HOUR / STEP) * STEP] * per_task / cores

    return watched.add(HOST_CPUS, cores, instance="db").add(HOST_CPU, get_share, instance="db")


def test_it_is_raised_to_the_room_where_tasks_wait() -> None:
    watched = watch(slots=4, knee=12, most=4, each=12).add(WAITED, in_hours(3, 4, 40, 0), reason="parallelism")
    add_database(watched, 0.1)
    one = unwrap(answer(watched.observe()).recommendations)
    assert (one.current, one.value) == ("4", "12")
    assert one.confidence is Confidence.MEDIUM
    assert "in steps of at most twice" in one.change
    # 40 tasks wait for one of 24 hours.
    assert 0.3 * 280 < one.savings.least < one.savings.expected < one.savings.most <= 280


def test_it_is_raised_to_the_knee_where_that_was_seen() -> None:
    watched = watch(slots=4, knee=6, most=16).add(WAITED, 5, reason="parallelism")
    one = unwrap(answer(watched.observe()).recommendations)
    assert (one.current, one.value) == ("4", "6")


def test_slots_in_which_tasks_start_and_end_are_added() -> None:
    """Half of the slots run nothing: for the knee, near 6 running tasks, twice as many are needed."""
    watched = watch(slots=4, knee=6).add(WAITED, 40, reason="parallelism")
    watched.replace(SLOTS, repeat(*[2 * level for level in LEVELS]))
    one = unwrap(answer(watched.observe()).recommendations)
    assert (one.current, one.value) == ("16", "11")
    assert "a slot runs nothing while a task starts or ends in it: 11 slots run 5.7 tasks" in one.seen


def test_what_a_slot_runs_is_an_average_over_its_limit() -> None:
    """Of two slots mostly both run something, at times only one: two slots run 1.6 tasks."""
    watched = watch().replace(SLOTS, 2).add(WAITED, 40, reason="parallelism")
    watched.replace(RUNNING, repeat(2, 2, 1, 2, 1))
    assert measure_slots_per_task(watched.observe(), 2) == pytest.approx(1.25, rel=0.01)


def test_fewer_slots_keep_nine_tenths_of_the_throughput() -> None:
    """From 2.2 running tasks on nothing more is done: two slots would do less than nine tenths of it."""
    levels = (1, 1.5, 2, 2.2, 2.5, 3, 4, 8)
    slow = [max(1.0, level / 2.3) for level in levels]
    watched = watch().replace(RUNNING, repeat(*levels)).replace(STRETCH, repeat(*slow))
    watched.replace(WORK, repeat(*[level / one for level, one in zip(levels, slow, strict=True)]))
    one = unwrap(answer(watched.observe()).recommendations)
    assert one.value == "3"
    assert "the same work is done per second" in one.effect


def test_slots_that_are_free_because_little_waits_are_not_taken_for_starting_tasks() -> None:
    watched = watch(slots=32, knee=6, most=16).add(WAITED, 3, reason="parallelism")
    assert unwrap(answer(watched.observe()).recommendations).value == "6"


def test_memory_is_the_limit_where_it_is_narrower() -> None:
    watched = watch(slots=4, knee=400, most=4, each=12).add(WAITED, wait_while_full, reason="parallelism")
    one = unwrap(answer(watched.observe()).recommendations)
    assert one.value == "8"
    assert "what the database has room for is not known" in one.reason
    one = unwrap(answer(add_database(watched, 0.01).observe()).recommendations)
    # 95 of 100 GiB, 1 GiB a task.
    assert one.value == "95"
    assert "by memory (1.0 GiB for a running task" in one.seen[1]


def test_the_database_is_the_limit_where_its_machine_is_full_first() -> None:
    watched = watch(slots=4, knee=400, most=4, each=12).add(WAITED, wait_while_full, reason="parallelism")
    one = unwrap(answer(add_database(watched, 1.25).observe()).recommendations)
    assert one.value == "8"
    assert "by the CPUs of db (1.25 CPUs for a running task" in one.seen[1]
    full = answer(
        add_database(
            watch(slots=4, knee=400, most=4, each=12).add(WAITED, wait_while_full, reason="parallelism"), 2.4
        ).observe()
    )
    assert not full.recommendations


def test_it_is_not_raised_where_the_database_answers_slowly() -> None:
    watched = watch(slots=4, knee=12, most=4, each=12).add(WAITED, wait_while_full, reason="parallelism")
    found = answer(add_database(watched, 0.1).add(API_SECONDS, repeat(*[0.1] * 36, *[0.4] * 12)).observe())
    assert not found.recommendations
    assert "requests to the API take 0.40 s (p95) while many tasks run, and 0.10 s while few do" in found.nothing


def test_nothing_changes_where_nothing_waits() -> None:
    found = answer(watch(slots=4, knee=12, most=4).observe())
    assert not found.recommendations
    assert found.nothing.startswith("Nothing to change: at most 4 tasks ran at once")
    assert "Tasks wait for no limit worth mention" in found.nothing


def test_the_limit_that_binds_is_named() -> None:
    watched = watch(slots=16, knee=12, most=4).add(OBJECT_WAITED, 3, reason="pool", object="narrow")
    found = answer(watched.observe())
    assert not found.recommendations
    assert "What tasks wait for most is pool (narrow), 504 h in all" in found.nothing


def test_a_limit_that_is_nearly_right_stays() -> None:
    assert not answer(watch(slots=6, knee=6).add(WAITED, 5, reason="parallelism").observe()).recommendations


def test_too_little_time_is_no_advice() -> None:
    found = answer(watch(0.03).observe())
    assert not found.recommendations
    assert unwrap(found.missing).have == "40 min observed"


def test_one_level_and_no_machine_is_no_advice() -> None:
    watched = Watched(7).add(RUNNING, 4).add(STRETCH, 1).add(WORK, 4).add(SLOTS, 4).add(WAITED, 9, reason="parallelism")
    found = answer(watched.observe())
    assert not found.recommendations
    assert [one.what for one in found.missing] == ["Levels of concurrency", "What a task uses"]


def test_fewer_tasks_are_not_advised_without_a_curve() -> None:
    """What they use says that too many ran; that nothing would be lost with fewer was not seen."""
    watched = Watched(7).take(watch(), without=STRETCH)
    found = answer(watched.observe())
    assert not found.recommendations
    assert found.nothing.startswith("No advice: at most 16 tasks ran at once")
    assert "The best number is about 6" in found.nothing
    assert unwrap([one for one in found.missing if one.what != "Waits"]).have.startswith("0 seen")


def test_an_unlimited_parallelism_is_no_advice() -> None:
    found = answer(watch(slots=math.inf).observe())
    assert not found.recommendations
    assert unwrap(found.missing).what == "The limit"


def test_celery_has_slots_on_each_worker() -> None:
    watched = watch(slots=64).add(EXECUTOR, 1, executor="CeleryExecutor")
    watched.add(WORKER_SLOTS, 8, worker="a").add(WORKER_SLOTS, 8, worker="b")
    one = unwrap(answer(watched.observe()).recommendations)
    assert (one.setting, one.current) == ("[celery] worker_concurrency of all workers together", "16")
    assert "worker_concurrency to 3 on each of 2 workers" in one.change


def test_slots_of_workers_that_were_not_read_are_missing() -> None:
    """Parallelism is not what limits tasks then, and worker_concurrency has another value."""
    watched = watch(slots=16, knee=6).add(EXECUTOR, 1, executor="CeleryExecutor").add(WAITED, 5, reason="parallelism")
    found = answer(watched.observe())
    assert not found.recommendations
    assert unwrap(found.missing).what == "Slots of Celery's workers"
    assert found.nothing.startswith("The best number is about 5.7")


@pytest.mark.parametrize("shared", [False, True])
def test_one_queue_that_is_waited_for_does_not_raise_all_workers(*, shared: bool) -> None:
    watched = watch(slots=64, knee=6, most=16).add(EXECUTOR, 1, executor="CeleryExecutor")
    watched.add(WAITED, 5, reason="workers_full").add(OBJECT_WAITED, 5, reason="workers_full", object="gpu")
    for worker, slots, queue in (("a", 3, "default"), ("b", 1, "gpu")):
        watched.add(WORKER_SLOTS, slots, worker=worker).add(WORKER_QUEUES, 1, worker=worker, queue=queue)
    if shared:
        watched.add(WORKER_QUEUES, 1, worker="a", queue="gpu")
    found = answer(watched.observe())
    assert bool(found.recommendations) == shared
    assert ("of queue gpu only, which have 1 of 4 slots" in found.nothing) != shared
    assert ("worker_concurrency:gpu=2" in found.nothing) != shared


def test_waits_for_a_lower_parallelism_do_not_count() -> None:
    """It was raised an hour before the end of the window; before that tasks waited for it."""
    end = 7 * 24 - 1
    watched = watch(slots=0, knee=12, most=4, each=12)
    watched = Watched(7).take(watched, without=SLOTS)
    watched.add(SLOTS, lambda hour: 6 if hour >= end else 4)
    watched.add(WAITED, lambda hour: 0.0 if hour >= end else 20, reason="parallelism")
    found = answer(add_database(watched, 0.1).observe())
    assert not found.recommendations
    assert "they waited 0 min for a slot in 60 min with the present limit" in found.nothing


@pytest.mark.parametrize(("least", "most", "agree"), [(21, 23, False), (16, 34, True), (5, 22, False)])
def test_the_room_may_differ_more_from_a_curve_that_is_unsure(least: float, most: float, *, agree: bool) -> None:
    """No level between 19 and 63 tasks was seen: the curve says 22, and 40 fit into memory."""
    knee = KneeEstimate([LoadBin(9, 19, 19, 1.0)], LoadCurve(1.0, 19), 22, least, most, True, 1.0)
    assert agrees(knee, Room("memory", 1.0, 40.0, 42.0)) == agree


def test_the_number_that_is_advised_is_in_the_plots_where_the_room_moves_it() -> None:
    knee = KneeEstimate([LoadBin(9, 5, 5, 1.0), LoadBin(9, 63, 19, 3.3)], LoadCurve(1.0, 19), 22, 16, 34, True, 1.0)
    charts = draw_load(knee, 63, 29.7)
    assert [mark.name for mark in charts[0].marks][2:] == ["limit: 63", "with the room of the machines: 30"]
    assert len(draw_load(knee, 63, 22.3)[0].marks) == 3


def test_schedulers_share_parallelism() -> None:
    one = unwrap(answer(watch().add(SCHEDULERS, 2).observe()).recommendations)
    assert "Set [core] parallelism to 3 on each of 2 schedulers" in one.change


@pytest.mark.parametrize(("days", "confidence"), [(7, Confidence.HIGH), (1, Confidence.MEDIUM)])
def test_few_days_are_less_sure(days: float, confidence: Confidence) -> None:
    one = unwrap(answer(watch(days).observe()).recommendations)
    assert one.confidence is confidence
    assert ("observed" in one.reason) == (days < 3)

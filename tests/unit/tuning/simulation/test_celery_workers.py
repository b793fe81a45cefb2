"""Celery workers that differ in slots and queues: who runs what, and which part of a wait is only the start."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from exporter.tuning.simulation.change import parse_change
from exporter.tuning.simulation.recorded import RecordedTry, Recording
from exporter.tuning.simulation.settings import CeleryWorker, SimulatedSettings
from exporter.tuning.simulation.simulation import Simulation
from exporter.tuning.simulation.starts import find_starts
from exporter.tuning.simulation.work import WAIT, Phase, Run, SimulatedTry

DEFAULT, HEAVY, BOTH = frozenset({"default"}), frozenset({"heavy"}), frozenset({"default", "heavy"})
ONE = CeleryWorker("one", 2, DEFAULT)
TWO = CeleryWorker("two", 1, BOTH)


def make_tries(*queues: str) -> list[SimulatedTry]:
    """Tries of ten seconds that are ready at the same time, in this order."""
    return [
        SimulatedTry(Run("d", str(number), 0, date=number), "t", [Phase(WAIT, 10)], queue=queue)
        for number, queue in enumerate(queues)
    ]


def run(tries: list[SimulatedTry], *workers: CeleryWorker, **changes: Sequence[CeleryWorker]) -> list[float]:
    """When each starts."""
    later = [(float(at.removeprefix("at_")), SimulatedSettings(celery_workers=found)) for at, found in changes.items()]
    Simulation(SimulatedSettings(celery_workers=workers), tries, changes=later).run()
    return [one.started_at for one in tries]


def test_each_queue_has_the_slots_of_the_workers_that_consume_it() -> None:
    tries = make_tries("heavy", "heavy", "default", "default", "default")
    assert run(tries, ONE, TWO) == [0, 10, 0, 0, 10]
    assert [one.worker for one in tries] == ["two", "two", "one", "one", "one"]


def test_what_no_worker_consumes_does_not_hold_up_other_queues() -> None:
    assert run(make_tries("nobody", "default"), ONE) == [-1, 0]


def test_a_worker_that_knows_no_queues_consumes_all() -> None:
    assert run(make_tries("a", "b", "c"), CeleryWorker("any", 2)) == [0, 0, 10]


def test_workers_that_come_and_go() -> None:
    """The second one comes after three seconds; the first goes after four, and what it runs goes on to its end."""
    tries = make_tries("default", "default", "default", "default", "default")
    assert run(tries, ONE, at_3=[ONE, TWO], at_4=[TWO]) == [0, 0, 3, 13, 23]
    assert tries[0].ended_at == 10


def test_another_worker_concurrency_is_that_of_all_or_of_those_that_consume_a_queue() -> None:
    settings = SimulatedSettings(celery_workers=[ONE, TWO])

    def get_slots(text: str) -> list[float]:
        return [one.concurrency for one in parse_change(text).apply(settings).celery_workers or ()]

    assert get_slots("worker_concurrency=8") == [8, 8]
    assert get_slots("worker_concurrency:heavy=8") == [2, 8]
    assert get_slots("worker_concurrency:nobody=8") == [2, 1]
    assert parse_change("worker_concurrency=8").get_current(settings) == 2
    assert parse_change("worker_concurrency:heavy=8").get_current(settings) == 1


def record(queue: str, queued_at: float, started_at: float, ended_at: float) -> RecordedTry:
    return RecordedTry("d", "r", "t", -1, 1, 0, started_at, ended_at, "p", 1, 1, queue, started_at - queued_at)


@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        ([CeleryWorker("a", 4, DEFAULT), CeleryWorker("b", 1, HEAVY)], [1, 1, 1, 2]),
        ([CeleryWorker("a", 5, BOTH)], [1, 1, 9, 2]),
        ([CeleryWorker("a", 4, DEFAULT), CeleryWorker("b", 1, BOTH)], [1, 1, 1, 2]),
    ],
    ids=[
        "of its own workers",
        "of workers that all queues share",
        "not known of a queue that some of these workers do not consume",
    ],
)
def test_a_wait_is_the_cost_of_a_start_where_a_slot_of_the_queue_was_free(
    workers: list[CeleryWorker], expected: list[float]
) -> None:
    """The second try of `heavy` waits nine seconds, while slots of `default` are free."""
    tries = [record("heavy", 0, 1, 10), record("default", 0, 1, 10), record("heavy", 1, 10, 20)]
    tries.append(record("default", 30, 32, 40))
    assert find_starts(Recording(tries), [(0, SimulatedSettings(celery_workers=workers))]) == expected


def test_what_was_queued_in_the_same_look_counts_though_its_time_is_rounded() -> None:
    """Of two tries for one slot the one that waited seems to have been queued a microsecond before the other."""
    tries = [record("default", 0.000001, 1, 60), record("default", 0.0, 60, 70)]
    settings = SimulatedSettings(celery_workers=[CeleryWorker("a", 1, DEFAULT)])
    starts = find_starts(Recording(tries), [(0, settings)])
    assert max(starts) == pytest.approx(1, abs=0.01)

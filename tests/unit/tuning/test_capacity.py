"""What a running task uses, and how many of them fit."""

from __future__ import annotations

import random

import pytest

from exporter.tuning.capacity import fit_line, fit_many, measure_capacity
from exporter.tuning.queries import (
    HOST_CPU,
    HOST_CPUS,
    HOST_MEMORY_BYTES,
    RUNNING,
    TASK_CPUS,
    TASK_MEMORY,
)
from tests.unit.tuning.observed import Watched, repeat

GIB = 1024.0**3


def test_few_large_tasks_do_not_make_many_tasks_large() -> None:
    """Tasks of 1 or 3 GiB, at most three at once: 40 of them take little more than 40 times the average."""
    chance = random.Random(1)
    counts = [chance.randint(1, 3) for _ in range(600)]
    used = [sum(chance.choice((1, 3)) for _ in range(count)) * GIB for count in counts]
    watched = Watched(3).add(RUNNING, repeat(*counts)).add(TASK_MEMORY, repeat(*used), instance="a")
    room = measure_capacity(watched.add(HOST_MEMORY_BYTES, 100 * GIB, instance="a").observe()).memory
    assert room is not None
    assert 95 / 2.4 < room.tasks < 95 / 2.1


def test_many_fit_if_their_use_varies_with_the_square_root() -> None:
    assert fit_many(100, 2, 0) == pytest.approx(50)
    number = fit_many(100, 2, 3)
    assert 2 * number + 3 * number**0.5 == pytest.approx(100)
    assert fit_many(0, 2, 3) == 0


def test_a_machine_without_tasks_counts_if_its_cpus_follow_the_tasks() -> None:
    chance = random.Random(2)
    running = [number for _ in range(24) for number in [chance.randint(1, 8)] * 12]
    noise = [chance.uniform(0, 1) for _ in running]
    watched = (
        Watched(2)
        .add(RUNNING, repeat(*running))
        .add(TASK_CPUS, repeat(*(0.5 * one for one in running)), instance="worker")
        .add(HOST_CPU, repeat(*(0.1 + 0.05 * one for one in running)), instance="db")
        .add(HOST_CPU, repeat(*noise), instance="other")
    )
    for name in ("worker", "db", "other"):
        watched.add(HOST_CPUS, 4, instance=name)
    [room] = measure_capacity(watched.observe()).shared
    assert room.resource == "the CPUs of db"
    assert room.per_task == pytest.approx(0.2)
    assert room.tasks == pytest.approx((4 - 0.4) / 0.2)


def test_a_machine_that_was_replaced_is_not_missing_from_what_a_task_uses() -> None:
    """Eight tasks on two machines of which one got another name: each uses half a CPU, before and after."""
    watched = Watched(14).add(RUNNING, 8).add(HOST_CPUS, 8, instance="a").add(HOST_CPUS, 8, instance="new")
    for name, first, last in (("a", 0, 14), ("old", 0, 10), ("new", 10, 14)):

        def run(hour: float, first: int = first, last: int = last) -> float | None:
            return 2.0 if 24 * first <= hour < 24 * last else None

        watched.add(TASK_CPUS, run, instance=name)
    room = measure_capacity(watched.observe()).cpu
    assert room is not None
    assert room.per_task == pytest.approx(0.5)


def test_no_line_through_one_place() -> None:
    assert fit_line([(1.0, 1.0)] * 10) is None
    assert fit_line([(1.0, 1.0), (2.0, 2.0)]) is None

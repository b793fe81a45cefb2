"""The knee: found within a fifth over noise, with a range that holds it; not seen where nothing was beyond it."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.tuning.knee import (
    LoadCurve,
    LoadPoint,
    collect_bins,
    collect_blocks,
    estimate_knee,
    get_bin,
    join_series,
    shape,
)

STEP = 300
SEEDS = [0, pytest.param(1, marks=pytest.mark.slow), pytest.param(2, marks=pytest.mark.slow)]


def make_points(
    seed: int, knee: float, most: float, decline: float = math.inf, steepness: float = 0.0, days: int = 4
) -> list[LoadPoint]:
    """Load that comes and goes each day: throughput varies by 30 %, durations by 15 %."""
    chance = random.Random(seed)
    points = []
    for place in range(days * 288):
        wave = max(0.02, math.sin(place / 288 * 2 * math.pi))
        running = max(0.6, most * wave * chance.uniform(0.7, 1.0))
        done = shape(running, knee, decline, steepness)
        work = max(0.01, done * chance.gauss(1, 0.3))
        points.append(LoadPoint(place * STEP, running, work, work * running / done * max(0.5, chance.gauss(1, 0.15))))
    return points


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("knee", "most"), [(2, 16), (4, 12), (8, 24), (16, 40), (40, 120)])
def test_it_is_found(seed: int, knee: float, most: float) -> None:
    found = estimate_knee(make_points(seed, knee, most))
    assert found
    assert found.is_seen
    assert found.sureness > 0.9
    assert found.best == pytest.approx(knee, rel=0.2)
    assert found.least <= found.best <= found.most


@pytest.mark.parametrize("seed", SEEDS)
def test_a_decline_is_found_before_the_knee(seed: int) -> None:
    """Memory runs out at ten tasks, long before the CPUs are busy."""
    found = estimate_knee(make_points(seed, 60, 24, decline=10, steepness=2))
    assert found
    assert found.is_seen
    assert found.best == pytest.approx(10, rel=0.2)
    assert found.curve.get_throughput(20) < found.curve.get_throughput(10)


@pytest.mark.parametrize("seed", SEEDS)
def test_without_a_knee_none_is_seen(seed: int) -> None:
    found = estimate_knee(make_points(seed, 1000, 16))
    assert found
    assert not found.is_seen
    assert found.best >= 13
    assert found.curve.get_stretch(16) == pytest.approx(1, abs=0.1)


def test_a_few_hours_in_which_the_level_rises_give_the_curve_that_they_show() -> None:
    """Of few long blocks most draws lacked a level: then the answer was where the next one stood."""
    seen = [(0.86, 1.02, 15), (2.0, 1.29, 9), (3.3, 1.98, 4), (3.7, 2.07, 4), (8.0, 4.9, 8), (16.0, 9.0, 8)]
    levels = [(running, stretch) for running, stretch, count in seen for _ in range(count)]
    points = [
        LoadPoint(STEP * place, running, running / stretch, running) for place, (running, stretch) in enumerate(levels)
    ]
    found = estimate_knee(points)
    assert found
    assert found.is_seen
    assert found.best == found.curve.get_best(16) == 2.0
    assert found.most < 3


def test_one_level_of_concurrency_is_no_curve() -> None:
    assert estimate_knee([LoadPoint(place * STEP, 8, 4, 8) for place in range(1000)]) is None


def test_it_is_the_same_each_time() -> None:
    points = make_points(1, 4, 16)
    assert estimate_knee(points) == estimate_knee(points)


def test_a_long_task_counts_by_its_work() -> None:
    """Two of three points are short tasks that take three times as long; the long one takes what it always does."""
    points = [LoadPoint(0, 4, 1, 3), LoadPoint(1, 4, 1, 3), LoadPoint(2, 4, 98, 98)]
    (only,) = collect_bins(collect_blocks(points))
    assert only.stretch == pytest.approx(1.04)
    assert only.throughput == pytest.approx(4 / 1.04)


def test_a_bin_of_two_points_is_none() -> None:
    assert collect_bins(collect_blocks([LoadPoint(0, 4, 1, 1), LoadPoint(1, 4, 1, 1)])) == []


@given(st.floats(0.5, 1e4))
@settings(max_examples=200)
def test_bins_are_narrow(running: float) -> None:
    assert get_bin(running) <= get_bin(running * 1.05)
    assert running < 8.5 or get_bin(running * 1.25) > get_bin(running)


def test_moments_at_which_something_is_missing_are_left_out() -> None:
    running = {0.0: 4.0, 300.0: 4.0, 600.0: 0.1, 900.0: 4.0}
    work = {0.0: 2.0, 300.0: 2.0, 600.0: 2.0}
    assert join_series(running, work, {0.0: 1.5, 600.0: 1.0}) == [LoadPoint(0.0, 4.0, 2.0, 3.0)]


def test_a_moment_in_which_long_tasks_run_and_none_ends_counts_for_its_level() -> None:
    running, work = {0.0: 4.0, 300.0: 4.0}, {0.0: 2.0, 300.0: 0.0}
    assert join_series(running, work, {0.0: 1.5})[1] == LoadPoint(300.0, 4.0, 0.0, 0.0)


def test_the_best_is_the_lowest_of_the_highest() -> None:
    """Nine tenths of the highest throughput."""
    assert LoadCurve(1, 6).get_best(20) == 5.5
    assert LoadCurve(1, math.inf, 10, 4).get_best(20) == 9
    assert LoadCurve(1, math.inf).get_best(20) == 18
    assert LoadCurve(1, 6, sharpness=2.5).get_best(40) > 6

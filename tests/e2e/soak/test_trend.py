"""Growth is told apart from noise."""

from __future__ import annotations

import random

import pytest

from tests.e2e.soak.trend import blocks_of, fit

TIMES = list(range(600))


def test_a_constant_has_no_slope() -> None:
    trend = fit(TIMES, [100.0] * 600, day=600)
    assert (trend.mean, trend.slope, trend.error) == (100.0, 0.0, 0.0)
    assert not trend.grows(0.01)


def test_noise_is_no_growth_and_growth_in_noise_is() -> None:
    chance = random.Random(1)
    noise = [chance.gauss(100.0, 1.0) for _ in TIMES]
    assert not fit(TIMES, noise, day=600).grows(0.01)
    grown = fit(TIMES, [value + time / 100 for time, value in enumerate(noise)], day=600)
    assert grown.slope == pytest.approx(6.0, abs=0.5)
    assert grown.grows(0.01)


def test_growth_that_is_allowed_is_none() -> None:
    assert not fit(TIMES, [100.0 + time / 1200 for time in TIMES], day=600).grows(0.01)


def test_too_much_noise_says_that_it_is_not_known() -> None:
    chance = random.Random(1)
    assert not fit(TIMES, [chance.gauss(100.0, 100.0) for _ in TIMES], day=600).is_known(0.01)


def test_blocks_leave_out_the_oldest_samples() -> None:
    assert blocks_of([9.0, 1.0, 3.0, 5.0, 7.0], 2) == [2.0, 6.0]
    with pytest.raises(ValueError, match="too few"):
        blocks_of([1.0], 2)

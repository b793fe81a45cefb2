"""The estimate of Airflow's clock: what one header, or a few, may move it by."""

from __future__ import annotations

import math

import pytest

from exporter.sources.airflow.http.clock import MAX_AHEAD, WINDOW, ServerClock

NOW = 1_800_000_000.4


def hear(clock: ServerClock, skew: float, at: float, latency: float = 0.1) -> None:
    """A reply of a server whose clock is ahead by `skew`."""
    clock.record(math.floor(at + skew - latency / 2), at - latency, at)


def estimate(*skews: float, pause: float = 10.0, then: float = 0.0) -> float:
    """How far the estimate is ahead after replies with these skews, each a pause after the one before."""
    clock = ServerClock()
    for number, skew in enumerate(skews):
        hear(clock, skew, NOW + number * pause)
    end = NOW + (len(skews) - 1) * pause + then
    return clock.read(end) - end


@pytest.mark.parametrize("skew", [0.0, -0.7, -45.0, -3600.0, 3600.0])
def test_a_steady_clock_is_known_to_a_second_and_never_ahead(skew: float) -> None:
    assert skew - 1.2 <= estimate(*[skew] * 20) <= skew


@pytest.mark.parametrize("skew", [0.9, 30.0, 300.0, MAX_AHEAD - 1])
def test_a_little_ahead_is_not_believed(skew: float) -> None:
    assert estimate(*[skew] * 20) == 0.0


@pytest.mark.parametrize("wrong", [5.0, 300.0, 5_000.0, 1e9])
def test_one_that_is_ahead_for_less_than_the_window_moves_nothing(wrong: float) -> None:
    assert -1.2 <= estimate(*[0.0] * 5, *[wrong] * 100) <= 0.0


def test_one_that_is_far_ahead_for_longer_is_believed() -> None:
    count = int(WINDOW / 10) + 12
    assert estimate(*[0.0] * 5, *[7_200.0] * count) == pytest.approx(7_200.0, abs=1.2)


@pytest.mark.parametrize("wrong", [-700.0, -90_000.0])
def test_two_that_are_far_behind_are_left_out_and_three_are_believed(wrong: float) -> None:
    assert -1.2 <= estimate(*[0.0] * 5, wrong, wrong) <= 0.0
    assert estimate(*[0.0] * 5, wrong, wrong, wrong) == pytest.approx(wrong, abs=1.2)


def test_one_that_is_a_little_behind_counts_for_the_window() -> None:
    assert estimate(0.0, -200.0, *[0.0] * 20) == pytest.approx(-200.0, abs=1.2)
    count = int(WINDOW / 10) + 12
    assert -1.2 <= estimate(0.0, -200.0, *[0.0] * count) <= 0.0


def test_without_a_header_it_is_our_own() -> None:
    assert ServerClock().read(NOW) == NOW
    assert ServerClock().skew is None


def test_the_last_header_counts_however_old_it_is() -> None:
    assert estimate(-45.0, then=10 * WINDOW) == pytest.approx(-45.0, abs=1.2)


def test_a_slow_reply_says_little() -> None:
    clock = ServerClock()
    hear(clock, 0.0, NOW)
    hear(clock, 0.0, NOW + 60, latency=40.0)
    clock.record(math.floor(NOW + 60), NOW + 60, NOW + 100)
    assert -1.2 <= clock.read(NOW + 100) - (NOW + 100) <= 0.0


def test_when_our_own_clock_is_put_back_old_headers_are_forgotten() -> None:
    clock = ServerClock()
    hear(clock, 0.0, NOW)
    hear(clock, 3_600.0, NOW - 3_600.0)
    for number in range(5):
        hear(clock, 3_600.0, NOW - 3_600.0 + number)
    assert clock.read(NOW - 3_595.0) == pytest.approx(NOW + 5.0, abs=1.2)

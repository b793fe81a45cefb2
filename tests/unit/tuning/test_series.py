"""Series as plain data."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.tuning.queries import HOST_CPUS, RUNNING
from exporter.tuning.series import (
    DAY,
    AirflowHistory,
    PointSeries,
    add_up,
    integrate,
    quantile,
    take_largest,
    weighted_quantile,
)
from tests.unit.tuning.observed import Watched

NUMBERS = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


def test_a_window_is_written_as_promql_does() -> None:
    assert AirflowHistory("a", 0, 14 * DAY).window == "14d"
    assert AirflowHistory("a", 0, 36 * 3600).window == "36h"
    assert AirflowHistory("a", 0, 100).window == "100s"


def test_series_are_found_by_their_labels() -> None:
    seen = Watched(1).add(HOST_CPUS, 4, instance="a").add(HOST_CPUS, 8, instance="b").observe()
    assert list(seen.get(HOST_CPUS, instance="b").values()) == [8]
    assert seen.get(HOST_CPUS, instance="c") == {}
    assert seen.by(HOST_CPUS, "instance") == {("a",): 4, ("b",): 8}
    assert seen.by(HOST_CPUS) == {(): 12}
    assert seen.get_last(RUNNING) is None


def test_observed_time_is_that_with_points() -> None:
    assert Watched(2).add(RUNNING, lambda hour: 1 if hour < 24 else None).observe().observed_seconds == DAY


def test_moments_are_added_up() -> None:
    both = [PointSeries({}, {0: 1, 1: 2}), PointSeries({}, {1: 5, 2: math.nan})]
    assert add_up(both) == {0: 1, 1: 7}
    assert take_largest(both) == {0: 1, 1: 5}
    assert integrate({0: 2, 1: math.nan, 2: 1}, 10) == 30


@given(NUMBERS, st.floats(0, 1))
def test_a_quantile_lies_between_the_extremes(values: list[float], share: float) -> None:
    assert min(values) - 1e-6 <= quantile(values, share) <= max(values) + 1e-6


@given(NUMBERS, st.floats(0, 1))
def test_equal_weights_change_nothing(values: list[float], share: float) -> None:
    assert weighted_quantile([(value, 2.0) for value in values], share) in values


def test_weights_decide() -> None:
    assert weighted_quantile([(1.0, 1.0), (2.0, 98.0), (3.0, 1.0)], 0.5) == 2
    with pytest.raises(ValueError, match="no values"):
        weighted_quantile([(1.0, 0.0)], 0.5)
    with pytest.raises(ValueError, match="no values"):
        quantile([math.nan], 0.5)

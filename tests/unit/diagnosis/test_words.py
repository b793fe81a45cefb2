"""Durations, times and limits as the sentences of the diagnosis write them."""

from __future__ import annotations

import math

import pytest

from exporter.diagnosis.words import format_limit, format_seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-3.0, "0 s"),
        (0.0, "0 s"),
        (0.04, "0 s"),
        (1.1, "1.1 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (59.5, "1 min"),
        (90.0, "1 min 30 s"),
        (599.4, "9 min 59 s"),
        (599.6, "10 min"),
        (840.0, "14 min"),
        (3_569.0, "59 min"),
        (3_590.0, "1 h"),
        (3_895.0, "1 h 5 min"),
        (86_400.0, "24 h"),
        (172_790.0, "2 d"),
        (273_600.0, "3 d 4 h"),
        (8_640_000.0, "100 d"),
    ],
)
def test_a_duration_has_at_most_two_units_and_none_that_is_zero(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(("value", "text"), [(None, "an unknown value"), (math.inf, "unlimited"), (16.0, "16")])
def test_limits(value: float | None, text: str) -> None:
    assert format_limit(value) == text

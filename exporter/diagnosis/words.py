"""Durations, times and limits in the sentences of the diagnosis."""

from __future__ import annotations

import math
from datetime import UTC, datetime

SECONDS_UNTIL, HOURS_UNTIL = 600, 48
"""From which on seconds are left out, and hours are written as days."""


def format_seconds(seconds: float) -> str:
    """A duration as people read it, in at most two units: 1.5 s, 45 s, 1 min 30 s, 14 min, 1 h 5 min, 3 d 4 h.

    A negative duration, from clocks that differ, is 0 s.
    """
    if seconds < 59.5:
        return f"{max(0.0, seconds):.{1 if seconds < 10 else 0}f}".removesuffix(".0") + " s"
    if seconds < SECONDS_UNTIL:
        return join_units(*divmod(round(seconds), 60), "min", "s")
    hours, minutes = divmod(round(seconds / 60), 60)
    return join_units(hours, minutes, "h", "min") if hours < HOURS_UNTIL else join_units(*divmod(hours, 24), "d", "h")


def join_units(large: int, small: int, large_unit: str, small_unit: str) -> str:
    """Two numbers with their units; one that is 0 is left out."""
    return " ".join(f"{number} {unit}" for number, unit in ((large, large_unit), (small, small_unit)) if number)


def format_time(moment: float) -> str:
    """A time to the minute: 2026-11-29 11:20 UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")


def format_limit(value: float | None) -> str:
    """A limit or its use, for a sentence."""
    if value is None:
        return "an unknown value"
    return "unlimited" if math.isinf(value) else f"{value:g}"

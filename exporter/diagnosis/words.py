"""Durations, times and limits in the sentences of the diagnosis."""

from __future__ import annotations

import math
from datetime import UTC, datetime

UNITS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


def format_seconds(seconds: float) -> str:
    """A duration with two digits: 45 s, 14 min, 2.5 h, 3 d."""
    for size, unit in UNITS:
        if seconds >= 2 * size:
            return f"{seconds / size:.2g} {unit}" if seconds < 10 * size else f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def format_time(moment: float) -> str:
    """A time to the minute: 2026-11-29 11:20 UTC."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")


def format_limit(value: float | None) -> str:
    """A limit or its use, for a sentence."""
    if value is None:
        return "an unknown value"
    return "unlimited" if math.isinf(value) else f"{value:g}"

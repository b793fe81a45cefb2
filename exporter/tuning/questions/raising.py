"""How far a limit that tasks wait for is raised, and what that saves."""

from __future__ import annotations

import math
from collections.abc import Mapping

from exporter.tuning.advice import Confidence, Savings, Shortfall
from exporter.tuning.queries import WAITED
from exporter.tuning.questions.headroom import Headroom
from exporter.tuning.series import DAY, HOUR, AirflowHistory, quantile

MIN_OBSERVED = DAY
"""Limits are judged from a day on: load differs by the hour."""
MIN_WAITED_PER_DAY = 0.25 * HOUR
"""Seconds that tasks wait for a limit in a day, below which it is not worth a change."""
MAX_FACTOR = 2
"""A limit is at most doubled in one step: what is behind it has to carry the load."""
WANTED_SHARE = 0.95
GOOD_DAYS = 7 * DAY
LACK_WAITS = Shortfall("Waits", "none recorded", "what tasks wait for, by reason", WAITED.source.value)


def choose_value(current: float, wanted: float, room: Headroom) -> int:
    """The new limit: as wanted, but at most twice the present one, and no more than there is room for."""
    value = min(math.ceil(wanted), math.floor(current * MAX_FACTOR))
    if room.slots is not None:
        value = min(value, math.floor(current + room.slots))
    return int(max(value, current))


def estimate_savings(waiting: Mapping[float, float], waited: float, current: float, value: float) -> Savings:
    """What a higher limit saves of the seconds waited.

    At least what the new slots take at once of those that wait (or, for one burst, the share of the new slots); at most
    what they save where tasks arrive all the time and the limit was hardly enough.
    """
    total = sum(waiting.values())
    if not total or value <= current:
        return Savings()
    at_once = sum(min(count, value - current) for count in waiting.values()) / total
    burst = 1 - current / value
    least, most = min(at_once, burst), max(at_once, 1 - (current / value) ** 2)
    return Savings.of_seconds(least * waited, most * waited)


def get_wanted(points: Mapping[float, float], moments: Mapping[float, float]) -> float | None:
    """What was wanted in 19 of 20 of these moments."""
    values = [points[moment] for moment in moments if moment in points]
    return quantile(values, WANTED_SHARE) if values else None


def judge_confidence(seen: AirflowHistory, room: Headroom, days_with_waits: int) -> tuple[Confidence, str]:
    """How sure it is that a higher limit helps, and why it is not surer."""
    doubts = []
    if seen.observed_seconds < GOOD_DAYS:
        doubts.append(f"only {seen.observed_seconds / DAY:.1f} days were observed")
    if days_with_waits < 3:
        doubts.append(f"tasks waited on {days_with_waits} days only")
    if room.is_machine_full is None:
        doubts.append("the machines were not seen")
    doubts = doubts or ["what is behind the limit was not measured"]
    return Confidence(max(1, 3 - len(doubts))), "; ".join(doubts)


def count_days(moments: Mapping[float, float]) -> int:
    """Days with at least one of these moments, counted from the first."""
    first = min(moments, default=0.0)
    return len({int((moment - first) // DAY) for moment in moments})

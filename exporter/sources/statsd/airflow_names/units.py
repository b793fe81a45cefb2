"""Seconds by what was sent: Airflow's timers are milliseconds, or seconds under the name of milliseconds.

2.x hands differences of moments to DogStatsD in seconds; DogStatsD's own stopwatch counts in seconds in every release;
waits are sent in seconds by 2.10, and by 2.11 unless `timer_unit_consistency` is set; 3.2 to 3.3.2 send how long a file
took to parse in seconds. Everything else is in milliseconds.
"""

from __future__ import annotations

from typing import NamedTuple

from exporter.sources.statsd.airflow_names.event import Release, TimerUnit, covers_release

MILLI = 0.001


class SenderContext(NamedTuple):
    """What a unit depends on."""

    release: Release
    datadog: bool
    consistent: bool
    """`timer_unit_consistency`, which only 2.11 knows."""


def get_scale(unit: TimerUnit, now: SenderContext) -> float:
    """By what a value is multiplied to be in seconds."""
    if unit in (TimerUnit.NONE, TimerUnit.SECONDS) or is_sent_in_seconds(unit, now):
        return 1.0
    return MILLI


def is_sent_in_seconds(unit: TimerUnit, now: SenderContext) -> bool:
    """Whether what is sent as milliseconds really is seconds."""
    old = now.release[:1] == (2,)
    uneven = old and not (now.consistent and now.release >= (2, 11))
    if unit is TimerUnit.STOPWATCH:
        return now.datadog
    if unit is TimerUnit.TASK:
        return old and now.datadog
    if unit is TimerUnit.WAIT:
        return uneven
    if unit is TimerUnit.FILE and not old:
        return covers_release("3.0-3.3.2", now.release if len(now.release) > 2 else (*now.release[:2], 0))
    return uneven and now.datadog

"""The units of Airflow's timers: milliseconds, or seconds that are declared as milliseconds.

2.x passes time differences to DogStatsD in seconds. DogStatsD's own stopwatch measures in seconds in every release.
Waits are sent in seconds by 2.10, and by 2.11 unless `timer_unit_consistency` is set. 3.2 to 3.3.2 send the time to
parse a file in seconds. All other timers are in milliseconds.
"""

from __future__ import annotations

from typing import NamedTuple

from exporter.sources.statsd.airflow_names.event import Release, TimerUnit, covers_release

MILLI = 0.001


class SenderContext(NamedTuple):
    """What the unit of a timer depends on."""

    release: Release
    datadog: bool
    consistent: bool
    """`timer_unit_consistency`, a setting of 2.11 only."""


def get_scale(unit: TimerUnit, now: SenderContext) -> float:
    """The factor that converts a value to seconds."""
    if unit in (TimerUnit.NONE, TimerUnit.SECONDS) or is_sent_in_seconds(unit, now):
        return 1.0
    return MILLI


def is_sent_in_seconds(unit: TimerUnit, now: SenderContext) -> bool:
    """Whether a value that is declared as milliseconds is in seconds."""
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

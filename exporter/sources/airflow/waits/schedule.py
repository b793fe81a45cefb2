"""The time between two runs, from the text of a schedule, where it is the same all the time."""

from __future__ import annotations

import re

PRESETS = {"@hourly": 3_600.0, "@daily": 86_400.0, "@weekly": 604_800.0}
DELTA = re.compile(r"(?:(?P<days>\d+) days?, )?(?P<hours>\d+):(?P<minutes>\d\d):(?P<seconds>\d\d)")
EVERY = re.compile(r"\*/(\d+)")
MINUTE, HOUR, DAY = 60.0, 3_600.0, 86_400.0


def parse_period(schedule: str) -> float | None:
    """Seconds between two runs: of a preset, a time delta or a simple cron expression; None of others."""
    if schedule in PRESETS:
        return PRESETS[schedule]
    if match := DELTA.fullmatch(schedule):
        days, hours, minutes, seconds = (float(part or 0) for part in match.groups())
        return days * DAY + hours * HOUR + minutes * MINUTE + seconds or None
    fields = schedule.split()
    if len(fields) != 5 or fields[2:] != ["*", "*", "*"]:
        return None
    minute, hour = fields[:2]
    if hour == "*":
        return parse_step(minute, MINUTE, HOUR)
    return parse_step(hour, HOUR, DAY) if minute.isdecimal() else None


def parse_step(field: str, unit: float, whole: float) -> float | None:
    """Seconds between two matches of a field of a cron expression; `whole` is its range in seconds."""
    if field == "*":
        return unit
    if field.isdecimal():
        return whole
    match = EVERY.fullmatch(field)
    step = int(match[1]) * unit if match else 0.0
    return step if step and whole % step == 0 else None

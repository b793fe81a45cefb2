"""Schedules as Airflow's API shows them: how far apart their times are, where that leaves no doubt.

The time zone of a schedule is not shown. A cron text is therefore tried at each offset from UTC at which the times of
runs agree with it; if not all of these give the same answer, nothing is said.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}
MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
WEEKDAYS = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
INTERVAL = re.compile(r"(?:(\d+) days?, )?(\d+):(\d\d):(\d\d)(?:\.\d+)?\Z")
FIELD = re.compile(r"(?:\*|(\w+)(?:-(\w+))?)(?:/(\d+))?\Z")
QUARTER = timedelta(minutes=15)
OFFSETS = tuple(number * QUARTER for number in range(-12 * 4, 14 * 4 + 1))
"""Every offset from UTC that time zones have."""
MAX_DAYS = 100
"""Nothing is said of times that lie further apart."""
TOLERANCE = 0.01
"""The share of an interval by which times of a fixed interval may be inexact."""
WEEKS_OF_PERIOD = 4
"""Weeks over which the mean interval of a cron text is found."""


class Cron(NamedTuple):
    """A cron text of five fields."""

    minutes: tuple[int, ...]
    """Minutes of the day, ascending."""
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 is Sunday."""
    any_of: bool
    """Whether one of day of month and day of week is enough, because both are restricted."""

    def is_on(self, day: date) -> bool:
        """Whether it has times on a day."""
        by_month, by_week = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return day.month in self.months and (by_month or by_week if self.any_of else by_month and by_week)

    def has(self, when: datetime) -> bool:
        """Whether a time is one of it."""
        whole = not when.second and not when.microsecond
        return whole and self.is_on(when.date()) and get_minute(when) in self.minutes

    def count_between(self, before: datetime, after: datetime) -> int:
        """How many times lie between two others, without them."""
        found = 0
        for day in list_days(before.date(), after.date()):
            if self.is_on(day):
                first = bisect_right(self.minutes, get_minute(before)) if day == before.date() else 0
                last = bisect_left(self.minutes, get_minute(after)) if day == after.date() else len(self.minutes)
                found += last - first
        return found

    def get_wait(self, moment: datetime) -> timedelta | None:
        """How long it is from a moment to its next time; None where that is far away."""
        for number, day in enumerate(list_days(moment.date(), moment.date() + timedelta(days=MAX_DAYS))):
            first = 0 if number else bisect_right(self.minutes, get_minute(moment))
            if self.is_on(day) and first < len(self.minutes):
                return timedelta(days=number, minutes=self.minutes[first] - get_minute(moment))
        return None


Schedule = Cron | timedelta


@lru_cache(maxsize=4_096)
def parse_schedule(text: str) -> Schedule | None:
    """A schedule from the text that the API shows; None where it is none, or one that is not understood."""
    if match := INTERVAL.match(text):
        amounts = [int(part or 0) for part in match.groups()]
        names = ("days", "hours", "minutes", "seconds")
        return timedelta(**dict(zip(names, amounts, strict=True))) or None
    parts = PRESETS.get(text, text).lower().split()
    if len(parts) != len(LIMITS):
        return None
    fields = [parse_field(part, *limits) for part, limits in zip(parts, LIMITS, strict=True)]
    if any(field is None for field in fields):
        return None
    if is_ambiguous(parts[2], parts[4]):
        return None
    minutes, hours, month_days, months, weekdays = (field or frozenset() for field in fields)
    return Cron(
        tuple(sorted(hour * 60 + minute for hour in hours for minute in minutes)),
        month_days,
        months,
        frozenset(day % 7 for day in weekdays),
        any_of="*" not in (parts[2], parts[4]),
    )


LIMITS: tuple[tuple[int, int, dict[str, int]], ...] = (
    (0, 59, {}),
    (0, 23, {}),
    (1, 31, {}),
    (1, 12, MONTHS),
    (0, 7, WEEKDAYS),
)
"""The smallest and largest number of each field, and its names."""


def parse_field(text: str, lowest: int, highest: int, names: dict[str, int]) -> frozenset[int] | None:
    """The numbers that a field stands for; None where it is not understood."""
    found: set[int] = set()
    for part in text.split(","):
        match = FIELD.match(part)
        if match is None:
            return None
        begin, end, step = match.groups()
        first = lowest if begin is None else to_number(begin, names)
        last = highest if begin is None or (step and end is None) else to_number(end or begin, names)
        if first is None or last is None or not lowest <= first <= last <= highest or step == "0":
            return None
        found.update(range(first, last + 1, int(step or 1)))
    return frozenset(found)


def is_ambiguous(day: str, weekday: str) -> bool:
    """Whether implementations of cron differ: both fields are restricted, one of them by a step of all days."""
    return "*" not in (day, weekday) and (day.startswith("*") or weekday.startswith("*"))


def to_number(text: str, names: dict[str, int]) -> int | None:
    """The number of a field, written as such or as a name."""
    return int(text) if text.isdigit() else names.get(text)


def count_skipped(schedule: Schedule, before: float, after: float) -> int | None:
    """How many times of a schedule lie between two (Unix seconds); None where that is in doubt."""
    if isinstance(schedule, timedelta):
        return max(0, int((after - before) / schedule.total_seconds() + TOLERANCE) - 1)
    if after - before > MAX_DAYS * 86_400:
        return None
    first, last = datetime.fromtimestamp(before, UTC), datetime.fromtimestamp(after, UTC)
    counts = {
        schedule.count_between(first + offset, last + offset)
        for offset in OFFSETS
        if schedule.has(first + offset) and schedule.has(last + offset)
    }
    return counts.pop() if len(counts) == 1 else None


@lru_cache(maxsize=4_096)
def find_next(schedule: Schedule, before: float) -> float | None:
    """The first time of a schedule after another of its times (Unix seconds); None where that is in doubt."""
    if isinstance(schedule, timedelta):
        return before + schedule.total_seconds()
    moment = datetime.fromtimestamp(before, UTC)
    waits = {schedule.get_wait(moment + offset) for offset in OFFSETS if schedule.has(moment + offset)}
    wait = waits.pop() if len(waits) == 1 else None
    return None if wait is None else before + wait.total_seconds()


@lru_cache(maxsize=4_096)
def get_period(schedule: Schedule) -> float | None:
    """The mean time between two of a schedule's times, in seconds; None if it has hardly any."""
    if isinstance(schedule, timedelta):
        return schedule.total_seconds()
    begin = datetime(2024, 1, 7, tzinfo=UTC)
    span = timedelta(weeks=WEEKS_OF_PERIOD)
    times = schedule.count_between(begin - timedelta(minutes=1), begin + span)
    return span.total_seconds() / times if times else None


def get_minute(when: datetime) -> int:
    """The minute of the day."""
    return when.hour * 60 + when.minute


def list_days(first: date, last: date) -> Iterator[date]:
    """Every day from one to another."""
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)

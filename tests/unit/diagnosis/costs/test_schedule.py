"""Times of a schedule between two others: exact, or nothing is said."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from exporter.diagnosis.costs.schedule import Cron, count_skipped, find_next, get_period, parse_schedule


def at(text: str, zone: str = "UTC") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def count(schedule: str, before: str, after: str, zone: str = "UTC") -> int | None:
    parsed = parse_schedule(schedule)
    assert parsed is not None
    return count_skipped(parsed, at(before, zone), at(after, zone))


@pytest.mark.parametrize(
    ("schedule", "before", "after", "skipped"),
    [
        ("* * * * *", "2026-03-02T10:00", "2026-03-02T10:01", 0),
        ("* * * * *", "2026-03-02T10:00", "2026-03-02T10:03", 2),
        ("*/5 * * * *", "2026-03-02T10:00", "2026-03-02T10:15", 2),
        ("0 * * * *", "2026-03-02T22:00", "2026-03-03T01:00", 2),
        ("0 6 * * *", "2026-03-02T06:00", "2026-03-03T06:00", 0),
        ("0 6 * * *", "2026-03-02T06:00", "2026-03-05T06:00", 2),
        ("@daily", "2026-03-02T00:00", "2026-03-04T00:00", 1),
        ("0 8,20 * * *", "2026-03-02T08:00", "2026-03-03T08:00", 1),
        ("0 6 * * 1-5", "2026-03-06T06:00", "2026-03-09T06:00", 0),
        ("0 6 * * mon-fri", "2026-03-05T06:00", "2026-03-09T06:00", 1),
        ("0 0 1 * *", "2026-01-01T00:00", "2026-03-01T00:00", 1),
        ("0 0 1,15 * mon", "2026-03-02T00:00", "2026-03-16T00:00", 2),
        ("0:05:00", "2026-03-02T10:00", "2026-03-02T10:05", 0),
        ("0:05:00", "2026-03-02T10:00", "2026-03-02T10:17", 2),
        ("1 day, 0:00:00", "2026-03-02T10:00", "2026-03-05T10:00", 2),
    ],
)
def test_times_between_two(schedule: str, before: str, after: str, skipped: int) -> None:
    assert count(schedule, before, after) == skipped


def test_the_time_zone_does_not_matter_where_the_offset_is_the_same() -> None:
    for zone in ("Asia/Kolkata", "America/New_York", "Pacific/Auckland"):
        assert count("0 6 * * 1-5", "2026-02-02T06:00", "2026-02-05T06:00", zone) == 2
        assert count("0,20,40 * * * *", "2026-02-02T06:00", "2026-02-02T07:00", zone) == 2


def test_over_a_change_of_the_clock_nothing_is_said_of_a_time_of_day() -> None:
    assert count("0 6 * * *", "2026-03-28T06:00", "2026-03-30T06:00", "Europe/Berlin") is None
    assert count("*/10 * * * *", "2026-03-29T01:50", "2026-03-29T03:10", "Europe/Berlin") == 1


def test_times_that_the_schedule_does_not_have_say_nothing() -> None:
    assert count("*/5 * * * *", "2026-03-02T10:01", "2026-03-02T10:15") is None
    assert count("*/5 * * * *", "2026-03-02T10:00:30", "2026-03-02T10:15") is None


def test_offsets_that_disagree_say_nothing() -> None:
    # From 0 to 12 o'clock if the offset is +14 hours, from 12 to 0 o'clock if it is +2.
    assert count("0 0,1,2,12 * * *", "2026-03-02T10:00", "2026-03-02T22:00") is None


def test_times_far_apart_say_nothing() -> None:
    assert count("* * * * *", "2026-01-01T00:00", "2026-06-01T00:00") is None


@pytest.mark.parametrize(
    "text",
    ["", "None", "@continuous", "Asset", "Dataset or 0 * * * *", "0 0 * * 5#2", "0 0 L * *", "H * * * *", "60 * * * *",
     "*/0 * * * *", "30 5 * * * *", "0 0 */2 * mon", "5-1 * * * *", "0:00:00"],
)  # fmt: skip
def test_what_is_not_understood_is_no_schedule(text: str) -> None:
    assert parse_schedule(text) is None


def test_the_fields_of_cron() -> None:
    cron = parse_schedule("5/20 1-3 1 jan,7 7")
    assert isinstance(cron, Cron)
    assert cron.minutes == tuple(hour * 60 + minute for hour in (1, 2, 3) for minute in (5, 25, 45))
    assert [*cron.days, *sorted(cron.months), *cron.weekdays] == [1, 1, 7, 0]
    assert cron.any_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("* * * * *", 60),
        ("*/5 * * * *", 300),
        ("*/45 * * * *", 1_800),
        ("7 * * * *", 3_600),
        ("0 */6 * * *", 21_600),
        ("0 8,9 * * *", 43_200),
        ("@daily", 86_400),
        ("0 6 * * 1-5", 120_960),
        ("0 4 * * 1", 604_800),
        ("0:02:00", 120),
        ("1 day, 0:00:00", 86_400),
        ("0 0 1 7 *", None),
    ],
)
def test_the_mean_time_between_two(text: str, seconds: float | None) -> None:
    schedule = parse_schedule(text)
    assert schedule is not None
    assert get_period(schedule) == seconds


@pytest.mark.parametrize(
    ("schedule", "before", "after"),
    [
        ("*/5 * * * *", "2026-03-02T10:55", "2026-03-02T11:00"),
        ("0 6 * * 1-5", "2026-03-05T06:00", "2026-03-06T06:00"),
        ("0 6 * * 1-5", "2026-03-06T06:00", "2026-03-09T06:00"),
        ("0 0 1 * *", "2026-01-01T00:00", "2026-02-01T00:00"),
        ("0:05:00", "2026-03-02T10:01", "2026-03-02T10:06"),
    ],
)
def test_the_time_after_one(schedule: str, before: str, after: str) -> None:
    parsed = parse_schedule(schedule)
    assert parsed is not None
    for zone in ("UTC", "Asia/Kolkata", "America/Bogota"):
        assert find_next(parsed, at(before, zone)) == at(after, zone)


@pytest.mark.parametrize(
    ("schedule", "before"),
    [
        ("0 8,9 * * *", "2026-03-02T08:00"),  # The one of 9 o'clock, if the offset is one hour.
        ("0 6 * * *", "2026-03-02T06:01"),
        ("0 0 1 7 *", "2026-07-01T00:00"),
    ],
)
def test_the_time_after_one_is_in_doubt(schedule: str, before: str) -> None:
    parsed = parse_schedule(schedule)
    assert parsed is not None
    assert find_next(parsed, at(before)) is None


def test_every_count_agrees_with_counting_minute_by_minute() -> None:
    cron = parse_schedule("7,37 */3 * * 2")
    assert isinstance(cron, Cron)
    before = datetime(2026, 3, 3, 6, 7, tzinfo=UTC)
    for hours in range(1, 400, 7):
        after = before + timedelta(hours=hours)
        times = [before + timedelta(minutes=number) for number in range(1, hours * 60)]
        assert cron.count_between(before, after) == sum(map(cron.has, times))

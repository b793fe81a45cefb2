"""Walks over many pages bring every row, whatever moves meanwhile and however short the server cuts its pages."""

from __future__ import annotations

import random
from collections.abc import Hashable
from dataclasses import dataclass, replace
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.decode import Page
from exporter.sources.airflow.api.paging import (
    PAGE_SIZE,
    Query,
    TimeRange,
    read_by_keyset,
    read_by_offset,
    read_by_time,
)

START = 1_800_000_000.0
"""When the invented rows were touched first; seconds."""


@dataclass(frozen=True)
class Row:
    key: int
    touched: float
    version: int = 0


class Table:
    """A list as Airflow pages it: filtered by `updated_at`, in no order that could be trusted, or by key."""

    def __init__(self, times: list[float], limit: int = PAGE_SIZE, seed: int = 0, busy: float = 0.0) -> None:
        self.rows = {key: Row(key, START + time) for key, time in enumerate(times)}
        self.limit = limit
        self.now = START + max(times, default=0.0) + 1.0
        self.requests = 0
        self.knows_cursors = True
        self._busy = busy
        self._random = random.Random(seed)

    def fetch(self, query: Query) -> Page[Row]:
        self.requests += 1
        self.now += 0.05
        self._touch_some()
        rows = [row for row in self.rows.values() if inside(row, query)]
        if "cursor" in query:
            return self._fetch_by_key(rows, str(query["cursor"]))
        self._random.shuffle(rows)
        offset = int(str(query.get("offset", 0)))
        return Page(rows[offset : offset + self._cut(query)], len(rows))

    def _fetch_by_key(self, rows: list[Row], cursor: str) -> Page[Row]:
        if not self.knows_cursors:
            return Page(rows[: self.limit], len(rows))
        rest = sorted((row for row in rows if row.key > int(cursor or -1)), key=lambda row: row.key)
        more = str(rest[self.limit - 1].key) if len(rest) > self.limit else None
        return Page(rest[: self.limit], None, more, keyset=True)

    def _cut(self, query: Query) -> int:
        return min(self.limit, int(str(query.get("limit", self.limit))))

    def _touch_some(self) -> None:
        for key, row in self.rows.items():
            if self._random.random() < self._busy:
                self.rows[key] = replace(row, touched=self.now, version=row.version + 1)


def inside(row: Row, query: Query) -> bool:
    low, high = query.get("updated_at_gte"), query.get("updated_at_lte")
    return (not isinstance(low, datetime) or row.touched >= low.timestamp()) and (
        not isinstance(high, datetime) or row.touched <= high.timestamp()
    )


def identify(row: Row) -> Hashable:
    return row.key


def keys(rows: list[Row]) -> list[int]:
    return sorted(row.key for row in rows)


def spread(count: int, seconds: float = 120.0) -> list[float]:
    return [number * seconds / count for number in range(count)]


# Microseconds are what the API can tell apart; ties are common, one pass of the scheduler touches many rows at once.
TIMES = st.lists(st.integers(min_value=0, max_value=120_000_000).map(lambda us: us / 1e6), max_size=300)
TIES = st.lists(st.sampled_from([0.0, 1.5, 1.500001, 60.0, 119.999999]), max_size=300)


@settings(max_examples=60, deadline=None)
@given(
    times=TIMES | TIES, limit=st.sampled_from([7, 50, 100]), seed=st.integers(0, 99), busy=st.sampled_from([0, 0.02])
)
def test_slices_bring_every_row_of_an_open_window(times: list[float], limit: int, seed: int, busy: float) -> None:
    table = Table(times, limit, seed, busy)
    rows = read_by_time(table.fetch, {}, TimeRange(START), identify, lambda: table.now)
    assert keys(rows) == list(range(len(times)))


@settings(max_examples=40, deadline=None)
@given(times=TIMES | TIES, limit=st.sampled_from([7, 50, 100]), seed=st.integers(0, 99))
def test_slices_bring_every_row_of_a_closed_window_and_no_other(times: list[float], limit: int, seed: int) -> None:
    table = Table(times, limit, seed)
    window = TimeRange(START + 1.5, START + 60.0)
    rows = read_by_time(table.fetch, {}, window, identify, lambda: table.now)
    assert keys(rows) == [key for key, time in enumerate(times) if 1.5 <= time <= 60.0]


def test_a_window_that_fits_one_page_costs_one_request() -> None:
    table = Table(spread(99))
    read_by_time(table.fetch, {}, TimeRange(START), identify, pytest.fail)
    assert table.requests == 1


def test_slices_of_steady_work_cost_little_more_than_its_pages() -> None:
    table = Table(spread(2_000))
    read_by_time(table.fetch, {}, TimeRange(START), identify, lambda: table.now)
    assert table.requests <= 2 * 2_000 / PAGE_SIZE


def test_a_full_page_is_not_trusted_to_be_all() -> None:
    table = Table(spread(PAGE_SIZE))
    read_by_time(table.fetch, {}, TimeRange(START), identify, lambda: table.now)
    assert table.requests > 1


@pytest.mark.parametrize("seed", range(5))
def test_more_rows_of_one_microsecond_than_a_page_holds_are_asked_for_until_all_came(seed: int) -> None:
    table = Table([5.0] * 150, seed=seed)
    rows = read_by_time(table.fetch, {}, TimeRange(START), identify, lambda: table.now)
    assert len(rows) == 150


def test_rows_of_one_moment_that_never_come_are_reported(caplog: pytest.LogCaptureFixture) -> None:
    rows = read_by_time(lambda query: Page([Row(1, 0.0)], 2), {}, TimeRange(START, START), identify, pytest.fail)
    assert keys(rows) == [1]
    assert "only 1 of 2 rows" in caplog.text


@settings(max_examples=40, deadline=None)
@given(times=TIMES, limit=st.sampled_from([1, 7, 100]), busy=st.sampled_from([0, 0.05]))
def test_a_cursor_brings_every_row_once(times: list[float], limit: int, busy: float) -> None:
    table = Table(times, limit, busy=busy)
    rows = read_by_keyset(table.fetch, {}, identify)
    assert rows is not None
    assert keys(rows) == list(range(len(times)))


def test_a_server_without_cursors_says_so_at_once() -> None:
    table = Table(spread(300))
    table.knows_cursors = False
    assert read_by_keyset(table.fetch, {}, identify) is None
    assert table.requests == 1


def test_a_cursor_that_comes_again_ends_the_walk() -> None:
    with pytest.raises(ReaderError, match="goes in circles") as caught:
        read_by_keyset(lambda query: Page([Row(1, 0.0)], None, "same", keyset=True), {}, identify)
    assert caught.value.reason == "bad_reply"


def test_the_newer_state_of_a_row_that_comes_twice_wins() -> None:
    pages = [Page([Row(1, 0.0)], None, "next", keyset=True), Page([Row(1, 1.0)], None, None, keyset=True)]
    assert read_by_keyset(lambda query: pages.pop(0), {}, identify) == [Row(1, 1.0)]


@pytest.mark.parametrize("limit", [7, 50, 100])
@pytest.mark.parametrize("count", [0, 1, 49, 50, 100, 101, 260])
def test_offsets_bring_every_row_however_short_the_pages_are(count: int, limit: int) -> None:
    ordered = [Row(key, 0.0) for key in range(count)]

    def fetch(query: Query) -> Page[Row]:
        offset = int(str(query.get("offset", 0)))
        return Page(ordered[offset : offset + limit], count)

    assert read_by_offset(fetch, {}, identify) == ordered


@pytest.mark.parametrize("shrinks", [True, False])
def test_a_row_that_goes_while_a_list_is_walked_hides_no_other(*, shrinks: bool) -> None:
    there = list(range(PAGE_SIZE * 5 // 2))
    asked: list[int] = []

    def fetch(query: Query) -> Page[Row]:
        start, limit = int(str(query.get("offset", 0))), int(str(query["limit"]))
        asked.append(start)
        page = Page([Row(number, 0.0) for number in there[start : start + limit]], len(there))
        if len(asked) == 1:
            there.remove(3)  # what follows moves up: the next page begins one row too late
        return page

    found = read_by_offset(fetch, {}, identify, shrinks=shrinks)
    assert found.complete
    assert (keys(found) == there) is not shrinks


def test_a_list_that_shifts_under_the_walk_is_walked_once_more() -> None:
    shifting = [[Row(1, 0), Row(2, 0)], [Row(2, 0), Row(4, 0)], [Row(1, 0), Row(2, 0)], [Row(3, 0), Row(4, 0)]]
    rows = read_by_offset(lambda query: Page(shifting.pop(0), 4), {}, identify)
    assert keys(rows) == [1, 2, 3, 4]
    assert not shifting


def test_a_whole_walk_has_nothing_in_it_that_only_the_walk_before_saw() -> None:
    gone, here = Row(9, 0.0), [Row(number, 0.0) for number in range(1, 4)]
    shifting = [[gone, here[0]], [here[0]], here]
    assert keys(read_by_offset(lambda query: Page(shifting.pop(0), 3), {}, identify)) == [1, 2, 3]


def test_rows_that_only_one_of_two_shifting_walks_saw_are_kept() -> None:
    shifting = [[Row(1, 0), Row(2, 0)], [Row(2, 0)], [Row(1, 0), Row(3, 0)], [Row(3, 0)]]
    assert keys(read_by_offset(lambda query: Page(shifting.pop(0), 3), {}, identify)) == [1, 2, 3]


def test_a_list_without_a_total_ends_with_a_short_page() -> None:
    pages = [Page([Row(key, 0.0) for key in range(PAGE_SIZE)]), Page([Row(PAGE_SIZE, 0.0)])]
    assert len(read_by_offset(lambda query: pages.pop(0), {}, identify)) == PAGE_SIZE + 1


def test_rows_that_could_not_be_read_do_not_make_a_walk_start_again() -> None:
    asked = []

    def fetch(query: Query) -> Page[Row]:
        asked.append(query)
        return Page([Row(1, 0.0)], 2, lost=1)

    assert keys(read_by_offset(fetch, {}, identify)) == [1]
    assert len(asked) == 1


def test_a_list_without_an_end_is_an_error() -> None:
    numbers = iter(range(10**9))
    with pytest.raises(ReaderError, match="no end"):
        read_by_offset(lambda query: Page([Row(next(numbers), 0.0)], 10**9), {}, identify)

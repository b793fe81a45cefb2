"""Lists are read around the rows that Airflow answers HTTP 500 for, at a bounded cost."""

from __future__ import annotations

from collections.abc import Hashable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.sources.airflow.api import unreadable
from exporter.sources.airflow.api.decode import Page
from exporter.sources.airflow.api.paging import Query, Rows, TimeRange, read_by_keyset, read_by_offset, read_by_time
from exporter.sources.airflow.api.unreadable import FAR, RECHECK, Gap, ListReader, join
from exporter.sources.airflow.http.errors import AnswerError


class Server:
    """A list of numbers in order; a page with a number of `broken` is answered with HTTP 500."""

    def __init__(self, count: int, *broken: int, cap: int = 100) -> None:
        self.rows = list(range(count))
        self.broken = set(broken)
        self.cap = cap
        self.asked: list[tuple[int, int]] = []
        self.patient: list[bool] = []
        self.down_after = 10**9

    def read(self, query: Query, patient: bool) -> Page[int]:
        offset, limit = int(str(query.get("offset", 0))), min(self.cap, int(str(query["limit"])))
        self.asked.append((offset, limit))
        self.patient.append(patient)
        rows = self.rows[offset : offset + limit]
        if self.broken & set(rows) or len(self.asked) > self.down_after:
            raise AnswerError("server_error", "dags: HTTP 500", 500, "not an integer")
        return Page(rows, len(self.rows))


class Bench:
    """Walks of one list, as `Reads.read_list` makes them: each remembers the gaps for the next one."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.gaps: dict[int, Gap] = {}
        self.now = 1000.0

    def walk(self) -> Rows[int]:
        self.server.asked.clear()
        self.reader = ListReader(self.server.read, identify, self.gaps, clock=lambda: self.now)
        found = read_by_offset(self.reader.read, {"order_by": "id"}, identify)
        self.gaps = {gap.start: gap for gap in self.reader.found}
        return found


def identify(row: int) -> Hashable:
    return row


@settings(max_examples=150, deadline=None)
@given(
    count=st.integers(1, 330),
    broken=st.sets(st.integers(0, 329), max_size=8),
    cap=st.sampled_from([7, 50, 100]),
)
def test_all_rows_but_those_that_are_not_served_come_and_again_at_the_next_walk(
    count: int, broken: set[int], cap: int
) -> None:
    bench = Bench(Server(count, *broken, cap=cap))
    lost = {row for row in broken if row < count}
    for _ in range(2):
        found = bench.walk()
        assert sorted(found) == sorted(set(range(count)) - lost)
        assert (found.lost, found.complete) == (len(lost), not lost)


@pytest.mark.parametrize("place", [0, 1, 37, 99, 100, 237, 299])
def test_one_row_costs_some_requests_once_and_then_one_more_a_walk(place: int) -> None:
    bench = Bench(Server(300, place))
    bench.walk()
    assert len(bench.server.asked) <= 3 + 2 * 8 + 4
    bench.walk()  # the row after the last one of a page is seen now only
    assert len(bench.server.asked) <= 8
    for _ in range(3):
        bench.walk()
        assert len(bench.server.asked) <= 4
        assert all(not offset <= place < offset + limit for offset, limit in bench.server.asked)


def test_only_the_first_failing_page_is_asked_for_again_before_it_is_halved() -> None:
    server = Server(100, 37)
    Bench(server).walk()
    assert server.patient.count(True) == 1


def test_a_row_that_was_passed_over_is_asked_for_now_and_then_and_comes_when_it_is_served_again() -> None:
    bench = Bench(Server(300, 150))
    bench.walk()
    bench.server.broken.clear()
    assert len(bench.walk()) == 299
    bench.now += RECHECK + 1
    assert len(bench.walk()) == 300
    bench.walk()
    assert len(bench.server.asked) == 3


@pytest.mark.parametrize("change", ["removed before", "inserted before", "removed itself", "neighbour removed"])
def test_a_list_that_shifts_never_hides_a_row_that_is_served(change: str) -> None:
    bench = Bench(Server(300, 150))
    bench.walk()
    rows = bench.server.rows
    if change == "inserted before":
        rows.insert(10, 1000)
    else:
        rows.remove({"removed before": 10, "removed itself": 150, "neighbour removed": 151}[change])
    found = bench.walk()
    assert sorted(found) == sorted(row for row in rows if row != 150)
    bench.walk()
    assert sorted(found) == sorted(row for row in rows if row != 150)


def test_a_single_row_that_replaces_the_only_one_is_asked_for() -> None:
    bench = Bench(Server(1, 0))
    assert bench.walk().lost == 1
    bench.server.rows[:] = [7]
    assert list(bench.walk()) == [7]


def test_a_page_that_fails_for_a_moment_only_loses_nothing() -> None:
    server = Server(100)
    fails = iter([True])

    def read(query: Query, patient: bool) -> Page[int]:
        if next(fails, False):
            raise AnswerError("server_error", "dags: HTTP 500", 500)
        return server.read(query, patient)

    found = read_by_offset(ListReader(read, identify).read, {}, identify)
    assert (len(found), found.lost) == (100, 0)


def test_a_list_that_fails_as_a_whole_is_an_error_after_one_request_more() -> None:
    server = Server(100)
    server.down_after = 0
    with pytest.raises(AnswerError):
        Bench(server).walk()
    assert server.asked == [(0, 100), (FAR, 1)]


def test_what_fails_because_the_server_breaks_down_meanwhile_is_not_lost() -> None:
    server = Server(100, 37)
    server.down_after = 6
    with pytest.raises(AnswerError):
        Bench(server).walk()


@pytest.mark.parametrize("status", [401, 404, 502, 503])
def test_other_failures_are_not_about_rows(status: int) -> None:
    asked: list[Query] = []

    def read(query: Query, patient: bool) -> Page[int]:
        asked.append(query)
        raise AnswerError("server_error", "dags", status)

    with pytest.raises(AnswerError):
        ListReader(read, identify).read({"limit": 100})
    assert len(asked) == 1


def test_the_requests_that_look_for_rows_are_bounded_and_what_is_left_is_lost_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unreadable, "MAX_REQUESTS", 20)
    bench = Bench(Server(100, *range(1, 100, 2)))
    found = bench.walk()
    assert len(bench.server.asked) <= 60
    assert len(found) + found.lost == 100
    assert set(found) <= set(range(0, 100, 2))


def test_a_gap_says_where_it_is() -> None:
    bench = Bench(Server(100, 0, 37, 38))
    bench.walk()
    assert [str(gap) for gap in bench.reader.found] == ["row 0 before 1", "rows 37 to 38 after 36 before 39"]
    assert bench.reader.reason == "not an integer"
    assert str(Gap(3, 4, ("d", "r"), None, 0.0)) == "row 3 after d r"


def test_slices_of_time_are_narrowed_too() -> None:
    server = Server(60, 20, 41)
    reader = ListReader(server.read, identify)
    found = read_by_time(reader.read, {}, TimeRange(0.0), identify, lambda: 100.0)
    assert (len(found), found.lost) == (58, 2)


def test_a_cursor_leads_past_nothing() -> None:
    server = Server(60, 20)
    with pytest.raises(AnswerError):
        read_by_keyset(ListReader(server.read, identify).read, {}, identify)
    assert len(server.asked) == 1


def test_offsets_that_follow_each_other_make_one_range() -> None:
    assert join([4, 1, 2, 9, 3]) == [(1, 5), (9, 10)]

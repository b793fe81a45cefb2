"""Figures of the poll bench have their standard errors beside them."""

from __future__ import annotations

from benchmarks.counting import Request
from benchmarks.cpu import Spent
from benchmarks.report import Cycle, Result, render

REQUEST = Request("GET", "/api/v2/pools", 200, 1024, 0.1)


def make_result(size: int, *seconds: float) -> Result:
    cycles = [Cycle(Spent(one, one, 0.0), (REQUEST, REQUEST)) for one in seconds]
    return Result("3.3.2", size, cycles)


def test_growth_has_the_error_of_both_sizes() -> None:
    text = render([make_result(200, 0.1, 0.3), make_result(1_000, 0.2, 0.6)])
    assert "| Airflow CPU ms | 400 ± 200 | 800 ± 400 | 2.00 ± 1.41 |" in text
    assert "| Airflow CPU ms a request | 200 ± 100 | 400 ± 200 | 2.00 ± 1.41 |" in text
    assert "| requests | 2.0 ± 0.0 | 2.0 ± 0.0 | 1.00 ± 0.00 |" in text


def test_one_cycle_has_no_error() -> None:
    assert "| Airflow CPU ms | 200 |  |" in render([make_result(200, 0.1)])


def test_the_plugin_is_compared_by_what_an_interval_costs() -> None:
    result = make_result(200, 0.1, 0.3)
    result.peer = [Spent(4.0, 20.0, 0.0), Spent(8.0, 20.0, 0.0)]
    result.peer_seconds = [9.0, 9.5, 30.0]
    text = render([result])
    assert "| 200 | API | 200 | 6,000 | 1/30.0 | met |" in text
    assert "| 200 | database | 200 | 20,000 | 1/100.0 |  |" in text
    assert "| 200 | seconds of a scrape |  | 9.5 |  |  |" in text


def test_a_goal_that_is_missed_is_printed_as_missed() -> None:
    result = make_result(200, 1.0)
    result.peer, result.peer_seconds = [Spent(4.0, 20.0, 0.0)], [9.0]
    assert "| 200 | API | 1,000 | 4,000 | 1/4.0 | missed |" in render([result])

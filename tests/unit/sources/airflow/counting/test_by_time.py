"""Airflow 3: ended task instances are found by time, at little cost, and again where a poll was not committed."""

from __future__ import annotations

import pytest

from exporter.sources.airflow.counting.by_time import MAX_RECENT_SPAN, MIN_RECENT_SPAN
from tests.unit.sources.airflow.counting.polling import Airflow, Poller


class TestEndedByTime:
    def test_recent_runs_are_read_by_each_poll_all_runs_as_seldom_as_a_sweep_is_slow(self) -> None:
        airflow = Airflow(all_runs=0.5)
        poller = Poller(airflow, "by time")
        for _ in range(10):
            poller.poll(30.0)
        older = [one for one in airflow.asked if one["due_since"] is None]
        assert len(airflow.asked) - len(older) == 10
        assert len(older) == 3

    def test_a_sweep_goes_back_to_the_sweep_before_it(self) -> None:
        airflow = Airflow(all_runs=0.5)
        poller = Poller(airflow, "by time")
        for _ in range(10):
            poller.poll(30.0)
        sweeps = [one for one in airflow.asked if one["due_since"] is None]
        assert sweeps[0]["since"] == 10_000.0 + 30.0 - 120.0
        assert sweeps[1]["since"] == pytest.approx(10_000.0 + 30.0 - 120.0)
        assert sweeps[2]["since"] > sweeps[1]["since"]

    def test_the_span_of_recent_runs_shrinks_where_they_are_slow_and_grows_back(self) -> None:
        airflow = Airflow(recent=2.0, all_runs=0.01)
        poller = Poller(airflow, "by time")
        for _ in range(8):
            poller.poll(30.0)
        spans = [one["since"] - one["due_since"] for one in airflow.asked if one["due_since"]]
        assert spans[0] == MAX_RECENT_SPAN
        assert spans[-1] == MIN_RECENT_SPAN
        airflow.costs[True] = 0.001
        for _ in range(8):
            poller.poll(30.0)
        assert airflow.asked[-2]["since"] - airflow.asked[-2]["due_since"] == MAX_RECENT_SPAN

    def test_after_an_outage_all_runs_are_read(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by time")
        poller.poll()
        poller.poll(7200.0)
        assert airflow.asked[-1]["until"] is not None
        assert airflow.asked[-1]["due_since"] is None

    def test_after_an_outage_all_runs_are_read_from_the_last_sweep_on(self) -> None:
        airflow = Airflow(all_runs=0.5)
        poller = Poller(airflow, "by time")
        poller.poll()
        swept = airflow.now
        for _ in range(2):
            poller.poll(40.0)
        assert airflow.asked[-1]["due_since"] is not None
        poller.poll(7200.0)
        assert airflow.asked[-1]["since"] == swept - 120.0

    def test_what_is_postponed_is_read_again_in_recent_runs_and_in_all(self) -> None:
        airflow = Airflow(all_runs=0.5)
        poller = Poller(airflow, "by time")
        poller.poll()
        poller.poll(200.0, commit=False)
        poller.commit(poller.finder.postpone({("d", "r")}))
        before = airflow.asked[-2:]
        poller.poll(30.0)
        assert [one["since"] for one in airflow.asked[-2:]] == [one["since"] for one in before]
        poller.poll(30.0)
        assert airflow.asked[-1]["since"] > before[0]["since"]

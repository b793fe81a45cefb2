"""Airflow 2: ended task instances are found run by run, and again where a poll was not committed."""

from __future__ import annotations

from typing import cast

import pytest

from exporter.config.dag_filter import DagFilter
from exporter.config.settings import AirflowSettings
from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.protocol import AirflowByRun
from exporter.sources.airflow.counting.by_run import MAX_LISTING_SECONDS, MAX_RUNS_PER_POLL, EndedByRun
from exporter.sources.airflow.counting.cursor import OVERLAP
from exporter.sources.airflow.counting.retry_later import ABANDON_AFTER
from tests.unit.sources.airflow.counting.polling import Airflow, Poller, make_row, make_run


class TestEndedByRun:
    def test_a_run_that_ended_is_listed_once(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.poll()
        airflow.ended = [make_run("r1", airflow.now + 10)]
        rows = [row for _ in range(3) for row in poller.poll().rows]
        assert airflow.listed == ["r1"]
        assert [row.state for row in rows] == ["success"]

    def test_a_run_whose_listing_was_not_committed_is_listed_again(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.poll()
        airflow.ended = [make_run("r1", airflow.now + 10)]
        poller.poll(commit=False)
        poller.poll()
        poller.poll()
        assert airflow.listed == ["r1", "r1"]

    def test_a_run_whose_active_tasks_changed_is_listed(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.active = [make_row("same"), make_row("moves")]
        poller.poll()
        airflow.listed.clear()
        poller.active = [make_row("same"), make_row("moves", "up_for_retry"), make_row("new", "queued")]
        poller.poll()
        assert sorted(airflow.listed) == ["moves", "new"]

    def test_after_each_start_every_active_run_is_listed_once(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.active = [make_row("r1"), make_row("r2", "scheduled")]
        for _ in range(3):
            poller.poll()
        assert sorted(airflow.listed) == ["r1", "r2"]
        airflow.listed.clear()
        poller.finder = EndedByRun(
            cast("AirflowByRun", airflow), poller.state, poller.overview, DagFilter(AirflowSettings())
        )
        for _ in range(3):
            poller.poll()
        assert sorted(airflow.listed) == ["r1", "r2"]

    def test_many_runs_that_ended_are_listed_in_steps_the_oldest_first(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.poll()
        airflow.ended = [make_run(f"r{number}", airflow.now + number) for number in range(2 * MAX_RUNS_PER_POLL + 5)]
        found = poller.poll(3600.0)
        assert found.span.until == airflow.ended[MAX_RUNS_PER_POLL].end_date
        while poller.poll(0.0).span.until is not None:
            pass
        assert sorted(airflow.listed) == sorted(run.run_id for run in airflow.ended)

    def test_an_active_run_without_active_task_instances_is_listed_less_and_less_often(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.overview.active_runs = frozenset({("d", "stuck")})
        when = [airflow.clock for _ in range(60) if poller.poll(5.0) and airflow.listed.count("stuck") > 0]
        assert len(when) == 60
        assert airflow.listed == ["stuck"] * 6

    def test_a_run_with_unchanged_active_task_instances_is_listed_again_after_a_minute(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.active = [make_row("long")]
        for _ in range(11):
            poller.poll(5.0)
        assert airflow.listed == ["long"]
        for _ in range(49):
            poller.poll(5.0)
        assert airflow.listed == ["long"] * 4

    def test_a_run_that_is_unchanged_for_hours_is_listed_every_five_minutes(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.active = [make_row("long")]
        for _ in range(120):
            poller.poll(30.0)
        airflow.listed.clear()
        for _ in range(120):
            poller.poll(30.0)
        assert airflow.listed == ["long"] * 12

    def test_of_a_thousand_unchanged_runs_each_poll_lists_about_twenty(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.overview.active_runs = frozenset(("d", f"r{number}") for number in range(1000))
        for _ in range(240):
            poller.poll(30.0)
        airflow.listed.clear()
        for _ in range(120):
            poller.poll(30.0)
        assert len(airflow.listed) == pytest.approx(120 * 20, rel=0.15)
        assert len(set(airflow.listed)) == 1000

    def test_what_is_active_counts_as_seen_only_once_it_was_committed(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.poll()
        poller.active = [make_row("r1")]
        poller.poll(commit=False)
        poller.poll(5.0)
        poller.poll(5.0)
        assert airflow.listed == ["r1", "r1"]

    def test_a_run_that_was_listed_before_is_asked_only_for_what_was_updated_since(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.active = [make_row("r1", "queued")]
        poller.poll()
        listed_at = airflow.now
        poller.active = [make_row("r1")]
        poller.poll(commit=False)
        poller.poll()
        assert airflow.since == [None, listed_at - OVERLAP, listed_at - OVERLAP]

    def test_a_poll_lists_for_some_seconds_and_the_next_one_goes_on(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.poll()
        airflow.listing = MAX_LISTING_SECONDS / 2
        airflow.ended = [make_run("e1", airflow.now + 1)]
        poller.active = [make_row(f"a{number}") for number in range(4)]
        assert poller.poll().postponed == {("d", "a1"), ("d", "a2"), ("d", "a3")}
        assert airflow.listed == ["e1", "a0"]
        assert len(poller.poll().postponed) == 1
        assert poller.poll().postponed == frozenset()
        assert airflow.listed == ["e1", "a0", "a1", "a2", "a3"]

    def test_a_run_that_cannot_be_listed_holds_back_no_other_run(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.poll()
        airflow.ended = [make_run("e1", airflow.now + 1), make_run("e2", airflow.now + 2), make_run("e3", airflow.now)]
        airflow.broken = {"e1"}
        found = poller.poll()
        assert [row.run_id for row in found.rows] == ["e3"]
        assert found.span.until is None
        assert [row.run_id for row in poller.poll().rows] == ["e2"]
        airflow.broken.clear()
        assert [row.run_id for row in poller.poll(3600.0).rows] == ["e1"]

    def test_where_airflow_as_a_whole_does_not_answer_the_poll_fails(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.active = [make_row("r1")]
        airflow.broken, airflow.reason = {"r1"}, "unreachable"
        with pytest.raises(ReaderError):
            poller.poll()
        airflow.broken.clear()
        poller.poll()
        assert airflow.listed == ["r1", "r1"]

    def test_a_single_run_that_cannot_be_listed_is_tried_again_by_each_poll(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.active = [make_row("r1")]
        airflow.broken = {"r1"}
        assert [poller.poll().postponed for _ in range(2)] == [{("d", "r1")}] * 2
        airflow.broken.clear()
        assert [row.run_id for row in poller.poll().rows] == ["r1"]

    def test_a_run_that_cannot_be_listed_for_long_is_abandoned_and_holds_back_nothing(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.poll()
        airflow.ended = [make_run("e1", airflow.now + 1)]
        airflow.broken = {"e1"}
        held = [poller.poll(60.0) for _ in range(int(ABANDON_AFTER / 60.0))]
        assert {found.span.after.complete for found in held} == {airflow.ended[0].end_date}
        found = poller.poll(60.0)
        assert found.unanswered == {("d", "e1")}
        assert found.span.after.complete == airflow.now
        airflow.listed.clear()
        assert poller.poll().unanswered == frozenset()
        assert airflow.listed == []

    def test_runs_that_are_postponed_are_listed_again_the_others_are_not(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.poll()
        airflow.ended = [make_run("e1", airflow.now + 1), make_run("e2", airflow.now + 2)]
        poller.active = [make_row("a1"), make_row("a2")]
        poller.poll(commit=False)
        poller.commit(poller.finder.postpone({("d", "e1"), ("d", "a2")}))
        airflow.listed.clear()
        poller.poll(3600.0)
        assert sorted(airflow.listed) == ["a2", "e1"]
        assert airflow.since == [None] * 6

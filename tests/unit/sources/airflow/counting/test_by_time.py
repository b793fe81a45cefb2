"""How what ended is asked for: cheaply, and again where it was not committed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from exporter.config.dag_filter import Scope
from exporter.config.settings import AirflowSettings
from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.models import DagRun, TaskInstance
from exporter.sources.airflow.counting.by_run import LISTINGS, SECONDS, ByRun
from exporter.sources.airflow.counting.by_time import YOUNG, ByTime
from exporter.sources.airflow.counting.cursor import OVERLAP, SPACE
from exporter.sources.airflow.counting.retry_later import PATIENCE
from exporter.sources.airflow.shared import Overview
from exporter.store.persistence.state_file import State


class Airflow:
    """Notes what it is asked; a query over all runs takes `older` seconds, one over young runs `young`."""

    version = "3.3.2"
    major = 3

    def __init__(self, young: float = 0.1, older: float = 0.5) -> None:
        self.now = 10_000.0
        self.clock = 0.0
        self.costs = {True: young, False: older}
        self.asked: list[dict[str, float | None]] = []
        self.listed: list[str] = []
        self.ended: list[DagRun] = []
        self.since: list[float | None] = []
        self.broken: set[str] = set()
        self.reason = "server_error"
        self.listing = 0.0
        """How many seconds it takes to list a run."""

    def server_time(self) -> float:
        return self.now

    def task_instances_ended(
        self,
        since: float,
        until: float | None = None,
        *,
        due_since: float | None = None,
    ) -> list[TaskInstance]:
        self.asked.append({"since": since, "until": until, "due_since": due_since})
        self.clock += self.costs[due_since is not None]
        return []

    def dag_runs_ended(self, since: float) -> list[DagRun]:
        return [run for run in self.ended if (run.end_date or 0) >= since]

    def task_instances_ended_of_run(self, dag_id: str, run_id: str, since: float | None = None) -> list[TaskInstance]:
        self.listed.append(run_id)
        self.since.append(since)
        self.clock += self.listing
        if run_id in self.broken:
            raise ReaderError(self.reason, "HTTP 500")
        return [make_row(run_id, "success")]


def make_row(run_id: str, state: str = "running") -> TaskInstance:
    return TaskInstance(dag_id="d", task_id="t", run_id=run_id, state=state, try_number=1)


def make_run(run_id: str, end: float) -> DagRun:
    return DagRun(dag_id="d", run_id=run_id, state="success", end_date=end)


class Poller:
    """Finds, and commits what is to be remembered."""

    def __init__(self, airflow: Any, finder: str) -> None:
        self.airflow = airflow
        self.state = State()
        self.active: list[TaskInstance] = []
        scope = Scope(AirflowSettings())
        by_time = ByTime(airflow, self.state, clock=lambda: airflow.clock)
        self.overview = Overview()
        by_run = ByRun(airflow, self.state, self.overview, scope, clock=lambda: airflow.clock)
        self.finder = by_time if finder == "by time" else by_run

    def poll(self, seconds: float = 30.0, *, commit: bool = True) -> Any:
        self.airflow.now += seconds
        self.airflow.clock += seconds
        found = self.finder.find(lambda: self.active)
        if commit:
            self.commit(found.cursors)
        return found

    def commit(self, cursors: Mapping[bytes, bytes | None]) -> None:
        self.state.commit([], {SPACE: cursors})


class TestByTime:
    def test_young_runs_are_asked_for_at_each_poll_older_ones_as_seldom_as_they_are_dear(self) -> None:
        airflow = Airflow(older=0.5)
        poller = Poller(airflow, "by time")
        for _ in range(10):
            poller.poll(30.0)
        older = [one for one in airflow.asked if one["due_since"] is None]
        assert len(airflow.asked) - len(older) == 10
        assert len(older) == 3

    def test_a_sweep_goes_back_to_the_sweep_before_it(self) -> None:
        airflow = Airflow(older=0.5)
        poller = Poller(airflow, "by time")
        for _ in range(10):
            poller.poll(30.0)
        sweeps = [one for one in airflow.asked if one["due_since"] is None]
        assert sweeps[0]["since"] == 10_000.0 + 30.0 - 120.0
        assert sweeps[1]["since"] == pytest.approx(10_000.0 + 30.0 - 120.0)
        assert sweeps[2]["since"] > sweeps[1]["since"]

    def test_the_span_of_young_runs_shrinks_where_they_are_dear_and_grows_back(self) -> None:
        airflow = Airflow(young=2.0, older=0.01)
        poller = Poller(airflow, "by time")
        for _ in range(8):
            poller.poll(30.0)
        spans = [one["since"] - one["due_since"] for one in airflow.asked if one["due_since"]]
        assert spans[0] == YOUNG[1]
        assert spans[-1] == YOUNG[0]
        airflow.costs[True] = 0.001
        for _ in range(8):
            poller.poll(30.0)
        assert airflow.asked[-2]["since"] - airflow.asked[-2]["due_since"] == YOUNG[1]

    def test_an_outage_is_caught_up_with_over_all_runs(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by time")
        poller.poll()
        poller.poll(7200.0)
        assert airflow.asked[-1]["until"] is not None
        assert airflow.asked[-1]["due_since"] is None

    def test_an_outage_is_caught_up_with_from_the_last_sweep_on(self) -> None:
        airflow = Airflow(older=0.5)
        poller = Poller(airflow, "by time")
        poller.poll()
        swept = airflow.now
        for _ in range(2):
            poller.poll(40.0)
        assert airflow.asked[-1]["due_since"] is not None
        poller.poll(7200.0)
        assert airflow.asked[-1]["since"] == swept - 120.0

    def test_what_is_postponed_is_asked_for_again_in_young_runs_and_in_older_ones(self) -> None:
        airflow = Airflow(older=0.5)
        poller = Poller(airflow, "by time")
        poller.poll()
        poller.poll(200.0, commit=False)
        poller.commit(poller.finder.postpone({("d", "r")}))
        before = airflow.asked[-2:]
        poller.poll(30.0)
        assert [one["since"] for one in airflow.asked[-2:]] == [one["since"] for one in before]
        poller.poll(30.0)
        assert airflow.asked[-1]["since"] > before[0]["since"]


class TestByRun:
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
        poller.finder = ByRun(airflow, poller.state, poller.overview, Scope(AirflowSettings()))
        for _ in range(3):
            poller.poll()
        assert sorted(airflow.listed) == ["r1", "r2"]

    def test_many_runs_that_ended_are_listed_in_steps_the_oldest_first(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.poll()
        airflow.ended = [make_run(f"r{number}", airflow.now + number) for number in range(2 * LISTINGS + 5)]
        found = poller.poll(3600.0)
        assert found.window.until == airflow.ended[LISTINGS].end_date
        while poller.poll(0.0).window.until is not None:
            pass
        assert sorted(airflow.listed) == sorted(run.run_id for run in airflow.ended)

    def test_an_active_run_in_which_nothing_is_active_is_listed_ever_more_seldom(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.overview.active_runs = frozenset({("d", "stuck")})
        when = [airflow.clock for _ in range(60) if poller.poll(5.0) and airflow.listed.count("stuck") > 0]
        assert len(when) == 60
        assert airflow.listed == ["stuck"] * 6

    def test_one_in_which_the_same_task_instances_stay_active_is_listed_after_a_minute_first(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.active = [make_row("long")]
        for _ in range(11):
            poller.poll(5.0)
        assert airflow.listed == ["long"]
        for _ in range(49):
            poller.poll(5.0)
        assert airflow.listed == ["long"] * 4

    def test_one_that_stands_still_for_hours_is_listed_every_five_minutes(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.active = [make_row("long")]
        for _ in range(120):
            poller.poll(30.0)
        airflow.listed.clear()
        for _ in range(120):
            poller.poll(30.0)
        assert airflow.listed == ["long"] * 12

    def test_a_thousand_that_stand_still_take_turns_of_twenty_a_poll(self) -> None:
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

    def test_of_a_run_that_was_listed_only_what_was_touched_since_is_asked_for(self) -> None:
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
        airflow.listing = SECONDS / 2
        airflow.ended = [make_run("e1", airflow.now + 1)]
        poller.active = [make_row(f"a{number}") for number in range(4)]
        assert poller.poll().later == {("d", "a1"), ("d", "a2"), ("d", "a3")}
        assert airflow.listed == ["e1", "a0"]
        assert len(poller.poll().later) == 1
        assert poller.poll().later == frozenset()
        assert airflow.listed == ["e1", "a0", "a1", "a2", "a3"]

    def test_a_run_that_cannot_be_listed_stops_neither_what_came_before_nor_in_the_next_poll_the_others(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.poll()
        airflow.ended = [make_run("e1", airflow.now + 1), make_run("e2", airflow.now + 2), make_run("e3", airflow.now)]
        airflow.broken = {"e1"}
        found = poller.poll()
        assert [row.run_id for row in found.rows] == ["e3"]
        assert found.window.until is None
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

    def test_a_run_that_alone_cannot_be_listed_is_tried_again_by_each_poll(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.active = [make_row("r1")]
        airflow.broken = {"r1"}
        assert [poller.poll().later for _ in range(2)] == [{("d", "r1")}] * 2
        airflow.broken.clear()
        assert [row.run_id for row in poller.poll().rows] == ["r1"]

    def test_a_run_that_cannot_be_listed_for_long_is_given_up_and_holds_back_nothing(self) -> None:
        airflow = Airflow()
        poller = Poller(airflow, "by run")
        poller.poll()
        airflow.ended = [make_run("e1", airflow.now + 1)]
        airflow.broken = {"e1"}
        held = [poller.poll(60.0) for _ in range(int(PATIENCE / 60.0))]
        assert {found.window.after.complete for found in held} == {airflow.ended[0].end_date}
        found = poller.poll(60.0)
        assert found.unanswered == {("d", "e1")}
        assert found.window.after.complete == airflow.now
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

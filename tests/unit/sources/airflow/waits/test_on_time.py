"""DAGs whose runs are on time, at times that do not lie equally far apart: nothing is said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from exporter.diagnosis.waits.dags import Blocked, Schedules, explain_dags
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.ended_log import EndedLog
from exporter.sources.airflow.waits.past import RunPast
from tests.unit.diagnosis.rows import run

MINUTE = 60.0


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


class Airflow:
    """One DAG, of which one run may be active."""

    def __init__(self, schedule: str) -> None:
        self.dags: Mapping[str, Dag] = {}
        self.ended: EndedLog[DagRun] = EndedLog()
        self.active: list[DagRun] = []
        self.past = RunPast()
        self.change(schedule)

    def change(self, schedule: str, next_run: float | None = None) -> None:
        self.dags = {"orders": Dag(dag_id="orders", schedule=schedule, max_active_runs=1, next_run=next_run)}

    def run(self, due: str, minutes: float, started: str = "", before: str = "") -> None:
        """A run that has ended. Its interval began at `before`, where the schedule has intervals."""
        begun = at(started or due)
        ended = {"start_date": begun, "end_date": begun + minutes * MINUTE}
        logical = at(before) if before else at(due)
        self.ended.extend([run("success", f"r{due}", run_after=at(due), logical_date=logical, **ended)])
        self.look()

    def look(self) -> None:
        self.past.take(self.ended, self.active, self.dags)

    def explain(self, now: str, durations: Mapping[str, Sequence[float]] | None = None) -> list[Blocked]:
        self.look()
        past = self.past
        seen = Schedules(
            at(now),
            self.dags,
            self.active,
            periods=past.periods,
            newest=past.newest,
            durations=past.get_durations() if durations is None else durations,
            skipped=past.count_skipped,
        )
        return list(explain_dags(seen))


def test_minutes_that_do_not_divide_an_hour() -> None:
    airflow = Airflow("*/45 * * * *")
    airflow.run("2026-03-02T09:45", 20, before="2026-03-02T09:00")
    for before, due in ((9, "09:45"), (10, "10:45"), (11, "11:45")):
        airflow.run(f"2026-03-02T{before + 1:02}:00", 20, before=f"2026-03-02T{due}")
        airflow.run(f"2026-03-02T{before + 1:02}:45", 20, before=f"2026-03-02T{before + 1:02}:00")
    assert airflow.past.periods == {"orders": 30 * MINUTE}
    assert airflow.past.count_skipped("orders") == 0
    assert airflow.explain("2026-03-02T12:50") == []


def test_two_hours_of_a_day() -> None:
    airflow = Airflow("0 8,9 * * *")
    for day in (2, 3, 4):
        airflow.run(f"2026-03-0{day}T08:00", 90)
        airflow.run(f"2026-03-0{day}T09:00", 90, started=f"2026-03-0{day}T09:30")
    assert airflow.past.periods == {"orders": 12 * 60 * MINUTE}
    assert airflow.past.count_skipped("orders") == 0
    assert airflow.explain("2026-03-04T12:00") == []
    airflow.active = [run(run_id="r5", run_after=at("2026-03-05T09:00"), start_date=at("2026-03-05T09:30"))]
    assert airflow.explain("2026-03-05T10:55") == []


def test_a_schedule_that_changes_while_a_run_of_the_earlier_one_is_active() -> None:
    airflow = Airflow("0 9-17 * * 1-5")
    airflow.run("2026-03-02T09:00", 20)
    old = run(run_id="r10", run_after=at("2026-03-02T10:00"), logical_date=at("2026-03-02T09:00"))
    airflow.active = [old]
    airflow.look()
    airflow.change("0 6 * * 1-5", at("2026-03-03T06:00"))
    assert airflow.explain("2026-03-02T10:10") == []
    airflow.active = []
    for day in (3, 4, 5, 6, 9):
        airflow.run(f"2026-03-0{day}T06:00", 90)
    assert airflow.past.periods == {"orders": 120_960.0}
    assert airflow.past.count_skipped("orders") == 0
    airflow.change("0 6 * * 1-5", at("2026-03-10T06:00"))
    assert airflow.explain("2026-03-09T08:00") == []


def test_runs_from_before_a_change_say_nothing_of_a_schedule_that_is_not_understood() -> None:
    airflow = Airflow("every hour, at work")
    for hour in (9, 10):
        airflow.run(f"2026-03-02T{hour:02}:00", 90, before=f"2026-03-02T{hour - 1:02}:00")
    assert airflow.past.periods == {"orders": 60 * MINUTE}
    airflow.active = [run(run_id="r11", run_after=at("2026-03-02T11:00"), logical_date=at("2026-03-02T10:00"))]
    airflow.look()
    airflow.change("once a day, at work", at("2026-03-03T06:00"))
    airflow.look()
    airflow.active = []
    airflow.run("2026-03-02T11:00", 90, before="2026-03-02T10:00")
    assert (airflow.past.periods, airflow.past.newest) == ({}, {})
    airflow.run("2026-03-03T06:00", 90)
    airflow.run("2026-03-04T06:00", 90)
    assert airflow.past.periods == {"orders": 86_400.0}
    assert airflow.past.count_skipped("orders") == 0, "the time between runs of two schedules is no gap"


def test_intervals_that_were_skipped_are_counted_along_the_schedule() -> None:
    airflow = Airflow("0 8,9 * * *")
    airflow.run("2026-03-02T08:00", 800)
    airflow.run("2026-03-03T08:00", 800)
    airflow.run("2026-03-04T08:00", 800)
    assert airflow.past.count_skipped("orders") == 2
    [found] = airflow.explain("2026-03-04T22:00")
    assert (found.reason.name, found.facts[1]) == (
        "slower_than_schedule",
        "2 intervals were skipped between the last runs",
    )


def test_a_run_holds_up_another_only_at_the_next_time_of_the_schedule() -> None:
    for due, before, after in (
        ("06", "2026-03-08T23:00", "2026-03-09T06:10"),
        ("05", "2026-03-06T05:59", "2026-03-06T06:10"),
    ):
        airflow = Airflow("0 6 * * 1-5")
        airflow.active = [run(run_id=due, run_after=at(f"2026-03-{due}T06:00"), start_date=at(f"2026-03-{due}T06:00"))]
        usual = {"orders": [3_600.0, 3_600.0]}
        assert airflow.explain(before, usual) == []
        [found] = airflow.explain(after, usual)
        assert (found.reason.name, found.since) == ("max_active_runs", at(after) - 600)

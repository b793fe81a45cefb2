"""Costs of whole small Airflows: what each reading adds, and what is found."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from exporter.diagnosis.costs import window
from exporter.diagnosis.costs.book import CostBook, Seen
from exporter.diagnosis.costs.findings import find_costs
from exporter.diagnosis.costs.rows import CostKind
from exporter.diagnosis.costs.window import HourWindow
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from tests.unit.diagnosis.rows import NOW, run, task

DAGS = {"orders": Dag(dag_id="orders", schedule="0:01:00", max_active_runs=1)}


def ended(number: int, **more: Any) -> TaskInstance:
    fields = {"queued_when": NOW + 1, "start_date": NOW + 1.2, "end_date": NOW + 2.3, "try_number": 1}
    return task("success", "tiny", **(fields | {"map_index": number} | more))


class Airflow:
    """A book, and what it has counted."""

    def __init__(self) -> None:
        self.book = CostBook()
        self.counted: Counter[CostKind] = Counter()
        self.see(NOW)

    def see(self, now: float, **what: Any) -> None:
        for cost in self.book.add(Seen(now, **({"dags": DAGS} | what))):
            self.counted[cost.kind] += cost.value  # type: ignore[assignment]

    def list_findings(self, now: float, dags: dict[str, Dag] = DAGS) -> list[str]:
        around = self.book.get_surroundings(now, 8.0)
        return [one.name for one in find_costs(self.book.describe(dags), around, {})]


def make_run(number: int, state: str = "running", took: float = 30.0) -> Any:
    start = NOW + 60 * number
    end = start + took if state != "running" else None
    return run(state, f"r{number}", start_date=start, end_date=end, logical_date=start)


def test_too_fine_tasks_are_found_while_the_run_goes_on() -> None:
    airflow = Airflow()
    airflow.see(NOW + 15, active_runs=[make_run(0)], tries=[ended(one, run_id="r0") for one in range(150)])
    assert airflow.counted[CostKind.SHORT_TRY] == 150
    assert airflow.counted[CostKind.OVERHEAD] == pytest.approx(150 * 0.2 + 1)
    assert airflow.list_findings(NOW + 15) == ["too_fine"]
    assert airflow.list_findings(NOW + 15, {"orders": Dag(dag_id="orders", is_paused=True)}) == []


def test_runs_that_skip_everything_are_found_until_one_works() -> None:
    airflow = Airflow()
    for number in range(3):
        skipped = task("skipped", run_id=f"r{number}")
        airflow.see(NOW + 60 * number + 40, ended_runs=[make_run(number, "success")], ends=[(skipped, False)])
    airflow.see(NOW + 300)
    assert airflow.counted[CostKind.RUN_WITHOUT_WORK] == 3
    assert airflow.list_findings(NOW + 300) == ["all_skipped"]
    worked = task("success", run_id="r5", operator="PythonOperator")
    airflow.see(NOW + 400, ended_runs=[make_run(5, "success")], ends=[(worked, True)])
    airflow.see(NOW + 500)
    assert airflow.counted[CostKind.RUN_WITHOUT_WORK] == 3
    assert airflow.list_findings(NOW + 500) == []


def test_a_failed_run_is_not_one_without_work() -> None:
    airflow = Airflow()
    skipped = task("skipped", run_id="r0")
    airflow.see(NOW + 60, ended_runs=[make_run(0, "failed")], ends=[(skipped, False)])
    airflow.see(NOW + 200)
    assert not airflow.counted[CostKind.RUN_WITHOUT_WORK]


def test_a_dag_that_is_slower_than_its_schedule_is_found_and_what_it_leaves_out_is_counted() -> None:
    airflow = Airflow()
    for number in (0, 3, 6):
        airflow.see(NOW + 60 * number + 15, active_runs=[make_run(number)])
        airflow.see(NOW + 60 * number + 155, ended_runs=[make_run(number, "success", 150.0)])
    airflow.see(NOW + 700)
    assert airflow.counted[CostKind.SKIPPED_INTERVAL] == 4
    assert airflow.list_findings(NOW + 700) == ["slower_than_schedule"]


def test_sensors_that_poke_are_found() -> None:
    airflow = Airflow()
    poking = task("running", "wait", operator="PythonSensor", queued_when=NOW, start_date=NOW)
    for step in range(1, 21):
        airflow.see(NOW + 15 * step, active_tasks=[poking])
    assert airflow.counted[CostKind.SENSOR] == 300
    assert airflow.list_findings(NOW + 300) == ["poking_sensor"]


def test_a_removed_dag_is_forgotten() -> None:
    airflow = Airflow()
    airflow.see(NOW + 40, ended_runs=[make_run(0, "success")])
    airflow.see(NOW + 200)
    assert airflow.book._dags
    airflow.see(NOW + 215, dags={})
    assert not airflow.book._dags


def test_the_hour_moves_on() -> None:
    hour = HourWindow()
    hour.begin(NOW)
    hour.add("orders", 5)
    hour.begin(NOW + window.SECONDS / 2)
    hour.add("orders", 2)
    assert hour.sum() == {"orders": 7}
    assert hour.get_observed(NOW + 1_800) == 1_800
    hour.begin(NOW + window.SECONDS + window.STEP)
    assert hour.sum() == {"orders": 2}
    assert hour.get_observed(NOW + 9_000) == window.SECONDS

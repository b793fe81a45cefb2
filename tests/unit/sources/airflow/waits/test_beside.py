"""A task that waits for the run before, beside others of its run that go on: said as long as it is so, not longer."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.sources.airflow.api.details.dag_tasks import Task
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.api.paging import Rows
from exporter.sources.airflow.waits.asks import Asks
from exporter.sources.airflow.waits.questions import QuestionBudget
from exporter.sources.airflow.waits.stalled_runs import (
    BESIDE_LIFETIME,
    MAX_BESIDE_PER_READING,
    RUN_LIFETIME,
    StalledRuns,
)
from tests.unit.diagnosis.rows import NOW, run, situation, task

TASKS = (Task("load", waits_for_past=True), Task("other"))


class Airflow:
    """Runs r2, r3, ... of which `other` is running; `load` of each waits for r1, in which it failed."""

    def __init__(self, runs: int = 1) -> None:
        self.now = 0.0
        self.runs = [run(run_id=f"r{number + 2}", logical_date=2.0, start_date=NOW - 300) for number in range(runs)]
        self.waits = True
        self.asked: list[str] = []
        self.questions = QuestionBudget(lambda: self.now)
        asks = Asks(self.read_unmet, self.read_tasks, lambda _: TASKS, self.read_runs, lambda _: None)
        self.reader = StalledRuns(self.questions, asks, lambda _: True)

    def read_unmet(self, _: str, run_id: str, *_more: object) -> Sequence[str]:
        self.asked.append(run_id)
        return ("Previous Dagrun State",) if self.waits else ()

    def read_tasks(self, _: str, run_id: str) -> Rows[TaskInstance]:
        state = "failed" if run_id == "r1" else None
        return Rows([TaskInstance(dag_id="orders", task_id="load", run_id=run_id, state=state)])

    def read_runs(self, _: str) -> Sequence[DagRun]:
        return [*self.runs, run("failed", "r1", logical_date=1.0)]

    def find(self, *active: TaskInstance, after: float = 0.0) -> list[str]:
        """The runs that are said to wait, `after` seconds since the last reading."""
        self.now += after
        self.questions.begin()
        busy = [task("running", "other", run_id=one.run_id) for one in self.runs]
        found = self.reader.explain(situation(*busy, *active, runs=self.runs), is_new=True)
        return [one.run.run_id for one in found]


def test_a_task_that_is_active_does_not_wait() -> None:
    airflow = Airflow()
    assert airflow.find() == ["r2"]
    assert airflow.find(task("running", "load", run_id="r2"), after=10) == []
    airflow.waits = False
    assert airflow.find(after=10) == [], "what held when the task was not active is forgotten"


def test_whether_it_still_waits_is_asked_again_soon() -> None:
    airflow = Airflow()
    assert airflow.find() == ["r2"]
    airflow.waits = False
    assert airflow.find(after=RUN_LIFETIME - 1) == ["r2"]
    assert airflow.find(after=2) == []


def test_that_no_task_waits_holds_for_longer() -> None:
    airflow = Airflow()
    airflow.waits = False
    assert airflow.find() == []
    airflow.waits = True
    assert airflow.find(after=BESIDE_LIFETIME - 1) == []
    assert airflow.find(after=2) == ["r2"]


def test_what_cannot_be_asked_again_yet_holds_until_it_can() -> None:
    airflow = Airflow(runs=3 * MAX_BESIDE_PER_READING)
    for _ in range(3):
        airflow.find(after=1)
    names = sorted(one.run_id for one in airflow.runs)
    assert sorted(airflow.find(after=RUN_LIFETIME)) == names
    assert len(airflow.asked) == 4 * MAX_BESIDE_PER_READING


def test_runs_of_which_nothing_is_known_are_asked_about_first() -> None:
    airflow = Airflow(runs=MAX_BESIDE_PER_READING)
    airflow.find()
    airflow.runs += [run(run_id="new", logical_date=2.0, start_date=NOW - 300)]
    assert sorted(airflow.find(after=RUN_LIFETIME + 1)) == sorted(one.run_id for one in airflow.runs)
    assert "new" in airflow.asked

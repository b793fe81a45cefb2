"""Which run a task waits for with depends_on_past, where runs started by hand lie between scheduled ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from exporter.diagnosis.waits.stalled import Stall
from exporter.sources.airflow.api.details.dag_tasks import Task
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.api.paging import Rows
from exporter.sources.airflow.waits.asks import Asks
from exporter.sources.airflow.waits.questions import QuestionBudget
from exporter.sources.airflow.waits.stalled_runs import StalledRuns
from tests.unit.diagnosis.rows import NOW, run, situation

TASKS = (Task("load", ("report",), waits_for_past=True), Task("report"))
MANUAL = "manual__1"


class Airflow:
    """Run r2 stands still at `load`. Before it are r1, which is scheduled, and a manual run."""

    def __init__(self, scheduled: Sequence[str | None], manual: Sequence[str | None], manual_run: str) -> None:
        """The states of `load` and `report` in each run, and of the manual run."""
        states = {"r1": scheduled, MANUAL: manual, "r2": (None, None)}
        self.states = {run_id: dict(zip(("load", "report"), two, strict=True)) for run_id, two in states.items()}
        self.active = [run(run_id="r2", logical_date=3.0, start_date=NOW - 300)]
        by_hand = run(manual_run, MANUAL, run_type="manual", logical_date=2.0, start_date=NOW - 200)
        if manual_run == "running":
            self.active.append(by_hand)
        self.runs = [self.active[0], by_hand, run("failed", "r1", logical_date=1.0)]

    def read_tasks(self, _: str, run_id: str) -> Rows[TaskInstance]:
        found: Mapping[str, str | None] = self.states[run_id]
        return Rows([TaskInstance(dag_id="orders", task_id=name, run_id=run_id, state=found[name]) for name in found])

    def read_runs(self, _: str) -> Sequence[DagRun]:
        return self.runs

    def explain(self) -> list[Stall]:
        unmet = ("Previous Dagrun State",)
        asks = Asks(lambda *_: unmet, self.read_tasks, lambda _: TASKS, self.read_runs, lambda _: None)
        questions = QuestionBudget(lambda: 0.0)
        questions.begin()
        busy = [
            TaskInstance(dag_id="orders", task_id="other", run_id=one.run_id, state="running")
            for one in self.active[1:]
        ]
        found = StalledRuns(questions, asks).explain(situation(*busy, runs=self.active), is_new=True)
        return [one for one in found if one.run.run_id == "r2"]


@pytest.mark.parametrize(
    ("manual", "manual_run"),
    [
        (("success", "success"), "success"),
        (("success", "failed"), "failed"),
        (("success", None), "running"),
        (("running", None), "running"),
        ((None, None), "running"),
    ],
)
def test_with_catchup_it_is_the_run_before_that_is_not_manual(manual: Sequence[str | None], manual_run: str) -> None:
    [found] = Airflow(("failed", "upstream_failed"), manual, manual_run).explain()
    assert (found.predecessor, found.predecessor_state, found.there) == ("r1", "failed", "failed")
    assert found.suggest().startswith("Clear orders.load of run r1 or mark it as success")


def test_after_a_manual_run_that_succeeded_what_comes_after_the_task_counts() -> None:
    [found] = Airflow(("success", "failed"), ("success", "success"), "success").explain()
    assert (found.predecessor, found.blockers) == ("r1", [("report", "failed")])


def test_without_catchup_it_may_be_a_manual_run_that_failed() -> None:
    [found] = Airflow(("success", "success"), ("failed", "upstream_failed"), "failed").explain()
    assert (found.predecessor, found.there) == (MANUAL, "failed")


def test_a_manual_run_that_works_is_waited_for() -> None:
    assert Airflow(("success", "failed"), ("running", None), "running").explain() == []


def test_where_no_run_says_why_the_nearest_is_named() -> None:
    [found] = Airflow(("success", "success"), ("success", "success"), "success").explain()
    assert (found.predecessor, found.there) == (MANUAL, "success")


def test_before_a_manual_run_there_may_be_no_other() -> None:
    airflow = Airflow(("success", "success"), ("success", "success"), "success")
    del airflow.runs[-1]
    [found] = airflow.explain()
    assert found.predecessor == MANUAL

"""Runs in which nothing is active: asked about after two readings, few in each, and remembered."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.diagnosis.situation import ActiveDagRun
from exporter.diagnosis.waits.stalled import Stall
from exporter.sources.airflow.api.details.dag_tasks import Task
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.api.paging import Rows
from exporter.sources.airflow.waits.asks import MAX_DAGS_PER_READING, Asks, ask_tasks
from exporter.sources.airflow.waits.questions import QuestionBudget
from exporter.sources.airflow.waits.stalled_runs import MAX_RUNS_PER_READING, StalledRuns
from tests.unit.diagnosis.rows import NOW, run, situation, task


class Airflow:
    """One DAG whose run r2 stands still at `load`."""

    def __init__(self, unmet: Sequence[str] = ("Previous Dagrun State",)) -> None:
        self.unmet = unmet
        self.asked: list[tuple[str, str]] = []
        self.before = "failed"
        self.rows = [task("success", "extract"), TaskInstance(dag_id="orders", task_id="load", run_id="r2")]
        self.rows.append(TaskInstance(dag_id="orders", task_id="a_report", run_id="r2"))
        self.questions = QuestionBudget(lambda: 0.0)
        self.tasks = [Task("extract", ("load",)), Task("load", ("a_report",)), Task("a_report")]
        self.asks = Asks(self.read_unmet, lambda *_: Rows(self.rows), self.read_tasks, self.read_runs, lambda _: None)
        self.reader = StalledRuns(self.questions, self.asks)

    def read_unmet(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> Sequence[str]:
        self.asked.append((run_id, task_id))
        return self.unmet

    def read_tasks(self, dag_id: str) -> Sequence[Task]:
        return self.tasks

    def read_runs(self, dag_id: str) -> Sequence[DagRun]:
        return [run("running", "r2", logical_date=2.0), run(self.before, "r1", logical_date=1.0)]

    def explain(
        self, *runs: ActiveDagRun, is_new: bool = True, paused: bool = False, removed: bool = False
    ) -> list[Stall]:
        self.questions.begin()
        given = situation(runs=list(runs), dags={"orders": Dag(dag_id="orders", is_paused=paused, is_stale=removed)})
        return self.reader.explain(given, is_new=is_new)


def stalled(run_id: str = "r2", started: float = NOW - 5) -> DagRun:
    return run("running", run_id, logical_date=2.0, start_date=started)


def test_a_run_is_asked_about_once_two_readings_have_found_it_so() -> None:
    airflow = Airflow()
    assert airflow.explain(stalled()) == []
    [found] = airflow.explain(stalled())
    assert (found.reason.name, found.task_id, found.predecessor, found.predecessor_state) == (
        "past",
        "load",
        "r1",
        "failed",
    )
    assert found.since == NOW
    airflow.explain(stalled())
    assert airflow.asked == [("r2", "load")], "an answer is remembered, and the next task is the one asked for"


def test_at_the_first_reading_a_run_that_began_a_while_ago_counts() -> None:
    [found] = Airflow().explain(stalled(started=NOW - 300))
    assert found.reason.name == "past"


def test_the_same_reading_is_no_second_one() -> None:
    airflow = Airflow()
    airflow.explain(stalled("other"))
    assert airflow.explain(stalled(), is_new=False) == []
    assert airflow.explain(stalled()) == []


def test_a_run_whose_earlier_run_works_is_left_out() -> None:
    airflow = Airflow()
    airflow.before = "running"
    airflow.explain(stalled())
    assert airflow.explain(stalled()) == []


def test_its_dag_is_chained_all_the_same() -> None:
    airflow = Airflow()
    airflow.before = "running"
    airflow.explain(stalled())
    airflow.explain(stalled())
    assert airflow.reader.chained == {"orders"}


def test_as_long_as_the_order_of_the_tasks_is_not_known_nothing_is_said() -> None:
    airflow = Airflow()
    airflow.explain(stalled())
    airflow.questions.begin()
    for number in range(MAX_DAGS_PER_READING):
        ask_tasks(airflow.questions, airflow.asks, f"d{number}")
    given = situation(runs=[stalled()])
    assert airflow.reader.explain(given, is_new=True) == []
    assert airflow.asked == []
    assert [one.task_id for one in airflow.explain(stalled())] == ["load"]


def test_runs_of_a_paused_dag_need_no_question() -> None:
    airflow = Airflow()
    airflow.explain(stalled(), paused=True)
    [found] = airflow.explain(stalled(), paused=True)
    assert (found.reason.name, airflow.asked) == ("dag_paused", [])


def test_runs_of_a_dag_that_was_removed_need_no_question() -> None:
    airflow = Airflow()
    airflow.explain(stalled(), removed=True)
    [found] = airflow.explain(stalled(), removed=True)
    assert (found.reason.name, airflow.asked) == ("dag_removed", [])


def test_a_task_before_it_that_the_run_does_not_have_is_upstream() -> None:
    airflow = Airflow(["Trigger Rule"])
    airflow.rows = airflow.rows[1:]
    airflow.explain(stalled())
    [found] = airflow.explain(stalled())
    assert (found.reason.name, found.task_id) == ("upstream", "extract")


def test_all_tasks_before_it_have_ended_and_its_trigger_rule_does_not_hold() -> None:
    airflow = Airflow(["Trigger Rule"])
    airflow.explain(stalled())
    assert [one.reason.name for one in airflow.explain(stalled())] == ["trigger_rule"]


def test_a_run_with_nothing_left_to_do_waits_for_the_scheduler() -> None:
    airflow = Airflow()
    airflow.rows = airflow.rows[:1]
    airflow.explain(stalled())
    assert [one.reason.name for one in airflow.explain(stalled())] == ["scheduler"]
    assert airflow.asked == []


def look_beside(airflow: Airflow, *, has_failed: bool = True, dependent: bool = True) -> list[Stall]:
    """A run that goes on, with a task that may wait for the run before."""
    airflow.tasks = [Task("extract", ("load",)), Task("load", waits_for_past=dependent)]
    airflow.rows[-1] = task("running", "other", run_id="r2")
    reader = StalledRuns(airflow.questions, airflow.asks, lambda _: has_failed)
    airflow.questions.begin()
    return reader.explain(
        situation(task("running", "other", run_id="r2"), runs=[stalled(started=NOW - 90)]), is_new=True
    )


def test_a_task_that_waits_for_the_run_before_is_found_while_others_of_its_run_go_on() -> None:
    airflow = Airflow()
    airflow.rows = [task("success", "extract", end_date=NOW - 80), *airflow.rows[1:]]
    [found] = look_beside(airflow)
    assert (found.reason.name, found.task_id, found.predecessor, found.since) == ("past", "load", "r1", NOW - 80)
    assert found.list_facts()[0] == "run r2: task load has no state yet, others go on"


def test_runs_that_go_on_are_not_asked_about_where_no_past_can_hold_them_up() -> None:
    airflow = Airflow()
    assert look_beside(airflow, has_failed=False) == []
    assert look_beside(airflow, dependent=False) == []
    assert airflow.asked == []
    assert look_beside(Airflow(["Trigger Rule"])) == []


def test_few_runs_are_asked_about_in_one_reading() -> None:
    airflow = Airflow()
    runs = [stalled(f"r{number}") for number in range(2, 12)]
    airflow.explain(*runs)
    airflow.explain(*runs)
    assert len(airflow.asked) == MAX_RUNS_PER_READING

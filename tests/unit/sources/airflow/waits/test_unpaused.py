"""Which DAGs that were listed as paused run again."""

from __future__ import annotations

from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.waits.unpaused import UnpausedDags

LISTED, LATER = 1000.0, 1030.0
DAGS = {"paused": Dag(dag_id="paused", is_paused=True), "open": Dag(dag_id="open")}


def make_task(queued_when: float | None) -> TaskInstance:
    return TaskInstance(dag_id="paused", task_id="a", run_id="scheduled__1", state="queued", queued_when=queued_when)


def make_run(state: str, start_date: float | None) -> DagRun:
    return DagRun(dag_id="paused", run_id="scheduled__1", run_type="scheduled", state=state, start_date=start_date)


def is_paused(tasks: list[TaskInstance], runs: list[DagRun]) -> bool:
    """Whether the DAG is taken as paused, half a minute after it was listed as paused."""
    unpaused = UnpausedDags()
    assert unpaused.correct(DAGS, [], [], LISTED) == DAGS
    found = unpaused.correct(DAGS, tasks, runs, LATER)
    assert found is not None
    assert found["open"] == DAGS["open"]
    return found["paused"].is_paused


def test_a_dag_is_paused_as_long_as_nothing_of_it_begins() -> None:
    assert is_paused([make_task(LISTED - 1), make_task(None)], [make_run("running", LISTED - 1)])


def test_a_task_that_was_queued_after_the_list_shows_that_it_is_not() -> None:
    assert not is_paused([make_task(LISTED + 1)], [])


def test_a_run_that_began_after_the_list_shows_that_it_is_not() -> None:
    assert not is_paused([], [make_run("running", LISTED + 1)])
    assert is_paused([], [make_run("queued", None), make_run("success", LISTED + 1)])


def test_a_backfill_of_airflow_2_runs_though_its_dag_is_paused() -> None:
    run = DagRun(dag_id="paused", run_id="scheduled__1", run_type="backfill", state="running", start_date=LISTED + 1)
    assert is_paused([make_task(LISTED + 1)], [run])


def test_the_next_list_is_taken_as_it_is() -> None:
    unpaused = UnpausedDags()
    unpaused.correct(DAGS, [], [], LISTED)
    again = dict(DAGS)
    assert unpaused.correct(again, [make_task(LISTED + 1)], [], LATER) is again


def test_nothing_is_known_before_the_first_list() -> None:
    assert UnpausedDags().correct(None, [make_task(LATER)], [], LATER) is None

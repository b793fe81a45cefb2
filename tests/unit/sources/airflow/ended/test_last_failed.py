"""The last failed try of each task: which one, how many, and what a restart keeps."""

from __future__ import annotations

import pytest

from exporter.metrics.reading import Reading
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.counting.decision import EndedTry, TryOutcome
from exporter.sources.airflow.ended.last_failed import MAX_TASKS_PER_DAG, SPACE, LastFailedReader
from exporter.sources.airflow.log_links import LogLinks
from exporter.sources.airflow.shared import AirflowState
from exporter.store.persistence.state_file import StateFile

BASE = "https://airflow.example.org"


def end_try(
    task_id: str,
    ended_at: float | None,
    outcome: TryOutcome = TryOutcome.FAILED,
    dag_id: str = "sales",
    number: int = 1,
) -> EndedTry:
    row = TaskInstance(dag_id=dag_id, task_id=task_id, run_id="r", try_number=number, end_date=ended_at)
    return EndedTry(row, outcome)


class Bench:
    def __init__(self, state: StateFile | None = None, major: int = 3) -> None:
        self.state = state or StateFile()
        self.shared = AirflowState()
        self.reader = LastFailedReader(LogLinks(BASE, major), self.state, self.shared, 30.0)

    def read(self, *ended: EndedTry) -> Reading:
        self.shared.ended_tries.extend(ended)
        reading = self.reader.read()
        self.state.commit([], reading.memories)
        reading.after_commit()
        return reading

    def find(self, dag_id: str = "sales", task_id: str = "") -> str:
        return self.shared.directory.find_failed_log(dag_id, task_id)


def url(task_id: str, number: int = 1) -> str:
    return f"{BASE}/dags/sales/runs/r/tasks/{task_id}?try_number={number}"


def test_of_a_task_and_of_a_dag_the_last_failed_try_is_told() -> None:
    bench = Bench()
    bench.read(end_try("a", 10.0), end_try("b", 30.0), end_try("a", 20.0, number=2))
    assert [bench.find(task_id="a"), bench.find(task_id="b"), bench.find()] == [url("a", 2), url("b"), url("b")]
    bench.read(end_try("a", 40.0, TryOutcome.RETRIED, number=3))
    assert bench.find() == url("a", 3)


def test_what_did_not_fail_or_is_older_changes_nothing() -> None:
    bench = Bench()
    bench.read(end_try("a", 20.0, number=2))
    bench.read(
        end_try("a", 10.0),
        end_try("a", None),
        *(end_try("a", 99.0, outcome) for outcome in (TryOutcome.SUCCESS, TryOutcome.CLEARED, TryOutcome.SKIPPED)),
    )
    assert bench.find() == url("a", 2)


@pytest.mark.parametrize(("dag_id", "task_id"), [("other", ""), ("sales", "other"), ("", "")])
def test_where_nothing_failed_there_is_no_link(dag_id: str, task_id: str) -> None:
    bench = Bench()
    bench.read(end_try("a", 20.0))
    assert bench.find(dag_id, task_id) == ""


def test_a_restart_keeps_them() -> None:
    before = Bench()
    before.read(end_try("a", 20.0), end_try("b", 30.0))
    after = Bench(before.state)
    assert after.find() == ""
    after.read()
    assert [after.find(), after.find(task_id="a")] == [url("b"), url("a")]


def test_a_dag_with_many_tasks_keeps_the_newest() -> None:
    bench = Bench()
    bench.read(*(end_try(f"t{number}", float(number)) for number in range(MAX_TASKS_PER_DAG + 5)))
    assert bench.find(task_id="t4") == ""
    assert bench.find(task_id="t5") == url("t5")
    assert len(bench.state.recall_all(SPACE)) == 1


def test_what_cannot_be_decoded_is_lost_alone() -> None:
    bench = Bench()
    bench.state.commit([], {SPACE: {b"\xff": b"x", b"broken": b"\x01"}})
    bench.read(end_try("a", 20.0))
    assert bench.find() == url("a")
    assert set(bench.state.recall_all(SPACE)) == {b"sales"}


def test_a_reading_that_was_not_committed_is_repeated() -> None:
    bench = Bench()
    bench.shared.ended_tries.extend([end_try("a", 20.0)])
    bench.reader.read()  # the state file cannot be written
    bench.read(end_try("b", 30.0))
    assert (bench.find(task_id="a"), bench.find(task_id="b")) == (url("a"), url("b"))


def test_a_deleted_dag_is_forgotten() -> None:
    bench = Bench()
    bench.read(end_try("a", 20.0))
    bench.shared.directory.set_dags(["other"])
    assert bench.find() == ""


def test_what_was_removed_from_the_state_file_is_nowhere_else() -> None:
    """DAGs come and go for years: only the state file knows when to forget one."""
    bench = Bench()
    bench.read(end_try("a", 20.0))
    bench.state.commit([], {SPACE: {b"sales": None}})
    bench.read(end_try("b", 30.0))
    assert (bench.find(task_id="a"), bench.find(task_id="b")) == ("", url("b"))

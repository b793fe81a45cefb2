"""What tasks and runs took in the past, and how far apart the runs of a DAG are."""

from __future__ import annotations

import msgspec
import pytest

from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.counting.decision import EndedTry, TryOutcome
from exporter.sources.airflow.ended_log import EndedLog
from exporter.sources.airflow.waits import past as module
from exporter.sources.airflow.waits.past import PAST_RETENTION, PAST_SPACE, RunPast, TaskPast, recall_past
from exporter.sources.directory import Directory
from exporter.store.persistence.state_file import StateFile
from tests.unit.diagnosis.rows import run, task


def test_only_successful_tries_are_the_past_of_a_task() -> None:
    ended: EndedLog[EndedTry] = EndedLog()
    row = task("success", start_date=100.0, end_date=160.0)
    ended.extend([EndedTry(row, TryOutcome.SUCCESS), EndedTry(row, TryOutcome.FAILED)])
    past = TaskPast(StateFile(), Directory())
    past.take(ended)
    past.take(ended)
    assert list(past.get("orders", "load").seconds) == [60.0]
    assert past.get("orders", "other").seconds == ()


def test_the_cpu_of_a_try_comes_from_the_machine_a_moment_later() -> None:
    directory, ended = Directory(), EndedLog[EndedTry]()
    past = TaskPast(StateFile(), directory)
    row = task("success", uuid="u1", start_date=100.0, end_date=104.0)
    ended.extend([EndedTry(row, TryOutcome.SUCCESS)])
    past.take(ended)
    assert past.get("orders", "load").cpu_share is None
    directory.record_try_cpu("u1", 3.0)
    past.take(ended)
    assert past.get("orders", "load").cpu_share == 0.75


def test_the_past_of_a_task_survives_a_restart() -> None:
    state = StateFile()
    ended: EndedLog[EndedTry] = EndedLog()
    ended.extend([EndedTry(task("success", start_date=100.0, end_date=160.04), TryOutcome.SUCCESS)])
    past = TaskPast(state, Directory())
    past.take(ended)
    state.commit([], past.write())
    past.note_written()
    assert past.write() == {}, "only what changed is written"
    assert list(TaskPast(state, Directory()).get("orders", "load").seconds) == [60.0]


def test_a_task_whose_last_try_ended_long_ago_is_forgotten_and_so_are_the_oldest_beyond_a_number(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ended: EndedLog[EndedTry] = EndedLog()
    past = TaskPast(StateFile(), Directory())

    def finish(task_id: str, end: float) -> None:
        ended.extend([EndedTry(task("success", task_id, start_date=end - 9, end_date=end), TryOutcome.SUCCESS)])
        past.take(ended)

    def list_known() -> list[str]:
        return [name for name in ("old", "again", "new") if past.get("orders", name).seconds]

    for name in ("old", "again"):
        finish(name, 100.0)
    finish("again", 5_000.0)
    finish("new", 200.0 + PAST_RETENTION)
    assert list_known() == ["again", "new"]
    monkeypatch.setattr(module, "MAX_TASKS", 1)
    finish("again", 300.0 + PAST_RETENTION)
    assert list_known() == ["again"]


def test_an_entry_that_cannot_be_decoded_is_lost_alone() -> None:
    state = StateFile()
    key = msgspec.msgpack.encode(("orders", "load"))
    state.commit([], {PAST_SPACE: {key: msgspec.msgpack.encode([5.0]), b"broken": b"x"}})
    assert recall_past(state) == {("orders", "load"): [5.0]}


def take(
    *runs: DagRun, active: tuple[DagRun, ...] = (), schedule: str = "odd", next_run: float | None = None
) -> RunPast:
    ended: EndedLog[DagRun] = EndedLog()
    ended.extend(runs)
    past = RunPast()
    past.take(ended, active, {"orders": Dag(dag_id="orders", schedule=schedule, next_run=next_run)})
    return past


def ended_run(due: float, seconds: float = 30.0, state: str = "success") -> DagRun:
    return run(state, f"r{due}", run_after=due, start_date=due + 1, end_date=due + 1 + seconds)


def test_the_shortest_time_between_runs_is_the_period_and_gaps_are_skipped_intervals() -> None:
    past = take(ended_run(1_000), ended_run(1_300), ended_run(2_200), ended_run(2_500, 99.0, "failed"))
    assert past.periods == {"orders": 300.0}
    assert past.newest == {"orders": 2_500.0}
    assert past.count_skipped("orders") == 2
    assert past.get_durations() == {"orders": [30.0, 30.0, 30.0]}


def test_a_run_that_covers_an_interval_says_the_period() -> None:
    assert take(active=(run(run_after=1_300.0, logical_date=1_000.0),)).periods == {"orders": 300.0}


def test_the_next_run_says_the_period_and_a_schedule_that_can_be_read_comes_first() -> None:
    active = (run(run_after=1_000.0),)
    assert take(active=active, next_run=1_600.0).periods == {"orders": 600.0}
    assert take(active=active, next_run=1_600.0, schedule="*/5 * * * *").periods == {"orders": 300.0}


def test_manual_runs_say_nothing_of_the_schedule() -> None:
    assert take(active=(run(run_type="manual", run_after=1_000.0),), next_run=1_100.0).periods == {}

"""What the reader of task instances does with histories of tries that it has no time for, or that fail."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import pytest

from exporter.config.dag_filter import DagFilter
from exporter.config.settings import AirflowSettings
from exporter.metrics.catalogue.api import tasks as task_families
from exporter.metrics.reading import ReaderError, Reading
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.task_instances import TIS_ENDED, TaskInstance
from exporter.sources.airflow.counting.by_time import EndedRows, RunKey
from exporter.sources.airflow.counting.cursor import CURSOR_SPACE, Cursor, CursorRange
from exporter.sources.airflow.counting.retry_later import ABANDON_AFTER
from exporter.sources.airflow.readers import tasks
from exporter.sources.airflow.readers.tasks import MAX_HISTORY_SECONDS, TasksReader
from exporter.sources.airflow.shared import AirflowState
from exporter.store.persistence.state_file import StateFile

CURSOR = b"tasks"


class Airflow:
    """Answers with the tries that a test gives; each query takes `cost` seconds, those for `broken` tasks fail."""

    version = "2.11.2"
    major = 2

    def __init__(self) -> None:
        self.rows: list[TaskInstance] = []
        self.history: dict[str, list[TaskInstance]] = {}
        self.asked: list[str] = []
        self.broken: set[str] = set()
        self.reason = "server_error"
        self.cost = 0.0
        self.clock = 0.0

    def server_time(self) -> float:
        return 500.0

    def task_instances_active(self) -> list[TaskInstance]:
        return [row for row in self.rows if row.state not in TIS_ENDED]

    def dag_runs_active(self) -> list[DagRun]:
        return []

    def tries(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> list[TaskInstance] | None:
        self.asked.append(task_id)
        self.clock += self.cost
        if task_id in self.broken:
            raise ReaderError(self.reason, "HTTP 500")
        current = [row for row in self.rows if row.task_id == task_id and row.state != "up_for_retry"]
        return [*self.history.get(task_id, []), *current] or None


class StubFinder:
    """Finds what ended among an Airflow's rows, and records the runs that are postponed."""

    def __init__(self, airflow: Airflow) -> None:
        self.airflow = airflow
        self.postponed_again: set[RunKey] = set()
        self.postponed: frozenset[RunKey] = frozenset()
        self.unanswered: frozenset[RunKey] = frozenset()

    def find(self, active: Callable[[], Sequence[TaskInstance]]) -> EndedRows:
        active()
        rows = [row for row in self.airflow.rows if row.state in TIS_ENDED]
        span = CursorRange(0.0, None, 0.0, False, Cursor(100.0, 0.0))
        return EndedRows(rows, span, {CURSOR: b"new"}, "", self.postponed, self.unanswered)

    def postpone(self, runs: Collection[RunKey]) -> dict[bytes, bytes | None]:
        self.postponed_again |= set(runs)
        return {CURSOR: b"held"}


class Bench:
    """A reader of an Airflow, whose readings are committed."""

    def __init__(self) -> None:
        self.airflow = Airflow()
        self.state = StateFile()
        self.finder = StubFinder(self.airflow)
        self.shared = AirflowState()
        dag_filter = DagFilter(AirflowSettings())
        self.reader = TasksReader(
            self.airflow,  # type: ignore[arg-type]  # only what the reader asks for
            self.finder,
            self.state,
            self.shared,
            dag_filter,
            5.0,
            clock=lambda: self.airflow.clock,
        )

    def poll(self) -> Reading:
        self.finder.postponed_again.clear()
        self.airflow.asked.clear()
        reading = self.reader.read()
        self.state.commit([], reading.memories, moment=reading.moment, forget=reading.forget)
        return reading


@pytest.fixture
def bench() -> Bench:
    return Bench()


def make_row(task: str, state: str, number: int, end: float | None = 20.0, pid: int = 7) -> TaskInstance:
    start = 10.0 * number
    return TaskInstance(
        dag_id="d", run_id=f"of {task}", task_id=task, state=state, try_number=number, max_tries=3, start_date=start,
        end_date=end and start + 5.0, hostname="worker", pid=pid, queued_when=start - 1.0,
    )  # fmt: skip


def add_second_try(bench: Bench, task: str) -> None:
    """Add a task whose first try no poll saw, so that its history of tries is needed."""
    bench.airflow.rows.append(make_row(task, "success", 2))
    bench.airflow.history[task] = [make_row(task, "failed", 1)]


def counted(reading: Reading, family: object) -> list[str]:
    return [change.labels[1] for change in reading.changes if change.family is family]


def test_a_try_that_ended_reaches_other_readers_once_though_its_first_commit_fails(bench: Bench) -> None:
    bench.airflow.rows.append(make_row("a", "success", 1))
    bench.reader.read()
    reading = bench.poll()
    assert bench.shared.ended_tries.position == bench.shared.terminal_states.position == 0
    reading.after_commit()
    assert bench.shared.ended_tries.position == bench.shared.terminal_states.position == 1


def test_histories_that_a_poll_has_no_time_for_are_read_by_the_next(bench: Bench) -> None:
    for task in ("a", "b", "c"):
        add_second_try(bench, task)
    bench.airflow.cost = MAX_HISTORY_SECONDS / 2
    first = bench.poll()
    assert bench.airflow.asked == ["a", "b"]
    assert bench.finder.postponed_again == {("d", "of c")}
    assert first.memories[CURSOR_SPACE] == {CURSOR: b"held"}
    second = bench.poll()
    assert bench.airflow.asked == ["c"]
    assert second.memories[CURSOR_SPACE] == {CURSOR: b"new"}
    assert counted(first, task_families.TRIES) + counted(second, task_families.TRIES) == ["a", "a", "b", "b", "c", "c"]


def test_a_poll_reads_a_limited_number_of_histories(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MAX_HISTORIES_PER_POLL", 2)
    for task in ("a", "b", "c"):
        add_second_try(bench, task)
    assert counted(bench.poll(), task_families.RETRIES) == ["a", "b"]
    assert bench.finder.postponed_again == {("d", "of c")}
    assert counted(bench.poll(), task_families.RETRIES) == ["c"]


def test_a_history_that_fails_does_not_undo_those_that_were_read(bench: Bench) -> None:
    for task in ("a", "b"):
        add_second_try(bench, task)
    bench.airflow.broken = {"b"}
    assert counted(bench.poll(), task_families.RETRIES) == ["a"]
    assert bench.finder.postponed_again == {("d", "of b")}
    assert counted(bench.poll(), task_families.RETRIES) == []
    bench.airflow.broken.clear()
    assert counted(bench.poll(), task_families.RETRIES) == ["b"]
    assert bench.finder.postponed_again == set()


def test_a_history_that_failed_is_read_last(bench: Bench) -> None:
    for task in ("a", "b", "c"):
        add_second_try(bench, task)
    bench.airflow.broken = {"a"}
    assert counted(bench.poll(), task_families.RETRIES) == []
    assert counted(bench.poll(), task_families.RETRIES) == ["b", "c"]
    assert bench.airflow.asked == ["b", "c", "a"]


def test_where_airflow_as_a_whole_does_not_answer_the_poll_fails(bench: Bench) -> None:
    add_second_try(bench, "a")
    bench.airflow.broken, bench.airflow.reason = {"a"}, "unreachable"
    with pytest.raises(ReaderError):
        bench.poll()


def fail_for(bench: Bench, seconds: float) -> list[Reading]:
    """The readings of polls a minute apart."""
    found = []
    for _ in range(int(seconds / 60.0)):
        found.append(bench.poll())
        bench.airflow.clock += 60.0
    return found


def test_a_history_that_fails_for_long_is_abandoned_and_its_lost_try_counts_as_unanswered(bench: Bench) -> None:
    add_second_try(bench, "a")
    bench.airflow.broken = {"a"}
    assert all(not reading.changes for reading in fail_for(bench, ABANDON_AFTER))
    reading = bench.poll()
    assert bench.finder.postponed_again == set()
    assert counted(reading, task_families.TRIES) == ["a", "a"]
    assert counted(reading, task_families.TRIES_CLEARED) == ["a"]
    assert [change.labels for change in reading.changes if change.family is task_families.UNACCOUNTED] == [
        ("unanswered",)
    ]
    assert [change.labels for change in reading.changes if change.family is task_families.FINISHED] == [
        ("d", "a", "success")
    ]
    assert not bench.poll().changes
    assert bench.airflow.asked == []


def test_what_vanished_and_cannot_be_looked_up_is_abandoned(bench: Bench) -> None:
    bench.airflow.rows = [make_row("a", "running", 1, end=None)]
    bench.poll()
    bench.airflow.rows.clear()
    bench.airflow.broken = {"a"}
    fail_for(bench, ABANDON_AFTER)
    reading = bench.poll()
    assert counted(reading, task_families.TRIES_CLEARED) == ["a"]
    assert [change.labels for change in reading.changes if change.family is task_families.UNACCOUNTED] == [
        ("unanswered",)
    ]
    bench.poll()
    assert bench.airflow.asked == []


def test_where_an_optional_history_fails_for_long_the_row_decides(bench: Bench) -> None:
    bench.airflow.rows.append(make_row("optional", "up_for_retry", 1))
    bench.airflow.broken = {"optional"}
    assert all(not reading.changes for reading in fail_for(bench, ABANDON_AFTER))
    reading = bench.poll()
    assert counted(reading, task_families.RETRIES) == ["optional"]
    assert not counted(reading, task_families.TRIES_CLEARED)


def test_a_run_that_was_abandoned_counts_as_unanswered(bench: Bench) -> None:
    bench.finder.unanswered = frozenset({("d", "r")})
    changes = bench.poll().changes
    assert [(change.family, change.labels) for change in changes] == [(task_families.UNACCOUNTED, ("unanswered",))]


def test_a_retry_of_airflow_2_that_may_have_been_cleared_counts_once_its_history_was_read(bench: Bench) -> None:
    add_second_try(bench, "a")
    bench.airflow.rows.append(make_row("optional", "up_for_retry", 1))
    bench.airflow.history["optional"] = [make_row("optional", "failed", 1, pid=9)]
    bench.airflow.cost = MAX_HISTORY_SECONDS
    assert "optional" not in counted(bench.poll(), task_families.TRIES)
    assert bench.airflow.asked == ["a"]
    reading = bench.poll()
    assert bench.airflow.asked == ["optional"]
    assert counted(reading, task_families.RETRIES) == ["optional"]
    assert not bench.poll().changes


def test_beyond_the_limit_of_optional_histories_the_rows_decide(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "MAX_OPTIONAL_HISTORIES", 1)
    for task in ("a", "b"):
        bench.airflow.rows.append(make_row(task, "up_for_retry", 1))
        bench.airflow.history[task] = [make_row(task, "failed", 1, pid=9)]
    assert sorted(counted(bench.poll(), task_families.RETRIES)) == ["a", "b"]
    assert bench.airflow.asked == ["a"]


def test_what_vanished_from_a_run_that_was_not_listed_is_not_looked_up(bench: Bench) -> None:
    bench.airflow.rows = [make_row("a", "running", 1, end=None)]
    bench.poll()
    bench.airflow.rows.clear()
    bench.finder.postponed = frozenset({("d", "of a")})
    bench.poll()
    assert bench.airflow.asked == []
    bench.finder.postponed = frozenset()
    assert counted(bench.poll(), task_families.TRIES_CLEARED) == ["a"]
    assert bench.airflow.asked == ["a"]


def test_a_row_that_changed_during_the_poll_counts_as_it_was_found_first(bench: Bench) -> None:
    bench.airflow.rows = [make_row("a", "running", 1, end=None)]
    bench.poll()
    bench.airflow.rows = [make_row("a", "restarting", 1), make_row("a", "success", 2)]
    bench.airflow.history["a"] = [make_row("a", "failed", 1)]
    reading = bench.poll()
    assert counted(reading, task_families.TRIES) == ["a", "a"]
    assert counted(reading, task_families.TRIES_CLEARED) == ["a"]
    assert counted(reading, task_families.RETRIES) == []


def test_what_is_active_was_read_now_though_the_cursor_is_behind(bench: Bench) -> None:
    bench.airflow.rows.append(make_row("a", "running", 1))
    reading = bench.poll()
    assert reading.moment == 100.0
    assert bench.shared.tasks_read_at == 500.0


def test_the_run_of_a_skip_whose_end_is_not_committed_yet_is_listed_again_once(bench: Bench) -> None:
    bench.airflow.rows.append(make_row("a", "skipped", 1, end=None))
    assert not bench.poll().changes
    assert bench.finder.postponed_again == {("d", "of a")}
    bench.airflow.rows[0] = make_row("a", "skipped", 1)
    assert [change.value for change in bench.poll().changes if change.family is task_families.RUN_SECONDS] == [5.0]
    assert not bench.finder.postponed_again

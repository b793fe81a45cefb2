"""The reader of waits: families by reason and object, and seconds waited that no gap and no stale reading inflate."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from exporter.metrics.catalogue.api import waits
from exporter.metrics.family import Family
from exporter.metrics.reading import ReaderError, Reading
from exporter.sources.airflow.api.objects.pools import Pool
from exporter.sources.airflow.api.paging import Rows
from exporter.sources.airflow.counting.decision import EndedTry, TryOutcome
from exporter.sources.airflow.readers.waits import MAX_STALE_SECONDS, WaitsReader
from exporter.sources.airflow.shared import AirflowState
from exporter.sources.airflow.waits.asks import Asks
from exporter.sources.airflow.waits.past import PAST_SPACE
from exporter.sources.airflow.waits.seconds import MAX_GAP_SECONDS
from exporter.sources.airflow.waits.task_limits import ANSWER_LIFETIME, MAX_QUERIES_PER_READING
from exporter.sources.directory import Directory
from exporter.store.persistence.state_file import StateFile
from tests.unit.diagnosis.rows import NOW, run, task

ReadUnmet = Callable[[str, str, str, int], Sequence[str]]


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def make_reader(read_unmet: ReadUnmet = lambda *_: ()) -> tuple[WaitsReader, AirflowState, Clock]:
    clock = Clock()
    shared = AirflowState(directory=Directory())
    shared.pools = {"default_pool": Pool(name="default_pool", slots=1)}
    asks = Asks(read_unmet, lambda *_: Rows(), lambda _: (), lambda _: (), lambda _: None)
    return (
        WaitsReader(shared, (3, 3, 2), 10.0, complete=True, asks=asks, memory=StateFile(), clock=clock),
        shared,
        clock,
    )


def show(shared: AirflowState, at: float = NOW) -> None:
    shared.active_tasks = [task("running"), task("scheduled", "a", scheduled_when=NOW - 30), task("scheduled", "b")]
    shared.active_dag_runs = [run()]
    shared.tasks_read_at = at


def sum_seconds(reading: Reading, family: Family) -> float:
    return sum(change.value for change in reading.changes if change.family is family)


def read(reader: WaitsReader) -> Reading:
    """As the supervisor does: what was read is committed."""
    reading = reader.read()
    reading.after_commit()
    return reading


def test_what_tasks_took_is_remembered_though_the_state_file_cannot_be_written_at_first() -> None:
    reader, shared, _ = make_reader()
    show(shared)
    ended = task("success", start_date=NOW - 60, end_date=NOW)
    shared.ended_tries.extend([EndedTry(ended, TryOutcome.SUCCESS)])
    first = reader.read().memories
    assert len(first[PAST_SPACE]) == 1
    assert read(reader).memories == first
    assert read(reader).memories == {}


def test_before_anything_was_read_it_says_so_and_exposes_nothing() -> None:
    reader, *_ = make_reader()
    reading = read(reader)
    assert not reading.tables
    assert reading.notes == ["active task instances were not read yet"]


def test_waiting_task_instances_are_counted_by_reason_and_object() -> None:
    reader, shared, _ = make_reader()
    show(shared)
    tables = read(reader).tables
    assert tables[waits.WAITING_TASKS] == {("orders", "pool"): 2}
    assert tables[waits.OBJECT_WAITING] == {("pool", "default_pool"): 2}
    assert tables[waits.OBJECT_WAITING_SINCE] == {("pool", "default_pool"): NOW - 30}
    assert shared.directory.diagnosis is not None
    assert shared.directory.diagnosis.time == NOW


def test_seconds_waited_are_those_between_two_readings() -> None:
    reader, shared, clock = make_reader()
    show(shared)
    assert sum_seconds(read(reader), waits.WAITED_SECONDS) == 0
    clock.now += 10
    show(shared, NOW + 10)
    reading = read(reader)
    assert sum_seconds(reading, waits.WAITED_SECONDS) == 20
    assert sum_seconds(reading, waits.OBJECT_WAITED_SECONDS) == 20


def test_a_reading_that_is_not_new_adds_nothing_and_its_time_counts_once_the_next_comes() -> None:
    reader, shared, clock = make_reader()
    show(shared)
    read(reader)
    clock.now += 10
    assert sum_seconds(read(reader), waits.WAITED_SECONDS) == 0
    clock.now += 10
    show(shared, NOW + 20)
    assert sum_seconds(read(reader), waits.WAITED_SECONDS) == 40


def test_seconds_that_could_not_be_written_are_counted_by_the_next_reading() -> None:
    reader, shared, clock = make_reader()
    show(shared)
    read(reader)
    clock.now += 10
    show(shared, NOW + 10)
    reader.read()  # Its commit fails.
    clock.now += 10
    show(shared, NOW + 20)
    assert sum_seconds(read(reader), waits.WAITED_SECONDS) == 40


def test_of_an_hour_without_readings_a_quarter_counts_for_what_waited_at_both_ends() -> None:
    reader, shared, clock = make_reader()
    show(shared)
    read(reader)
    clock.now += 3_600
    show(shared, NOW + 3_600)
    assert sum_seconds(read(reader), waits.WAITED_SECONDS) == 2 * MAX_GAP_SECONDS


def test_what_waits_only_after_a_gap_did_not_wait_through_it() -> None:
    reader, shared, clock = make_reader()
    show(shared)
    shared.active_tasks = [task("running")]
    read(reader)
    clock.now += 3_600
    show(shared, NOW + 3_600)
    assert sum_seconds(read(reader), waits.WAITED_SECONDS) == 0


def make_unexplained(shared: AirflowState, *names: str, since: float = NOW - 60) -> None:
    """Task instances that no limit in the lists stops."""
    shared.pools = {"default_pool": Pool(name="default_pool", slots=100)}
    shared.active_tasks = [task("scheduled", name, scheduled_when=since) for name in names]
    shared.tasks_read_at = NOW


def test_a_task_that_nothing_explains_is_asked_for_and_stopped_by_its_own_limit() -> None:
    asked: list[tuple[str, str, str, int]] = []

    def read_unmet(*names: str | int) -> Sequence[str]:
        asked.append(names)  # type: ignore[arg-type]
        return ["Task Concurrency"]

    reader, shared, clock = make_reader(read_unmet)
    make_unexplained(shared, "limited")
    assert read(reader).tables[waits.WAITING_TASKS] == {("orders", "max_active_tis"): 1}
    read(reader)
    assert asked == [("orders", "r1", "limited", -1)], "an answer holds for a while"
    clock.now += ANSWER_LIFETIME
    shared.tasks_read_at += ANSWER_LIFETIME
    read(reader)
    assert len(asked) == 2


def test_what_the_limit_of_a_task_stops_takes_no_room_from_others() -> None:
    reader, shared, _ = make_reader(lambda _dag, _run, name, _index: ["Task Concurrency"] if name == "limited" else ())
    make_unexplained(shared, "free")
    shared.pools = {"default_pool": Pool(name="default_pool", slots=4)}
    held = [task("running", "limited", map_index=number) for number in range(2)]
    more = [task("scheduled", "limited", map_index=number, scheduled_when=NOW - 60) for number in range(2, 40)]
    shared.active_tasks = [*held, *more, *(shared.active_tasks or ())]
    assert read(reader).tables[waits.WAITING_TASKS] == {
        ("orders", "max_active_tis"): 38,
        ("orders", "scheduler"): 1,
    }


def test_a_limit_of_each_run_does_not_stop_other_runs_and_is_named_with_its_own_value() -> None:
    reader, shared, _ = make_reader(lambda *_: ["Task Concurrency per run"])
    make_unexplained(shared)
    shared.active_dag_runs = [run(), run(run_id="r2")]
    shared.active_tasks = [
        *(task("running", "pair", map_index=number, run_id=run_id) for number in range(2) for run_id in ("r1", "r2")),
        *(task("scheduled", "pair", map_index=number, scheduled_when=NOW - 60) for number in range(2, 5)),
        *(task("scheduled", "pair", map_index=number, run_id="r2", scheduled_when=NOW - 60) for number in range(2, 5)),
        task("scheduled", "pair", run_id="r3", scheduled_when=NOW - 2),
    ]
    assert read(reader).tables[waits.WAITING_TASKS] == {("orders", "max_active_tis"): 6, ("orders", "scheduler"): 1}
    assert shared.directory.diagnosis is not None
    finding = next(one for one in shared.directory.diagnosis.findings if one.reason.name == "max_active_tis")
    assert finding.suggestion == "Raise max_active_tis_per_dagrun of task orders.pair above 2, for example to 4."
    assert (finding.used, finding.facts) == (2, ["at most 2 of a run at once, 4 over all runs now"])


def test_an_answer_about_a_task_holds_only_while_as_many_of_it_run() -> None:
    answers = [["Task Concurrency"], []]
    reader, shared, _ = make_reader(lambda *_: answers.pop(0))
    make_unexplained(shared, "limited")
    waiting = list(shared.active_tasks or ())
    shared.active_tasks = [task("running", "limited", run_id="r0"), *waiting]
    assert read(reader).tables[waits.WAITING_TASKS] == {("orders", "max_active_tis"): 1}
    shared.active_tasks = waiting
    assert read(reader).tables[waits.WAITING_TASKS] == {("orders", "scheduler"): 1}
    shared.active_tasks = [task("running", "limited", run_id="r0"), *waiting]
    assert read(reader).tables[waits.WAITING_TASKS] == {("orders", "max_active_tis"): 1}


def test_the_limit_of_a_task_over_all_runs_is_named_as_such_and_counts_what_is_deferred() -> None:
    reader, shared, _ = make_reader(lambda *_: ["Task Concurrency"])
    make_unexplained(shared, "waits")
    shared.active_tasks = [task("deferred", "waits", run_id=name) for name in "ab"] + list(shared.active_tasks or ())
    read(reader)
    assert shared.directory.diagnosis is not None
    finding = next(one for one in shared.directory.diagnosis.findings if one.reason.name == "max_active_tis")
    assert finding.suggestion == "Raise max_active_tis_per_dag of task orders.waits above 2, for example to 3."


def test_other_unmet_dependencies_are_not_limits_of_the_task() -> None:
    reader, shared, _ = make_reader(lambda *_: ["Pool Slots Available", "Task Instance Slots Available"])
    make_unexplained(shared, "a")
    assert read(reader).tables[waits.WAITING_TASKS] == {("orders", "scheduler"): 1}


def test_what_was_just_scheduled_is_not_asked_for() -> None:
    asked: list[str] = []

    def read_unmet(dag_id: str, run_id: str, task_id: str, map_index: int) -> Sequence[str]:
        asked.append(task_id)
        return ()

    reader, shared, _ = make_reader(read_unmet)
    make_unexplained(shared, "fresh", since=NOW - 1)
    read(reader)
    assert asked == []


def test_only_a_few_tasks_are_asked_for_in_one_reading_and_the_others_in_the_next() -> None:
    asked: list[str] = []

    def read_unmet(dag_id: str, run_id: str, task_id: str, map_index: int) -> Sequence[str]:
        asked.append(task_id)
        return ()

    reader, shared, _ = make_reader(read_unmet)
    make_unexplained(shared, *(f"t{number}" for number in range(8)))
    read(reader)
    assert len(asked) == MAX_QUERIES_PER_READING
    read(reader)
    assert asked == [f"t{number}" for number in range(8)]


def test_an_error_about_one_task_fails_nothing() -> None:
    def read_unmet(*_: str | int) -> Sequence[str]:
        raise ReaderError("forbidden", "no permission")

    reader, shared, _ = make_reader(read_unmet)
    make_unexplained(shared, "a")
    assert read(reader).tables[waits.WAITING_TASKS] == {("orders", "scheduler"): 1}


def test_a_reading_that_is_long_past_says_nothing_of_what_waits() -> None:
    reader, shared, clock = make_reader()
    show(shared)
    read(reader)
    clock.now += MAX_STALE_SECONDS + 1
    tables = read(reader).tables
    assert tables[waits.WAITING_TASKS] == {}
    assert tables[waits.OBJECT_WAITING] == {}
    show(shared, NOW + 400)
    assert read(reader).tables[waits.WAITING_TASKS] == {("orders", "pool"): 2}

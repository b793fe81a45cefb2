"""The reader of waits: families by reason and object, and seconds waited that no gap and no stale reading inflate."""

from __future__ import annotations

from exporter.metrics.catalogue.api import waits
from exporter.metrics.family import Family
from exporter.metrics.reading import Reading
from exporter.sources.airflow.api.objects.pools import Pool
from exporter.sources.airflow.readers.waits import WaitsReader
from exporter.sources.airflow.shared import AirflowState
from exporter.sources.directory import Directory
from tests.unit.diagnosis.rows import NOW, run, task


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def make_reader() -> tuple[WaitsReader, AirflowState, Clock]:
    clock = Clock()
    shared = AirflowState(directory=Directory())
    shared.pools = {"default_pool": Pool(name="default_pool", slots=1)}
    return WaitsReader(shared, (3, 3, 2), 10.0, complete=True, clock=clock), shared, clock


def show(shared: AirflowState, at: float = NOW) -> None:
    shared.active_tasks = [task("running"), task("scheduled", "a", scheduled_when=NOW - 30), task("scheduled", "b")]
    shared.active_dag_runs = [run()]
    shared.tasks_read_at = at


def sum_seconds(reading: Reading, family: Family) -> float:
    return sum(change.value for change in reading.changes if change.family is family)


def test_before_anything_was_read_it_says_so_and_exposes_nothing() -> None:
    reader, *_ = make_reader()
    reading = reader.read()
    assert not reading.tables
    assert reading.notes == ["active task instances were not read yet"]


def test_waiting_task_instances_are_counted_by_reason_and_object() -> None:
    reader, shared, _ = make_reader()
    show(shared)
    tables = reader.read().tables
    assert tables[waits.WAITING_TASKS] == {("orders", "pool"): 2}
    assert tables[waits.OBJECT_WAITING] == {("pool", "default_pool"): 2}
    assert tables[waits.OBJECT_WAITING_SINCE] == {("pool", "default_pool"): NOW - 30}
    assert shared.directory.diagnosis is not None
    assert shared.directory.diagnosis.time == NOW


def test_seconds_waited_are_those_between_two_readings() -> None:
    reader, shared, clock = make_reader()
    show(shared)
    assert sum_seconds(reader.read(), waits.WAITED_SECONDS) == 0
    clock.now += 10
    show(shared, NOW + 10)
    reading = reader.read()
    assert sum_seconds(reading, waits.WAITED_SECONDS) == 20
    assert sum_seconds(reading, waits.OBJECT_WAITED_SECONDS) == 20


def test_a_reading_that_is_not_new_adds_nothing_and_its_time_counts_once_the_next_comes() -> None:
    reader, shared, clock = make_reader()
    show(shared)
    reader.read()
    clock.now += 10
    assert sum_seconds(reader.read(), waits.WAITED_SECONDS) == 0
    clock.now += 10
    show(shared, NOW + 20)
    assert sum_seconds(reader.read(), waits.WAITED_SECONDS) == 40


def test_an_hour_without_readings_is_not_counted_as_waited() -> None:
    reader, shared, clock = make_reader()
    show(shared)
    reader.read()
    clock.now += 3_600
    show(shared, NOW + 3_600)
    assert sum_seconds(reader.read(), waits.WAITED_SECONDS) == 0

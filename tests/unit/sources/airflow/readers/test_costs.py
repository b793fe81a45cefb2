"""The reader of costs: each ended try adds to the counters of its DAG once, and findings are recorded."""

from __future__ import annotations

import math
from typing import Any

from exporter.diagnosis.costs.rows import MemoryGrowth
from exporter.metrics.catalogue.api import costs
from exporter.metrics.family import Family
from exporter.metrics.reading import Reading
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.counting.decision import EndedTry, TerminalState, TryOutcome
from exporter.sources.airflow.readers.costs import CostsReader, get_slots
from exporter.sources.airflow.shared import AirflowState
from tests.unit.diagnosis.rows import NOW, run, task

MANY = 150


def ended(queued: float = 0.5, duration: float = 1.0, **more: Any) -> TaskInstance:
    fields = {"queued_when": NOW - queued, "start_date": NOW, "end_date": NOW + duration} | more
    return task("success", **fields)


def make_reader() -> tuple[CostsReader, AirflowState]:
    shared = AirflowState(active_tasks=(), tasks_read_at=NOW, dags={"orders": Dag(dag_id="orders")})
    shared.directory.record_findings(NOW, [])
    return CostsReader(shared, 15.0), shared


def end_tries(shared: AirflowState, *rows: TaskInstance) -> None:
    shared.ended_tries.extend(EndedTry(row, TryOutcome.SUCCESS) for row in rows)


def read(reader: CostsReader) -> Reading:
    """A reading that is committed."""
    reading = reader.read()
    reading.after_commit()
    return reading


def total(reading: Reading, family: Family) -> float:
    return sum(change.value for change in reading.changes if change.family is family)


def list_costs(shared: AirflowState) -> list[str]:
    assert shared.directory.diagnosis is not None
    return [one.name for one in shared.directory.diagnosis.costs]


def test_each_try_counts_once_and_too_fine_tasks_are_found() -> None:
    reader, shared = make_reader()
    end_tries(shared, *[ended(map_index=number) for number in range(MANY)])
    reading = read(reader)
    assert total(reading, costs.OVERHEAD_SECONDS) == MANY * 0.5
    assert total(reading, costs.SHORT_TRIES) == MANY
    assert reading.tables[costs.LEAST_OVERHEAD] == {("queued",): 0.5, ("running",): 1.0}
    assert list_costs(shared) == ["too_fine"]
    assert not read(reader).changes


def test_what_could_not_be_written_is_counted_by_the_next_reading() -> None:
    reader, shared = make_reader()
    end_tries(shared, *[ended(map_index=number) for number in range(MANY)])
    reader.read()  # the state file cannot be written
    assert total(read(reader), costs.SHORT_TRIES) == MANY
    assert not read(reader).changes


def test_the_least_is_absent_while_it_is_not_known() -> None:
    reader, shared = make_reader()
    end_tries(shared, ended())
    reading = read(reader)
    assert reading.tables == {costs.LEAST_OVERHEAD: {}}
    assert total(reading, costs.OVERHEAD_SECONDS) == 0
    assert list_costs(shared) == []


def test_what_ended_before_the_reader_was_built_again_does_not_count_twice() -> None:
    reader, shared = make_reader()
    end_tries(shared, *[ended()] * MANY)
    assert read(reader).changes
    assert not CostsReader(shared, 15.0).read().changes


def test_runs_are_judged_by_the_terminal_states_of_their_tasks() -> None:
    reader, shared = make_reader()
    read(reader)
    shared.ended_runs.extend([run("success", start_date=NOW + 1, end_date=NOW + 2)])
    shared.terminal_states.extend([TerminalState(task("skipped"), "skipped")])
    shared.tasks_read_at = NOW + 100
    assert total(read(reader), costs.RUNS_ALL_SKIPPED) == 1


def test_sensors_are_counted_by_mode() -> None:
    reader, shared = make_reader()
    read(reader)
    end_tries(shared, ended(operator="PythonSensor", duration=20))
    shared.tasks_read_at = NOW + 30
    [change] = [one for one in read(reader).changes if one.family is costs.SENSOR_SECONDS]
    assert (change.labels, change.value) == (("orders", "poke"), 20)


def test_memory_that_grows_on_this_machine_is_found() -> None:
    reader, shared = make_reader()
    shared.directory.record_growth({("orders", "load"): MemoryGrowth(1e8, 3e8, 8, steady=True)})
    read(reader)
    assert list_costs(shared) == ["memory_growth"]


def test_before_anything_was_read_it_says_so() -> None:
    assert CostsReader(AirflowState(), 15.0).read().notes == ["active task instances were not read yet"]


def test_slots_that_are_unlimited_are_not_known() -> None:
    assert get_slots(math.inf) is None
    assert get_slots(None) is None
    assert get_slots(8.0) == 8


def test_a_file_that_is_slow_to_parse_is_named_by_statsd_or_the_api() -> None:
    reader, shared = make_reader()
    shared.dags = {"orders": Dag(dag_id="orders", bundle="dags", file="orders.py", last_parse_duration=41.0)}
    read(reader)
    assert list_costs(shared) == ["file_slow"]
    shared.directory.read_parse_durations = lambda: {("dags", "orders.py"): 1.0}
    read(reader)
    assert list_costs(shared) == []

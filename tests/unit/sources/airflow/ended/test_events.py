"""The lines of the events file: each valid by the schema, each try and run once, classes joined, nothing lost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

from exporter.diagnosis.reasons import POOL
from exporter.diagnosis.report import FailedTry
from exporter.events.writer import EventWriter
from exporter.metrics.reading import Reading
from exporter.sources.airflow.api.objects.dag_runs import DagRun
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.counting.decision import EndedTry, TryOutcome
from exporter.sources.airflow.ended import events
from exporter.sources.airflow.ended.events import MAX_CLASS_DELAY, MAX_WAITS_DELAY, EventsReader
from exporter.sources.airflow.ended.unwritten import RUNS_SPACE, TRIES_SPACE, keep_runs, keep_tries
from exporter.sources.airflow.log_links import LogLinks
from exporter.sources.airflow.shared import AirflowState
from exporter.store.persistence.state_file import StateFile

SCHEMA = json.loads((Path(__file__).parents[5] / "docs/events.schema.json").read_text(encoding="utf-8"))


class Disk:
    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self.full = False

    def append(self, lines: Sequence[bytes]) -> None:
        if self.full:
            raise OSError(28, "No space left on device")
        self.lines += lines

    def close(self) -> None:
        pass

    def read(self) -> list[dict[str, Any]]:
        found = [json.loads(line) for line in self.lines]
        for one in found:
            jsonschema.validate(one, SCHEMA)
        return found


class Bench:
    """The reader over a state file, with what the other readers would have written to it."""

    def __init__(self, state: StateFile | None = None, disk: Disk | None = None) -> None:
        self.state, self.disk = state or StateFile(), disk or Disk()
        self.writer = EventWriter(self.disk, retry_seconds=0.01)
        self.shared = AirflowState(events=self.writer)
        self.shared.try_waits.noted_at = 1000.0
        links = LogLinks("https://airflow.example.org", 3)
        self.reader = EventsReader(self.writer, links, "3.3.2", self.state, self.shared, 30.0)

    def end(self, *ended: EndedTry | DagRun, now: float = 1000.0) -> None:
        self.shared.tasks_read_at = self.shared.try_waits.noted_at = now
        self.state.commit([], keep_tries([one for one in ended if isinstance(one, EndedTry)], now))
        self.state.commit([], keep_runs([one for one in ended if isinstance(one, DagRun)], now))

    def read(self, now: float | None = None) -> Reading:
        self.shared.tasks_read_at = self.shared.tasks_read_at if now is None else now
        reading = self.reader.read()
        self.state.commit([], reading.memories)
        reading.after_commit()
        return reading

    def left(self) -> int:
        return len(self.state.recall_all(TRIES_SPACE)) + len(self.state.recall_all(RUNS_SPACE))


def make_try(outcome: TryOutcome = TryOutcome.SUCCESS, **changes: Any) -> EndedTry:
    row = TaskInstance(
        **{
            "dag_id": "sales",
            "task_id": "load",
            "run_id": "r 1",
            "try_number": 2,
            "scheduled_when": 989.0,
            "queued_when": 990.5,
            "start_date": 992.0,
            "end_date": 998.25,
            "pool": "default_pool",
            "pool_slots": 2,
            "priority_weight": 7,
            "queue": "default",
            "operator": "PythonOperator",
            **changes,
        }
    )
    return EndedTry(row, outcome)


def classify(one: EndedTry, error_class: str) -> FailedTry:
    row = one.row
    ids = (row.dag_id, row.task_id, row.run_id, row.map_index, row.try_number)
    return FailedTry(*ids, row.end_date or 0.0, error_class, False, "")


def test_a_try_and_a_run_are_a_line_each() -> None:
    bench = Bench()
    run = DagRun(dag_id="sales", run_id="r 1", run_type="scheduled", state="failed", run_after=900.0, end_date=999.0)
    bench.end(make_try(), run)
    assert bench.read().notes == ["2 lines written, 0 wait"]
    assert bench.disk.read() == [
        {
            "schema": 1,
            "event": "task_try",
            "time": "1970-01-01T00:16:38.250000Z",
            "airflow_release": "3.3.2",
            "dag_id": "sales",
            "run_id": "r 1",
            "task_id": "load",
            "map_index": -1,
            "try_number": 2,
            "outcome": "success",
            "error_class": None,
            "scheduled_seconds": 1.5,
            "queued_seconds": 1.5,
            "run_seconds": 6.25,
            "waited_seconds": None,
            "pool": "default_pool",
            "pool_slots": 2,
            "priority_weight": 7,
            "queue": "default",
            "operator": "PythonOperator",
            "log_url": "https://airflow.example.org/dags/sales/runs/r%201/tasks/load?try_number=2",
        },
        {
            "schema": 1,
            "event": "dag_run",
            "time": "1970-01-01T00:16:39.000000Z",
            "airflow_release": "3.3.2",
            "dag_id": "sales",
            "run_id": "r 1",
            "run_type": "scheduled",
            "state": "failed",
            "queued_seconds": None,
            "run_seconds": None,
            "due_to_end_seconds": 99.0,
        },
    ]
    assert bench.left() == 0
    bench.read()
    assert len(bench.disk.lines) == 2


def test_a_try_that_a_release_without_pool_slots_kept_is_written_without_them() -> None:
    bench = Bench()
    bench.end(make_try())
    [(key, entry)] = bench.state.recall_all(TRIES_SPACE).items()
    counted_at, facts, logical_date = msgspec.msgpack.decode(entry)
    bench.state.commit([], {TRIES_SPACE: {key: msgspec.msgpack.encode([counted_at, facts[:-2], logical_date])}})
    bench.read()
    [line] = bench.disk.read()
    assert (line["pool"], line["pool_slots"], line["priority_weight"]) == ("default_pool", None, None)


@pytest.mark.parametrize("outcome", list(TryOutcome))
@pytest.mark.parametrize(
    "changes",
    [
        {"scheduled_when": None, "queued_when": None, "start_date": None, "end_date": None},
        {"queued_when": 995.0},
        {"task_id": 'line\nbreak \u2028 "quote" ü', "pool": "", "queue": "", "operator": "", "map_index": 7},
    ],
)
def test_every_outcome_is_one_valid_line(outcome: TryOutcome, changes: dict[str, Any]) -> None:
    bench = Bench()
    bench.end(make_try(outcome, **changes))
    bench.read(now=1000.0 + MAX_CLASS_DELAY)
    (line,) = bench.disk.lines
    assert (line.count(b"\n"), line[-1:]) == (1, b"\n")
    (found,) = bench.disk.read()
    assert found["task_id"] == changes.get("task_id", "load")
    if changes.get("queued_when"):
        assert (found["scheduled_seconds"], found["queued_seconds"]) == (None, None)


@pytest.mark.parametrize("outcome", [TryOutcome.FAILED, TryOutcome.RETRIED])
def test_a_failed_try_waits_for_its_class(outcome: TryOutcome) -> None:
    bench = Bench()
    failed = make_try(outcome)
    bench.end(failed)
    bench.read(now=1000.0 + MAX_CLASS_DELAY - 1)
    assert bench.disk.lines == []
    bench.shared.failed_tries.extend([classify(failed, "network")])
    bench.read()
    assert [one["error_class"] for one in bench.disk.read()] == ["network"]


def test_it_does_not_wait_for_ever() -> None:
    bench = Bench()
    bench.end(make_try(TryOutcome.FAILED))
    bench.read(now=1000.0 + MAX_CLASS_DELAY)
    assert [one["error_class"] for one in bench.disk.read()] == [None]


def test_a_full_disk_is_counted_and_nothing_is_lost_or_twice() -> None:
    bench = Bench()
    bench.disk.full = True
    bench.end(make_try())
    for _ in range(3):
        bench.read()
    assert (bench.writer.failed_writes > 0, bench.left()) == (True, 1)
    bench.disk.full = False
    bench.writer.wait(0, 10)
    bench.read()
    assert (len(bench.disk.read()), bench.left()) == (1, 0)


def test_while_the_state_file_cannot_be_written_a_line_is_written_once() -> None:
    bench = Bench()
    bench.end(make_try())
    for _ in range(3):
        bench.reader.read()  # nothing is committed
    bench.read()
    bench.read()
    assert (len(bench.disk.read()), bench.left()) == (1, 0)


def test_a_crash_before_the_line_was_written_loses_nothing() -> None:
    bench = Bench()
    bench.end(make_try())
    after = Bench(bench.state, bench.disk)
    after.read(now=1000.0)
    assert len(bench.disk.read()) == 1


def test_a_crash_after_the_line_was_written_writes_it_again() -> None:
    bench = Bench()
    bench.end(make_try())
    bench.reader.read()
    Bench(bench.state, bench.disk).read(now=1000.0)
    first, second = bench.disk.read()
    assert first == second


def test_the_oldest_go_where_too_many_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_UNWRITTEN", 3)
    bench = Bench()
    bench.disk.full = True
    for number in range(5):
        bench.end(make_try(try_number=number), now=1000.0 + number)
    bench.read()
    assert (bench.writer.dropped, bench.left()) == (2, 3)
    bench.disk.full = False
    bench.writer.wait(2, 10)
    bench.read()
    assert [one["try_number"] for one in bench.disk.read()] == [2, 3, 4]


def test_a_try_says_what_it_waited_for() -> None:
    bench = Bench()
    bench.shared.try_waits.note([], [], 900.0)
    row = make_try().row
    scheduled = msgspec.structs.replace(row, state="scheduled", scheduled_when=910.0, queued_when=None, start_date=None)
    bench.shared.try_waits.note([(scheduled, POOL)], [], 930.0)
    done = make_try(scheduled_when=910.0)
    bench.shared.try_waits.note([], [done], 1000.0)
    bench.end(done)
    bench.read()
    assert bench.disk.read()[0]["waited_seconds"] == {"pool": 82.0}
    assert bench.shared.try_waits.find(row) is None


def test_a_line_waits_until_it_is_known_what_the_try_waited_for() -> None:
    bench = Bench()
    bench.end(make_try())
    bench.shared.try_waits.noted_at = 999.0
    bench.read()
    assert bench.disk.read() == []
    bench.read(now=1000.0 + MAX_WAITS_DELAY)
    assert [one["waited_seconds"] for one in bench.disk.read()] == [None]

"""The events file as it is read, and what each task follows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from exporter.tuning.simulation.dependencies import find_dependencies
from exporter.tuning.simulation.recorded import RecordedRun, RecordedTry, read_lines
from exporter.tuning.simulation.replay import build_work
from exporter.tuning.simulation.settings import SimulatedSettings
from exporter.tuning.simulation.simulation import Simulation
from tests.unit.tuning.simulation.airflows import make_work, run_airflow, write_lines


def write(**fields: Any) -> bytes:
    line = {
        "event": "task_try",
        "time": "1970-01-01T00:16:40Z",
        "dag_id": "d",
        "run_id": "r",
        "task_id": "t",
        "map_index": -1,
        "try_number": 1,
        "outcome": "success",
        "scheduled_seconds": 3,
        "queued_seconds": 2,
        "run_seconds": 60,
        "pool": "p",
        "pool_slots": 2,
        "priority_weight": 5,
        "queue": "q",
        "something_new": [1],
    }
    return json.dumps(line | fields).encode()


def test_the_times_of_a_try_follow_from_its_end() -> None:
    [one] = read_lines([write()], 0, 2000).tries
    assert one == RecordedTry("d", "r", "t", -1, 1, 935, 940, 1000, "p", 2, 5, "q", 2)
    assert one.wait_seconds == 5


def test_what_ended_outside_the_window_is_left_out() -> None:
    assert read_lines([write()], 0, 999).tries == []
    assert read_lines([write()], 1001, 2000).tries == []


def test_a_line_that_came_twice_counts_once_and_the_order_does_not_matter() -> None:
    lines = [
        write(try_number=2, time="1970-01-01T00:18:20Z"),
        write(),
        write(try_number=2, time="1970-01-01T00:18:20Z"),
    ]
    assert [one.number for one in read_lines(lines, 0, 2000).tries] == [1, 2]


def test_of_too_many_tries_the_window_begins_with_the_first_that_is_kept() -> None:
    recording = read_lines([write(), write(try_number=2, time="1970-01-01T00:18:20Z")], 0, 2000)
    recording.keep_newest(2)
    assert (len(recording.tries), recording.begin) == (2, 1000)
    recording.keep_newest(1)
    assert ([one.number for one in recording.tries], recording.begin) == ([2], 1040)


def test_what_is_not_known_is_counted() -> None:
    found = read_lines(
        [
            b"{",
            b'{"event": "task_try"}',
            write(run_seconds=None),
            write(time=None),
            write(scheduled_seconds=None, priority_weight=None, pool_slots=None),
        ],
        0,
        2000,
    )
    assert (found.unreadable, found.without_weights) == (4, 1)
    [one] = found.tries
    assert (one.ready_at, one.wait_seconds, one.pool_slots, one.priority_weight) == (None, None, 1, 1)


@pytest.mark.parametrize(
    ("fields", "run"),
    [
        ({}, RecordedRun("d", "r", 900, 938, 940, 1000)),
        ({"queued_seconds": None, "due_to_end_seconds": None}, RecordedRun("d", "r", 940, 940, 940, 1000)),
    ],
)
def test_the_times_of_a_run_follow_from_its_end(fields: dict[str, Any], run: RecordedRun) -> None:
    line = write(**{"event": "dag_run", "due_to_end_seconds": 100, **fields})
    assert read_lines([line], 0, 2000).runs == {("d", "r"): run}


def test_what_each_task_follows_is_found_from_the_times_alone() -> None:
    moves = {f"move_{number}": frozenset({"extract_0", "extract_1"}) for number in range(3)}
    first = {f"extract_{number}": frozenset[str]() for number in range(2)}

    recording = run_airflow(1, SimulatedSettings(pools={"forklifts": 3}, loop_seconds=1))
    expected = {**first, **moves, "report": frozenset(moves)}
    assert find_dependencies(recording.tries) == {"north": expected, "south": expected, "west": expected}


def test_a_task_that_once_became_ready_before_another_ended_does_not_follow_it() -> None:
    def make(run_id: str, task_id: str, ready_at: float, ended_at: float) -> RecordedTry:
        return RecordedTry("d", run_id, task_id, -1, 1, ready_at, ready_at, ended_at, "p", 1, 1, "q", 0)

    first = [make("1", "a", 0, 10), make("1", "b", 11, 20)]
    assert find_dependencies(first)["d"]["b"] == {"a"}
    assert find_dependencies([*first, make("2", "b", 100, 105), make("2", "a", 100, 110)])["d"]["b"] == set()
    assert find_dependencies([make("1", "a", 0, 10), make("1", "b", 500, 510)])["d"]["b"] == set(), "long after"


def test_a_retry_follows_the_try_before_it_and_runs_keep_their_times() -> None:

    tries = make_work(1, hours=2)
    Simulation(SimulatedSettings(), tries).run()
    recording = read_lines(write_lines(tries), 0, 1e12)
    work = build_work(recording)
    retries = [place for place, one in enumerate(recording.tries) if one.number == 2]
    assert retries
    for place in retries:
        [before] = work.tries[place].after
        assert recording.tries[before][:4] == recording.tries[place][:4]
        assert work.tries[place].delay == pytest.approx(30, abs=0.01)
    assert {round(run.arrival, 3) for run in {id(one.run): one.run for one in work.tries}.values()} == {
        round(one.run.arrival, 3) for one in tries
    }

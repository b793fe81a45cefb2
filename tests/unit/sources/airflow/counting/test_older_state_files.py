"""State files that earlier releases wrote are read: what they remember is not counted again.

The recording holds some entries of each space, written before the fields of the records got their present names.
"""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from exporter.metrics.saved_entries import decode_all
from exporter.sources.airflow.api.objects.task_instances import TIS_ACTIVE, TaskInstance
from exporter.sources.airflow.counting.by_run import SERIAL_KEY
from exporter.sources.airflow.counting.by_time import SWEEP_CURSOR, TASKS_CURSOR
from exporter.sources.airflow.counting.cursor import CURSOR_SPACE, read_cursor
from exporter.sources.airflow.counting.decision import TaskRecord
from exporter.sources.airflow.counting.records import ACTIVE_SPACE, ENDED_SPACE, task_instance_key
from exporter.sources.airflow.counting.rows import apply_row
from exporter.sources.airflow.readers import runs
from exporter.store.persistence.state_file import StateFile

DATA = Path(__file__).parents[4] / "data" / "counting" / "state-before-renaming.json"
RECORDED: dict[str, dict[str, dict[str, str]]] = json.loads(DATA.read_text())


@pytest.fixture(params=RECORDED)
def state(request: pytest.FixtureRequest) -> StateFile:
    state = StateFile()
    spaces = {
        space: {bytes.fromhex(key): bytes.fromhex(value) for key, value in entries.items()}
        for space, entries in RECORDED[request.param].items()
    }
    state.commit([], spaces)
    return state


def read_records(state: StateFile, space: str) -> dict[bytes, TaskRecord]:
    found = state.recall_all(space)
    records = decode_all(state, space, found, msgspec.msgpack.Decoder(TaskRecord).decode)
    assert len(records) == len(found) > 0, "every entry is decoded"
    return records


def make_row(record: TaskRecord) -> TaskInstance:
    """The row that the record was made from, as far as the record shows it."""
    return TaskInstance(
        dag_id=record.dag_id,
        run_id=record.run_id,
        task_id=record.task_id,
        map_index=record.map_index,
        try_number=record.try_number,
        state=record.state,
        end_date=record.last_terminal[2] if record.last_terminal else None,
        max_tries=record.terminal_max_tries or 0,
    )


@pytest.mark.parametrize("space", [ACTIVE_SPACE, ENDED_SPACE])
def test_records_of_task_instances_are_found_by_their_key(state: StateFile, space: str) -> None:
    for key, record in read_records(state, space).items():
        assert task_instance_key(make_row(record)) == key
        assert (record.state in TIS_ACTIVE) == (space == ACTIVE_SPACE)
        assert record.last_counted_try <= record.try_number


def test_what_has_ended_is_not_counted_again(state: StateFile) -> None:
    for record in read_records(state, ENDED_SPACE).values():
        assert record.last_terminal is not None
        decision = apply_row(make_row(record), record, 0.0)
        assert not decision.needs_tries
        assert not decision.events
        assert apply_row(msgspec.structs.replace(make_row(record), end_date=2e9, max_tries=9), record, 0.0).events


def test_records_are_written_as_they_were_with_newer_fields_at_the_end(state: StateFile) -> None:
    for space in (ACTIVE_SPACE, ENDED_SPACE):
        for key, record in read_records(state, space).items():
            was = msgspec.msgpack.decode(state.recall_all(space)[key])
            written = msgspec.msgpack.decode(msgspec.msgpack.encode(record))
            assert written[: len(was)] == was
            assert written[len(was) :] == [None]


def test_ends_of_runs_are_read(state: StateFile) -> None:
    found = state.recall_all(runs.ENDED_SPACE)
    ends = decode_all(state, runs.ENDED_SPACE, found, msgspec.msgpack.Decoder(runs.RunEnd).decode)
    assert len(ends) == len(found) > 0
    assert all(run_state == "success" and end is not None for run_state, end in ends.values())


def test_cursors_are_read(state: StateFile) -> None:
    written = state.recall_all(CURSOR_SPACE)
    names = {name.decode() for name in written} - {SERIAL_KEY.decode()}
    assert {TASKS_CURSOR, "runs"} <= names <= {TASKS_CURSOR, "runs", SWEEP_CURSOR}
    for name in names:
        cursor = read_cursor(state, name)
        assert cursor is not None
        assert cursor.complete > cursor.begun > 0

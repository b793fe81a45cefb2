"""Entries of the state file that cannot be decoded cost their own content, and no reader."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

import exporter
from exporter.collect.absent_dags import MEMORY_SPACE, Absence, find_removed, load_absences
from exporter.sources.airflow.counting import cursor
from exporter.sources.airflow.counting.cursor import Cursor, read_cursor
from exporter.sources.airflow.readers import history
from exporter.sources.airflow.readers.history import DagHistory, recall_histories
from exporter.store.ledger import Ledger
from exporter.store.persistence.state_file import StateFile

encode = msgspec.msgpack.encode


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFile]:
    with closing(StateFile(tmp_path / "state.db")) as opened:
        yield opened


@pytest.mark.parametrize("damage", [b"\xc1", b"", encode("text"), encode([1, 2, 3, [4]])])
def test_a_history_that_cannot_be_decoded_is_lost_alone(state: StateFile, damage: bytes) -> None:
    known = {b"etl": encode(DagHistory()), b"report": damage, b"\xff": encode(DagHistory())}
    state.commit([], {history.SPACE: known})
    for _ in range(2):
        assert set(recall_histories(state)) == {"etl"}
        assert state.lost_rows == 2
    assert set(state.recall_all(history.SPACE)) == {b"etl"}


@pytest.mark.parametrize("damage", [b"\xc1", encode("text"), encode([1.0])])
def test_a_cursor_that_cannot_be_decoded_is_that_of_a_first_poll(state: StateFile, damage: bytes) -> None:
    state.commit([], {cursor.CURSOR_SPACE: {b"runs": encode(Cursor(1.0, 2.0)), b"tasks": damage}})
    assert read_cursor(state, "tasks") is None
    assert read_cursor(state, "runs") == Cursor(1.0, 2.0)
    assert state.lost_rows == 1


@pytest.mark.parametrize("damage", [b"\xc1", encode("text"), encode([1.0])])
def test_a_missing_dag_whose_absence_cannot_be_decoded_is_missing_since_now(state: StateFile, damage: bytes) -> None:
    state.commit([], {MEMORY_SPACE: {b"gone": damage, b"\xff": damage}, history.SPACE: {b"gone": b"", b"\xff": b""}})
    found = find_removed(frozenset({"etl"}), [history.SPACE], Ledger([]), state, now=100.0)
    assert found.removed == frozenset()
    assert state.lost_rows == 2
    state.commit([], found.memories)
    assert load_absences(state) == {"gone": Absence(0.0, 100.0)}


def test_whatever_recalls_entries_loses_single_ones() -> None:
    package = Path(exporter.__file__).parent
    recalling = {path: path.read_text() for path in package.rglob("*.py") if path.parent.name != "persistence"}
    decoding = [path for path, text in recalling.items() if re.search(r"\.recall(_all)?\(", text) and "msgpack" in text]
    assert len(decoding) >= 10
    assert [path.name for path in decoding if "decode_all(" not in recalling[path]] == []
    assert [path.name for path in decoding if "msgpack.decode(" in recalling[path]] == []

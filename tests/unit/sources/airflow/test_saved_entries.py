"""Entries of the state file that cannot be decoded cost their own content, and no reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from exporter.sources.airflow.counting import cursor
from exporter.sources.airflow.counting.cursor import Cursor, read_cursor
from exporter.sources.airflow.readers import history
from exporter.sources.airflow.readers.history import DagHistory, recall_histories
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


def test_every_decoder_of_what_is_remembered_goes_by_the_one_that_loses_single_entries() -> None:
    folder = Path(cursor.__file__).parent
    readers: Callable[[str], bool] = lambda text: "msgpack.decode(" in text  # noqa: E731
    assert [path.name for path in folder.glob("*.py") if readers(path.read_text())] == []

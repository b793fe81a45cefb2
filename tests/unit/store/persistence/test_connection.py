"""Opening the state file: what is refused, with what to do, and what is left as it is."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from exporter.store.ledger import LedgerRow
from exporter.store.persistence import connection
from exporter.store.persistence.connection import SCHEMA_VERSION
from exporter.store.persistence.state_file import StateFile
from exporter.store.persistence.state_store import StateError

ROW = LedgerRow("airflow_task_tries_total", ("etl", "load"), [3], revealed=True, shape=7)


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LOCK_TIMEOUT", 0.05)


def reopen(state: StateFile) -> StateFile:
    state.close()
    return StateFile(state.path)


@pytest.mark.usefixtures("_impatient")
def test_a_second_process_is_told_at_once_that_the_file_is_in_use(state: StateFile, path: Path) -> None:
    with pytest.raises(StateError, match="another process uses it"):
        StateFile(path)
    state.commit([ROW], {})


@pytest.mark.usefixtures("_impatient")
def test_the_file_is_ours_alone_before_anything_was_written(path: Path) -> None:
    StateFile(path).close()
    with closing(StateFile(path)), pytest.raises(StateError, match="another process uses it"):
        StateFile(path)


def test_a_file_that_is_closed_can_be_opened_again(state: StateFile) -> None:
    for _ in range(3):
        state = reopen(state)
    state.close()


def test_a_file_that_is_no_database_is_left_as_it_is(path: Path) -> None:
    path.write_bytes(b"my diary\n" * 1000)
    with pytest.raises(StateError, match="move it away to start counting from zero"):
        StateFile(path)
    assert path.read_bytes() == b"my diary\n" * 1000


def test_a_file_is_opened_without_a_write_as_its_disk_may_be_full(state: StateFile, path: Path) -> None:
    state.commit([ROW], {})
    killed = path.with_name("killed.db")
    for end in ("", "-wal"):
        shutil.copyfile(f"{path}{end}", f"{killed}{end}")
    log = killed.with_name(f"{killed.name}-wal")
    before = killed.read_bytes(), log.read_bytes()
    with closing(StateFile(killed)) as opened:
        assert list(opened.ledger()) == [ROW]
        assert (killed.read_bytes(), log.read_bytes()) == before


def test_a_file_of_an_earlier_release_gets_what_it_lacks(state: StateFile) -> None:
    state._db.executescript("DROP TABLE live_value; DROP INDEX memory_touched")
    with closing(reopen(state)) as opened:
        assert opened.read_live().rows == []
        assert opened._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'memory_touched'").fetchone()


def test_an_empty_file_is_a_new_one(path: Path) -> None:
    path.touch()
    with closing(StateFile(path)) as state:
        assert list(state.ledger()) == []


def test_a_damaged_file_is_found_out_at_the_start(state: StateFile, path: Path) -> None:
    state.commit([ROW._replace(labels=(str(number), "x" * 100)) for number in range(1000)], {})
    state.close()
    damaged = bytearray(path.read_bytes())
    damaged[8192 : len(damaged) - 8192] = bytes(len(damaged) - 16384)
    path.write_bytes(damaged)
    with pytest.raises(StateError, match="move it away to start counting from zero"):
        StateFile(path)


def test_a_file_of_a_newer_release_is_not_touched(path: Path) -> None:
    StateFile(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = path.read_bytes()
    with pytest.raises(StateError, match=rf"another release \(format {SCHEMA_VERSION + 1}\)"):
        StateFile(path)
    assert path.read_bytes() == before


def test_another_programs_database_is_not_touched(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE task_instance (dag_id TEXT)")
    before = path.read_bytes()
    with pytest.raises(StateError, match="another program's database"):
        StateFile(path)
    assert path.read_bytes() == before
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateError, match=r"missing/state\.db: .*its directory must exist"):
        StateFile(tmp_path / "missing" / "state.db")

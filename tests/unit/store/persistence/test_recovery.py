"""A state file that is deleted, replaced or overwritten while it is in use, and rows that cannot be decoded."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import pytest

from exporter.store.ledger import LedgerRow
from exporter.store.live_rows import LiveChanges
from exporter.store.persistence import recovery, state_file
from exporter.store.persistence.state_file import StateFile
from exporter.store.persistence.state_store import StateError

ROW = LedgerRow("airflow_task_tries_total", ("etl", "load"), [3], revealed=True, shape=7)
MEMORIES = {"cursor": {b"tasks": b"1"}}


@pytest.fixture
def state(state: StateFile) -> StateFile:
    state.commit([ROW], MEMORIES)
    return state


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def check_found_again(state: StateFile, path: Path, cells: list[float]) -> None:
    """What was written is found by a next process, and nothing lies about."""
    state.close()
    with closing(StateFile(path)) as reopened:
        assert [row.cells for row in reopened.ledger()] == [cells]
        assert reopened.recall_all("cursor") == {b"tasks": b"1"}
    assert not path.with_name("state.db.new").exists()


@pytest.mark.parametrize("what", ["file", "log", "both"])
def test_a_deleted_file_is_written_again(
    state: StateFile, path: Path, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    if what != "log":
        path.unlink()
    if what != "file":
        log_of(path).unlink()
    state.commit([ROW._replace(cells=[4])], {})
    assert path.exists()
    assert state.recoveries == 1
    assert state.generation == 0
    assert "was deleted while it was in use, and was restored" in caplog.text
    check_found_again(state, path, [4])


def test_a_deleted_file_is_found_out_though_nothing_has_to_be_written(state: StateFile, path: Path) -> None:
    path.unlink()
    state.verify()
    assert state.recoveries == 1
    check_found_again(state, path, [3])


def test_it_happens_again_and_again(state: StateFile, path: Path) -> None:
    for number in range(1, 4):
        path.unlink()
        state.commit([ROW._replace(cells=[number])], {})
        assert state.recoveries == number
    check_found_again(state, path, [3])


def test_a_file_that_took_its_place_is_kept_beside_it(
    state: StateFile, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = path.with_name("backup")
    with closing(StateFile(other)) as made:
        made.commit([ROW._replace(cells=[1])], {})
    content = other.read_bytes()
    other.replace(path)
    state.commit([ROW._replace(cells=[4])], {})
    (aside,) = path.parent.glob("state.db.replaced-*")
    assert aside.read_bytes() == content
    assert f"the other file is kept as {aside}" in caplog.text
    check_found_again(state, path, [4])


def test_a_file_that_is_no_database_may_take_its_place(state: StateFile, path: Path) -> None:
    path.unlink()
    path.write_text("notes")
    state.verify()
    check_found_again(state, path, [3])


def test_a_file_that_another_process_uses_is_left_to_it(state: StateFile, path: Path) -> None:
    path.unlink()
    log_of(path).unlink()
    script = textwrap.dedent("""
        import sys
        from pathlib import Path
        from exporter.store.persistence.state_file import StateFile
        state = StateFile(Path(sys.argv[1]))
        print("open", flush=True)
        sys.stdin.read()
    """)
    command = [sys.executable, "-c", script, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout
        assert other.stdout.readline() == "open\n"
        for _ in range(2):
            with pytest.raises(StateError, match="another process uses it; each exporter needs a separate file"):
                state.commit([ROW._replace(cells=[4])], {})
        assert not list(path.parent.glob("state.db.replaced-*"))
        other.communicate()
    state.commit([ROW._replace(cells=[4])], {})
    check_found_again(state, path, [4])


@pytest.mark.parametrize("how", ["emptied", "an older copy", "junk"])
def test_a_file_that_was_overwritten_is_written_again_by_those_who_know_it(
    state: StateFile, path: Path, how: str
) -> None:
    size = path.stat().st_size
    if how == "emptied":
        path.write_bytes(b"")
    elif how == "junk":
        path.write_bytes(b"\0" * (size + 4096))
    else:
        older = path.with_name("older")
        with closing(StateFile(older)) as made:
            made.commit([ROW._replace(cells=[1], labels=("x", str(number))) for number in range(2000)], {})
        shutil.copyfile(older, path)
    state.verify()
    assert (state.generation, state.recoveries) == (1, 1)
    state.commit([ROW], MEMORIES)
    state.close()
    with closing(StateFile(path)) as reopened:
        assert ROW in list(reopened.ledger())
        assert reopened.recall_all("cursor") == {b"tasks": b"1"}


def test_a_folder_that_is_gone_is_an_error_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / "state.db"
    state = StateFile(path)
    state.commit([ROW], MEMORIES)
    shutil.rmtree(folder)
    for _ in range(2):
        with pytest.raises(StateError, match="cannot be written"):
            state.commit([ROW._replace(cells=[4])], {})
    folder.mkdir()
    state.commit([ROW._replace(cells=[4])], {})
    check_found_again(state, path, [4])


@pytest.mark.parametrize("step", ["connect", "restore_file"])
@pytest.mark.parametrize("replaced", [True, False])
def test_a_restoration_that_fails_half_way_is_finished_by_the_next_write(
    state: StateFile, path: Path, monkeypatch: pytest.MonkeyPatch, step: str, *, replaced: bool
) -> None:
    path.unlink()
    if replaced:
        path.write_text("notes")
    with monkeypatch.context() as patch:
        patch.setattr(state_file, step, fail_on_a_full_disk)
        for _ in range(2):
            with pytest.raises(StateError, match="the disk is full"):
                state.commit([ROW._replace(cells=[4])], {})
    state.commit([ROW._replace(cells=[4])], {})
    assert state.generation == 0
    assert len(list(path.parent.glob("state.db.replaced-*"))) == replaced
    check_found_again(state, path, [4])


def fail_on_a_full_disk(*_: object) -> None:
    raise StateError("the disk is full")


def test_rows_that_were_lost_are_removed_by_ourselves(
    state: StateFile, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "MTIME_TOLERANCE", 0)
    keys = [b"%d" % number for number in range(20_000)]
    state.commit([], {"large": dict.fromkeys(keys, b"x" * 300)})
    before = path.stat().st_mtime_ns
    state.lose("large", keys)
    assert path.stat().st_mtime_ns != before
    state.verify()
    assert state.recoveries == 0


def test_our_own_writes_are_no_change(state: StateFile) -> None:
    for number in range(300):
        state.commit([ROW._replace(labels=("etl", "x" * number), cells=[number])], {"m": {b"%d" % number: b"x" * 5000}})
        state.write_live(LiveChanges(values=[(number, number, True, 0)]), {})
    assert state.recoveries == 0


# ---- rows that cannot be decoded --------------------------------------------------------------------


@pytest.mark.parametrize(
    "damage", ["cells = X'C1'", "labels = X'C1'", "cells = X'91CB7FF0000000000000'", "cells = 'x'"]
)
def test_a_ledgers_row_that_cannot_be_decoded_is_lost_alone_and_once(
    state: StateFile, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    state.commit([ROW._replace(labels=("etl", "extract"))], {})
    with state._db:
        state._db.execute(f"UPDATE ledger SET {damage} WHERE labels = (SELECT max(labels) FROM ledger)")
    assert [row.labels for row in state.ledger()] == [("etl", "load")]
    assert state.lost_rows == 1
    assert "1 series could not be decoded and were removed" in caplog.text
    assert len(list(state.ledger())) == 1
    assert state.lost_rows == 1


def test_a_memory_that_is_lost_is_forgotten_and_counted(state: StateFile, caplog: pytest.LogCaptureFixture) -> None:
    state.lose("cursor", [b"tasks"])
    assert state.recall_all("cursor") == {}
    assert state.lost_rows == 1
    assert "1 entries of cursor could not be decoded" in caplog.text


def test_an_unreadable_database_is_still_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE other (x)")
    with pytest.raises(StateError, match="another program's database"):
        StateFile(path)

"""The state file: one transaction a cycle, one process a file, and errors that say what to do."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from exporter.store.ledger import LedgerRow
from exporter.store.persistence.state_file import StateFile
from exporter.store.persistence.state_store import StateError

ROW = LedgerRow("airflow_task_tries_total", ("etl", "load"), [3], revealed=True, shape=7)


def reopen(state: StateFile) -> StateFile:
    state.close()
    return StateFile(state.path)


# ---- what is written is found again ---------------------------------------------------------------


def test_rows_are_found_again_after_a_restart(state: StateFile) -> None:
    rows = [
        ROW,
        LedgerRow("airflow_é_seconds", ("a\nb",), [1, 0, 2, 3.25], revealed=False),
        LedgerRow("airflow_polls_total", (), [0], False),
    ]
    state.commit(rows, {})
    with closing(reopen(state)) as reopened:
        assert sorted(reopened.ledger()) == sorted(rows)


def test_integers_stay_integers_and_floats_floats(state: StateFile) -> None:
    state.commit([ROW._replace(cells=[1, 2.0, 2**53, 0.1])], {})
    (row,) = state.ledger()
    assert repr(row.cells) == repr([1, 2.0, 2**53, 0.1])


def test_a_row_replaces_the_one_with_its_labels(state: StateFile) -> None:
    state.commit([ROW], {})
    state.commit([ROW._replace(cells=[4])], {})
    assert [row.cells for row in state.ledger()] == [[4]]


def test_removed_rows_are_gone(state: StateFile) -> None:
    state.commit([ROW, ROW._replace(labels=("etl", "extract"))], {})
    state.commit([], {}, removed=[(ROW.family, ROW.labels)])
    assert [row.labels for row in state.ledger()] == [("etl", "extract")]


def test_a_row_that_was_removed_and_came_back_in_one_cycle_is_there(state: StateFile) -> None:
    state.commit([ROW], {})
    state.commit([ROW._replace(cells=[1])], {}, removed=[(ROW.family, ROW.labels)])
    assert [row.cells for row in state.ledger()] == [[1]]


def test_memories_are_kept_apart_by_space(state: StateFile) -> None:
    state.commit([], {"cursor": {b"tasks": b"1"}, "settled": {b"tasks": b"2", b"runs": b"3"}})
    with closing(reopen(state)) as reopened:
        assert reopened.recall("cursor", [b"tasks", b"runs"]) == {b"tasks": b"1"}
        assert reopened.recall_all("settled") == {b"tasks": b"2", b"runs": b"3"}
        assert reopened.recall_all("unheard of") == {}


def test_none_forgets_a_key(state: StateFile) -> None:
    state.commit([], {"settled": {b"a": b"1", b"b": b"2"}})
    state.commit([], {"settled": {b"a": None, b"never there": None}})
    assert state.recall_all("settled") == {b"b": b"2"}


def test_many_keys_are_recalled_at_once(state: StateFile) -> None:
    known = {b"%d" % number: b"%d" % (number * 2) for number in range(1500)}
    state.commit([], {"settled": known})
    assert state.recall("settled", (b"%d" % number for number in range(3000))) == known


def test_keys_not_written_since_a_moment_are_forgotten_in_that_space_only(state: StateFile) -> None:
    state.commit([], {"settled": {b"old": b"1", b"renewed": b"1"}, "active": {b"old": b"1"}}, moment=100.0)
    state.commit([], {"settled": {b"renewed": b"2", b"new": b"1"}}, moment=200.0)
    state.commit([], {}, moment=300.0, forget={"settled": 200.0})
    assert state.recall_all("settled") == {b"renewed": b"2", b"new": b"1"}
    assert state.recall_all("active") == {b"old": b"1"}


def test_without_a_file_everything_works_until_the_end_of_the_process() -> None:
    with closing(StateFile()) as state, closing(StateFile()) as another:
        state.commit([ROW], {"cursor": {b"tasks": b"1"}})
        assert list(state.ledger()) == [ROW]
        assert list(another.ledger()) == []


# ---- all or nothing -------------------------------------------------------------------------------


def test_a_commit_that_fails_half_way_writes_nothing(state: StateFile) -> None:
    state.commit([ROW], {"cursor": {b"tasks": b"1"}})
    with pytest.raises(StateError, match="this cycle was not counted"):
        state.commit([ROW._replace(cells=[4])], {"cursor": {b"tasks": None}, "settled": {b"x": object()}})  # type: ignore[dict-item]
    assert list(state.ledger()) == [ROW]
    assert state.recall_all("cursor") == {b"tasks": b"1"}
    state.commit([ROW._replace(cells=[4])], {})
    assert [row.cells for row in state.ledger()] == [[4]]


def test_another_threads_commit_does_not_take_half_of_ours_with_it(state: StateFile) -> None:
    other = threading.Thread(target=state.commit, args=([ROW._replace(family="other")], {}))

    class Disturbed(dict[str, dict[bytes, bytes | None]]):
        """Lets another thread commit when our rows are written and our memories are not."""

        def items(self) -> Any:
            other.start()
            other.join(0.2)
            return super().items()

    with pytest.raises(StateError):
        state.commit([ROW], Disturbed(cursor={b"tasks": object()}))  # type: ignore[dict-item]
    other.join()
    assert [row.family for row in state.ledger()] == ["other"]


def test_a_full_disk_costs_the_cycle_only(state: StateFile) -> None:
    state.commit([ROW], {"cursor": {b"tasks": b"1"}})
    pages = state._db.execute("PRAGMA page_count").fetchone()[0]
    state._db.execute(f"PRAGMA max_page_count = {pages}")
    bulk = {"cursor": {b"tasks": b"2"}, "settled": {b"%d" % number: bytes(1000) for number in range(100)}}
    with pytest.raises(StateError, match="free space on its disk; this cycle was not counted"):
        state.commit([ROW._replace(cells=[4])], bulk)
    assert list(state.ledger()) == [ROW]
    assert state.recall_all("cursor") == {b"tasks": b"1"}
    state._db.execute("PRAGMA max_page_count = 1000000")
    state.commit([ROW._replace(cells=[4])], bulk)
    with closing(reopen(state)) as reopened:
        assert [row.cells for row in reopened.ledger()] == [[4]]
        assert reopened.recall_all("cursor") == {b"tasks": b"2"}


COUNTS_FOREVER = """
    from pathlib import Path
    import sys

    from exporter.metrics.family import Family, Kind
    from exporter.store.ledger import Ledger
    from exporter.metrics.reading import Change
    from exporter.store.persistence.state_file import StateFile

    family = Family("airflow_polls_total", Kind.COUNTER, "Polls")
    state, ledger = StateFile(Path(sys.argv[1])), Ledger([family])
    ledger.restore(state.ledger())
    number = int(state.recall("cursor", [b"polls"]).get(b"polls", b"0"))
    while True:
        number += 1
        staged = ledger.stage([Change(family, ())])
        state.commit(ledger.rows(staged), {"cursor": {b"polls": b"%d" % number}})
        ledger.publish(staged)
        print(number, flush=True)
"""


def test_kill_9_never_parts_counters_from_cursor_nor_loses_what_was_published(path: Path) -> None:
    program = textwrap.dedent(COUNTS_FOREVER)
    published = 0
    for lines in (1, 3, 7, 20):
        with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            for _ in range(lines):
                process.stdout.readline()
            process.send_signal(signal.SIGKILL)
            published = max([published, *(int(line) for line in process.stdout.read().split())])
        with closing(StateFile(path)) as state:
            (row,) = state.ledger()
            cursor = int(state.recall("cursor", [b"polls"])[b"polls"])
        assert row.cells == [cursor]
        assert cursor >= published


def test_every_question_to_a_broken_database_is_answered_with_a_state_error(state: StateFile) -> None:
    state._db.executescript("DROP TABLE ledger; DROP TABLE memory")
    for ask in (
        lambda: list(state.ledger()),
        lambda: state.recall("cursor", [b"tasks"]),
        lambda: state.recall_all("cursor"),
        lambda: state.commit([ROW], {}),
    ):
        with pytest.raises(StateError, match=r"state\.db: no such table"):
            ask()

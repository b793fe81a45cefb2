"""The format on disk: a state file of release 0.x is read as it was written, whatever the classes are called now."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec

from exporter.metrics.family import Kind
from exporter.store.ledger import LedgerRow
from exporter.store.live_rows import LiveRow
from exporter.store.persistence.state_file import StateFile

SCRIPT = """
CREATE TABLE ledger (
    family TEXT NOT NULL, labels BLOB NOT NULL, cells BLOB NOT NULL, shown INTEGER NOT NULL, shape INTEGER NOT NULL,
    PRIMARY KEY (family, labels)
) WITHOUT ROWID;
CREATE TABLE memory (
    space TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, touched REAL NOT NULL,
    PRIMARY KEY (space, key)
) WITHOUT ROWID;
CREATE INDEX memory_touched ON memory (space, touched);
CREATE TABLE live_family (id INTEGER PRIMARY KEY, spec BLOB NOT NULL);
CREATE TABLE live_series (id INTEGER PRIMARY KEY, family INTEGER NOT NULL, labels BLOB NOT NULL);
CREATE TABLE live_value (id INTEGER PRIMARY KEY, cells NOT NULL, shown INTEGER NOT NULL, changed INTEGER NOT NULL);
PRAGMA application_id = 0x41464D58;
PRAGMA user_version = 1;
"""
"""The schema as it was released: a change here needs a migration."""
SPEC = ["airflow_task_starts_total", "counter", ["dag_id"], [], True, "Starts", 0.0, [], 600.0, 5]


def write_released_file(path: Path) -> None:
    encode = msgspec.msgpack.encode
    with closing(sqlite3.connect(path)) as db, db:
        db.executescript(SCRIPT)
        db.execute("INSERT INTO ledger VALUES ('tries', ?, ?, 1, 7)", (encode(["etl"]), encode([3])))
        db.execute("INSERT INTO memory VALUES ('cursor', ?, ?, 5.0)", (b"runs", b"42"))
        db.execute("INSERT INTO live_family VALUES (1, ?)", (encode(SPEC),))
        db.execute("INSERT INTO live_series VALUES (2, 1, ?)", (encode(["etl"]),))
        db.execute("INSERT INTO live_value VALUES (2, 4, 1, 1000)")


def test_a_released_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    write_released_file(path)
    with closing(StateFile(path)) as state:
        assert list(state.ledger()) == [LedgerRow("tries", ("etl",), [3], True, 7)]
        assert state.recall("cursor", [b"runs"]) == {b"runs": b"42"}
        live = state.read_live()
        assert live.rows == [LiveRow(2, 1, ("etl",), [4], True, 1000)]
        family = live.families[1]
        assert (family.name, family.kind, family.labels) == (SPEC[0], Kind.COUNTER, ("dag_id",))
        assert live.lost == []

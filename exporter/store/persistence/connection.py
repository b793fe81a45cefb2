"""Opens the state file: only one of this exporter, whole, of this format, and of no other process."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

from exporter.store.persistence import live_file
from exporter.store.persistence.errors import ADVICE
from exporter.store.persistence.state_store import StateError

APPLICATION_ID = 0x41464D58
"""Marks a SQLite file as a state file of this exporter ("AFMX")."""
SCHEMA_VERSION = 1
SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS ledger (
    family TEXT NOT NULL, labels BLOB NOT NULL, cells BLOB NOT NULL, shown INTEGER NOT NULL, shape INTEGER NOT NULL,
    PRIMARY KEY (family, labels)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS memory (
    space TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, touched REAL NOT NULL,
    PRIMARY KEY (space, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS memory_touched ON memory (space, touched);
{live_file.SCHEMA}
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
LOCK_TIMEOUT = 5.0
"""Seconds to wait for another process to close the file: an earlier exporter may still be stopping."""


def connect(path: Path | None) -> sqlite3.Connection:
    """Open the file, or a database in memory, and lock it for this process. Raises StateError or sqlite3.Error."""
    db = sqlite3.connect(path or ":memory:", timeout=LOCK_TIMEOUT, check_same_thread=False)
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        refuse_unfit(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        if not has_schema(db):
            db.executescript(SCHEMA)
    except BaseException:
        db.close()
        raise
    return db


def has_schema(db: sqlite3.Connection) -> bool:
    """Whether there is nothing to create: then nothing is written, and a file on a full disk can be opened."""
    wanted = set(re.findall(r"IF NOT EXISTS (\w+)", SCHEMA))
    found = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    return read_pragma(db, "user_version") == SCHEMA_VERSION and wanted <= found


def refuse_unfit(db: sqlite3.Connection, path: Path | None) -> None:
    """Raises StateError if the database is not a state file that this release can use."""
    problem = find_problem(db)
    if problem:
        raise StateError(f"state file {path}: {problem}")


def find_problem(db: sqlite3.Connection) -> str | None:
    """Why the database cannot be used as state file, or None. The database is not changed."""
    is_empty = not db.execute("SELECT 1 FROM sqlite_master").fetchone()
    application = APPLICATION_ID if is_empty else read_pragma(db, "application_id")
    if origin := find_origin_problem(application, read_pragma(db, "user_version")):
        return origin
    damage = read_pragma(db, "quick_check(1)")
    return None if damage == "ok" else f"it is damaged ({damage}); {ADVICE[sqlite3.SQLITE_CORRUPT]}"


def find_origin_problem(application: object, version: object) -> str | None:
    """Why a database with this application id and user version is no state file of this release, or None."""
    if application != APPLICATION_ID:
        return "it is another program's database; configure a separate file for the exporter"
    if version not in (0, SCHEMA_VERSION):
        return f"it was written by another release (format {version}); run that release, or move the file away"
    return None


def read_pragma(db: sqlite3.Connection, name: str) -> object:
    """The value of a SQLite pragma."""
    value: object = db.execute(f"PRAGMA {name}").fetchone()[0]
    return value

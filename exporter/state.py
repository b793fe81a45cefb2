"""The state file: ledgers, cursors and what readers remember, in one small SQLite database.

Everything a cycle changes is written in one transaction, so that counters and cursors never disagree.
Without a file the same database lives in memory and ends with the process.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from exporter.ledger import Row
from exporter.reading import Memories

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS ledger (
    family TEXT NOT NULL, labels BLOB NOT NULL, cells BLOB NOT NULL, shown INTEGER NOT NULL,
    PRIMARY KEY (family, labels)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS memory (
    space TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, touched REAL NOT NULL,
    PRIMARY KEY (space, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS memory_touched ON memory (space, touched);
"""
BATCH = 500


class StateError(Exception):
    """The state file cannot be used; the message says why and what to do."""


class State:
    """The one place where anything outlives a cycle. One thread at a time uses it."""

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        try:
            self._db = connect(path)
        except sqlite3.Error as error:
            raise StateError(f"state file {path}: {error}; move it away to start counting from zero") from error

    def close(self) -> None:
        """Close the database; a later call on this object is an error."""
        self._db.close()

    def ledger(self) -> Iterator[Row]:
        """Every series that was committed."""
        for family, labels, cells, shown in self._db.execute("SELECT family, labels, cells, shown FROM ledger"):
            decoded = msgspec.msgpack.decode(labels, type=tuple[str, ...])
            yield Row(family, decoded, msgspec.msgpack.decode(cells, type=list[int | float]), bool(shown))

    def recall(self, space: str, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """The remembered values of those keys that are known."""
        wanted = list(keys)
        found: dict[bytes, bytes] = {}
        for start in range(0, len(wanted), BATCH):
            part = wanted[start : start + BATCH]
            marks = ",".join("?" * len(part))
            query = f"SELECT key, value FROM memory WHERE space = ? AND key IN ({marks})"  # noqa: S608 - only marks
            found.update(self._db.execute(query, (space, *part)))
        return found

    def recall_all(self, space: str) -> dict[bytes, bytes]:
        """Everything remembered in a space."""
        return dict(self._db.execute("SELECT key, value FROM memory WHERE space = ?", (space,)))

    def commit(
        self,
        rows: Iterable[Row],
        memories: Memories,
        *,
        moment: float = 0.0,
        forget: Mapping[str, float] | None = None,
        removed: Iterable[tuple[str, tuple[str, ...]]] = (),
    ) -> None:
        """Write one cycle in one transaction.

        `moment` is when it happened, on whichever clock the reader goes by; `forget` says for a space which keys
        go: those last written before that moment. `removed` are ledger series that are gone.
        Raises StateError where nothing was written.
        """
        encode = msgspec.msgpack.encode
        try:
            with self._db:
                self._db.executemany(
                    "INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?)",
                    [(row.family, encode(row.labels), encode(row.cells), row.shown) for row in rows],
                )
                self._db.executemany(
                    "DELETE FROM ledger WHERE family = ? AND labels = ?",
                    [(family, encode(labels)) for family, labels in removed],
                )
                for space, entries in memories.items():
                    self._remember(space, entries, moment)
                self._db.executemany("DELETE FROM memory WHERE space = ? AND touched < ?", (forget or {}).items())
        except sqlite3.Error as error:
            raise StateError(
                f"state file {self.path}: {error}; this cycle was not counted, the next one will try again"
            ) from error

    def _remember(self, space: str, entries: Mapping[bytes, bytes | None], moment: float) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO memory VALUES (?, ?, ?, ?)",
            [(space, key, value, moment) for key, value in entries.items() if value is not None],
        )
        self._db.executemany(
            "DELETE FROM memory WHERE space = ? AND key = ?",
            [(space, key) for key, value in entries.items() if value is None],
        )


def connect(path: Path | None) -> sqlite3.Connection:
    """Open the file (or a database in memory) and make sure that this process alone uses it."""
    db = sqlite3.connect(path or ":memory:", timeout=5, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA locking_mode = EXCLUSIVE")
    found = db.execute("PRAGMA user_version").fetchone()[0]
    if found not in (0, SCHEMA_VERSION):
        raise StateError(f"state file {path} was written by another release (format {found}); move it away")
    with db:
        db.executescript(SCHEMA)
        db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
    return db

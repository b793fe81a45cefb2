"""The state file: ledgers, cursors and what readers remember, in one small SQLite database.

Everything a cycle changes is written in one transaction, so that counters and cursors never disagree.
Without a file the same database lives in memory and ends with the process.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

import msgspec

from exporter.keeping import StateError
from exporter.ledger import Row
from exporter.reading import Memories

APPLICATION = 0x41464D58
"""What marks a SQLite file as ours ("AFMX")."""
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
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
PATIENCE = 5.0
"""Seconds to wait for another process to let go of the file: a predecessor that is still ending."""
BATCH = 500

ADVICE = {
    sqlite3.SQLITE_BUSY: "another process uses it; every exporter needs a file of its own",
    sqlite3.SQLITE_CANTOPEN: "its folder has to exist and to be writable",
    sqlite3.SQLITE_CORRUPT: "move it away to start counting from zero",
    sqlite3.SQLITE_FULL: "make room on its disk",
    sqlite3.SQLITE_IOERR: "look after its disk",
    sqlite3.SQLITE_NOTADB: "move it away to start counting from zero",
    sqlite3.SQLITE_PERM: "it has to be writable",
    sqlite3.SQLITE_READONLY: "it has to be writable",
}


class State:
    """The one place where anything outlives a cycle. Any thread may use it: a cycle waits for another's commit.

    Raises StateError where the file is damaged, in use, not writable, another program's or a newer release's.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._lock = RLock()
        with explained(path):
            self._db = connect(path)

    def close(self) -> None:
        """Close the database; a later call on this object is an error."""
        with self._lock:
            self._db.close()

    def ledger(self) -> Iterator[Row]:
        """Every series that was committed."""
        with self._turn():
            query = "SELECT family, labels, cells, shown, shape FROM ledger"
            for family, labels, cells, shown, shape in self._db.execute(query):
                decoded = msgspec.msgpack.decode(labels, type=tuple[str, ...])
                yield Row(family, decoded, msgspec.msgpack.decode(cells, type=list[int | float]), bool(shown), shape)

    def recall(self, space: str, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """The remembered values of those keys that are known."""
        wanted = list(keys)
        found: dict[bytes, bytes] = {}
        with self._turn():
            for start in range(0, len(wanted), BATCH):
                part = wanted[start : start + BATCH]
                marks = ",".join("?" * len(part))
                query = f"SELECT key, value FROM memory WHERE space = ? AND key IN ({marks})"  # noqa: S608 - only marks
                found.update(self._db.execute(query, (space, *part)))
        return found

    def recall_all(self, space: str) -> dict[bytes, bytes]:
        """Everything remembered in a space."""
        with self._turn():
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

        `moment` is when it was read and `forget` says for a space before which moment a key was last written that
        goes, both on the reader's clock: ours may be set while we run. `removed` are ledger series that are gone;
        one that is in `rows` too was born again. Raises StateError where nothing was written.
        """
        with self._turn("; this cycle was not counted, the next one will try again"), self._db:
            self._remove(removed)
            self._write(rows)
            for space, entries in memories.items():
                self._remember(space, entries, moment)
            for space, limit in (forget or {}).items():
                self._db.execute("DELETE FROM memory WHERE space = ? AND touched < ?", (space, limit))

    @contextmanager
    def _turn(self, effect: str = "") -> Iterator[None]:
        # One connection has one transaction: another thread's rows must not be committed or undone with ours.
        with self._lock, explained(self.path, effect):
            yield

    def _remove(self, removed: Iterable[tuple[str, tuple[str, ...]]]) -> None:
        self._db.executemany(
            "DELETE FROM ledger WHERE family = ? AND labels = ?",
            [(family, msgspec.msgpack.encode(labels)) for family, labels in removed],
        )

    def _write(self, rows: Iterable[Row]) -> None:
        encode = msgspec.msgpack.encode
        self._db.executemany(
            "INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?, ?)",
            [(row.family, encode(row.labels), encode(row.cells), row.shown, row.shape) for row in rows],
        )

    def _remember(self, space: str, entries: Mapping[bytes, bytes | None], moment: float) -> None:
        self._db.executemany(
            "INSERT OR REPLACE INTO memory VALUES (?, ?, ?, ?)",
            [(space, key, value, moment) for key, value in entries.items() if value is not None],
        )
        self._db.executemany(
            "DELETE FROM memory WHERE space = ? AND key = ?",
            [(space, key) for key, value in entries.items() if value is None],
        )


@contextmanager
def explained(path: Path | None, effect: str = "") -> Iterator[None]:
    """Turn what SQLite and the decoder raise into a StateError that says what to do."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        advice = f"; {ADVICE[code]}" if code in ADVICE else ""
        raise StateError(f"state file {path}: {error}{advice}{effect}") from error
    except msgspec.MsgspecError as error:
        raise StateError(f"state file {path}: {error}; {ADVICE[sqlite3.SQLITE_CORRUPT]}") from error


def connect(path: Path | None) -> sqlite3.Connection:
    """Open the file (or a database in memory) and make sure that this process alone uses it."""
    db = sqlite3.connect(path or ":memory:", timeout=PATIENCE, check_same_thread=False)
    try:
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        refuse_unfit(db, path)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.executescript(SCHEMA)
    except BaseException:
        db.close()
        raise
    return db


def refuse_unfit(db: sqlite3.Connection, path: Path | None) -> None:
    problem = find_problem(db)
    if problem:
        raise StateError(f"state file {path}: {problem}")


def find_problem(db: sqlite3.Connection) -> str | None:
    """Say why the database is none to write into, without changing it, or None."""
    application = read_pragma(db, "application_id")
    if application != APPLICATION and db.execute("SELECT 1 FROM sqlite_master").fetchone():
        return "it is another program's database; name a file of the exporter's own"
    version = read_pragma(db, "user_version")
    if version not in (0, SCHEMA_VERSION):
        return f"it was written by another release (format {version}); run that one, or move the file away"
    damage = read_pragma(db, "quick_check(1)")
    return None if damage == "ok" else f"it is damaged ({damage}); {ADVICE[sqlite3.SQLITE_CORRUPT]}"


def read_pragma(db: sqlite3.Connection, name: str) -> object:
    value: object = db.execute(f"PRAGMA {name}").fetchone()[0]
    return value

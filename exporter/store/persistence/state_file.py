"""The state file: ledgers, cursors and what readers remember, in one small SQLite database.

Everything a cycle changes is written in one transaction, so that counters and cursors never disagree.
Without a file the same database lives in memory and ends with the process.
"""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

import msgspec

from exporter.metrics.reading import Memories
from exporter.store.ledger import Row
from exporter.store.live_rows import LiveChanges, LiveContents
from exporter.store.persistence import live_file
from exporter.store.persistence.errors import ADVICE, explained
from exporter.store.persistence.live_file import decode_row
from exporter.store.persistence.recovery import WatchedFile, put_back, save_content, set_aside
from exporter.store.persistence.state_store import StateError

log = logging.getLogger(__name__)

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
{live_file.SCHEMA}
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {SCHEMA_VERSION};
COMMIT;
"""
PATIENCE = 5.0
"""Seconds to wait for another process to let go of the file: a predecessor that is still ending."""
BATCH = 500


class State:
    """The one place where anything outlives a cycle. Any thread may use it: a cycle waits for another's commit.

    Raises StateError where the file is damaged, in use, not writable, another program's or a newer release's.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._lock = RLock()
        self.generation = 0
        """Grows when the file lost what it had: whoever has rows in memory writes all of them again."""
        self.lost_rows = 0
        """How many rows could not be decoded, and were removed."""
        self.recoveries = 0
        """How often the file was deleted, replaced or overwritten, and was put back."""
        self.last_write = 0.0
        """Unix seconds; 0 before the first."""
        with explained(path):
            self._db = connect(path)
        self._watched = WatchedFile(path) if path else None

    def close(self) -> None:
        """Close the database; a later call on this object is an error."""
        with self._lock:
            self._db.close()

    def ledger(self) -> Iterator[Row]:
        """Every series that was committed; rows that cannot be decoded are removed and counted."""
        rows: list[Row] = []
        lost: list[tuple[object, object]] = []
        with self._turn(), self._db:
            query = "SELECT family, labels, cells, shown, shape FROM ledger"
            for family, labels, cells, shown, shape in self._db.execute(query):
                try:
                    rows.append(decode_row(family, labels, cells, shown, shape))
                except (msgspec.MsgspecError, TypeError, ValueError):
                    lost.append((family, labels))
            self._db.executemany("DELETE FROM ledger WHERE family IS ? AND labels IS ?", lost)
        self._report_lost(len(lost), "series", "they start at zero")
        return iter(rows)

    def read_live(self) -> LiveContents:
        """What was kept of live tables; rows that cannot be decoded are removed and counted."""
        with self._turn(), self._db:
            found = live_file.read(self._db)
            live_file.remove(self._db, found.lost)
        self._report_lost(len(found.lost), "series of StatsD", "they start at zero")
        return found

    def write_live(self, changes: LiveChanges, memories: Memories) -> None:
        """Write what changed of live tables in one transaction. Raises StateError where nothing was written."""
        with self._turn("; counters of StatsD go on, but are not kept"), self._writing():
            live_file.write(self._db, changes)
            for space, entries in memories.items():
                self._remember(space, entries, 0.0)

    def lose(self, space: str, keys: Iterable[bytes]) -> None:
        """Remove what was remembered but cannot be decoded, so that it does not fail its reader for ever."""
        wanted = list(keys)
        with self._turn(), self._db:
            self._remember(space, dict.fromkeys(wanted), 0.0)
        self._report_lost(len(wanted), f"entries of {space}", "Airflow is asked again where it can be")

    def verify(self) -> None:
        """Put the file back where it was deleted, replaced or overwritten. Raises StateError where it cannot be."""
        with self._turn():
            self._check()

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
        with self._turn("; this cycle was not counted, the next one will try again"), self._writing():
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

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction, into a file that is the one at our path."""
        self._check()
        with self._db:
            yield
        self.last_write = time.time()
        if self._watched:
            self._watched.note()

    def _check(self) -> None:
        change = self._watched.find_change() if self._watched else ""
        if self._watched and change:
            self._renew(self._watched, change)

    def _renew(self, watched: WatchedFile, change: str) -> None:
        """Write everything that is known into a new file at our path."""
        spare = watched.path.with_name(f"{watched.path.name}.new")
        sound = save_content(self._db, spare)
        aside = set_aside(watched, change)
        self._db.close()
        if sound:
            put_back(watched, spare)
        else:
            spare.unlink(missing_ok=True)
            watched.log.unlink(missing_ok=True)
        self._db = connect(watched.path)
        watched.note()
        self.recoveries += 1
        self.generation += change == "overwritten" or not sound
        kept = f"; the other file is kept as {aside}" if aside else ""
        log.warning(
            "state file %s was %s while it was in use: it was written again%s. Stop the exporter before you touch it",
            watched.path,
            change,
            kept,
        )

    def _report_lost(self, count: int, what: str, effect: str) -> None:
        if count:
            self.lost_rows += count
            log.error(
                "state file %s: %d %s could not be decoded and were removed; %s. "
                "Check its disk; if it comes again, move the file away to start counting from zero",
                self.path,
                count,
                what,
                effect,
            )

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

"""The state file: ledgers, cursors and readers' memories, in one small SQLite database.

All changes of a cycle are one transaction, so counters and cursors always agree. Without a file the database is in
memory and ends with the process.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import RLock

import msgspec

from exporter.metrics.reading import Memories
from exporter.store.ledger import LedgerRow
from exporter.store.live_rows import LiveChanges, LiveContents
from exporter.store.persistence import live_file
from exporter.store.persistence.connection import connect
from exporter.store.persistence.errors import explain_errors
from exporter.store.persistence.live_file import decode_row
from exporter.store.persistence.recovery import WatchedFile, restore_file, save_content, set_aside

log = logging.getLogger(__name__)

KEYS_PER_QUERY = 500


class StateFile:
    """The open state file. Any thread may use it; a commit waits for the commit of another thread.

    Raises StateError if the file is damaged, in use, not writable, or of another program or a newer release.
    """

    def __init__(self, path: Path | None = None) -> None:
        self.path = path
        self._lock = RLock()
        self.generation = 0
        """Grows when the file lost its content: then all rows in memory have to be written again."""
        self.lost_rows = 0
        """The number of rows that were removed because they could not be decoded."""
        self.recoveries = 0
        """How often the file was restored after it was deleted, replaced or overwritten."""
        self.last_write = 0.0
        """The time of the last write, in Unix seconds; 0 before the first."""
        with explain_errors(path):
            self._db = connect(path)
        self._is_open = True
        self._watched = WatchedFile(path) if path else None

    def close(self) -> None:
        """Close the database. No method may be called afterwards."""
        with self._lock:
            self._db.close()

    def ledger(self) -> Iterator[LedgerRow]:
        """All committed series of ledgers; rows that cannot be decoded are removed and counted."""
        rows: list[LedgerRow] = []
        lost: list[tuple[object, object]] = []
        with self._locked(), self._transaction():
            query = "SELECT family, labels, cells, shown, shape FROM ledger"
            for family, labels, cells, revealed, shape in self._db.execute(query):
                try:
                    rows.append(decode_row(family, labels, cells, revealed, shape))
                except (msgspec.MsgspecError, TypeError, ValueError):
                    lost.append((family, labels))
            self._db.executemany("DELETE FROM ledger WHERE family IS ? AND labels IS ?", lost)
        self._report_lost(len(lost), "series", "they start at zero")
        return iter(rows)

    def read_live(self) -> LiveContents:
        """All saved series of live tables; rows that cannot be decoded are removed and counted."""
        with self._locked(), self._transaction():
            found = live_file.read(self._db)
            live_file.remove(self._db, found.lost)
        self._report_lost(len(found.lost), "series of StatsD", "they start at zero")
        return found

    def write_live(self, changes: LiveChanges, memories: Memories) -> None:
        """Write changes of live tables in one transaction. Raises StateError if nothing was written."""
        with self._locked("; counters of StatsD are not saved"), self._writing():
            live_file.write(self._db, changes)
            for space, entries in memories.items():
                self._remember(space, entries, 0.0)

    def lose(self, space: str, keys: Iterable[bytes]) -> None:
        """Remove entries that cannot be decoded, so that they do not fail their reader at each read."""
        wanted = list(keys)
        with self._locked(), self._transaction():
            self._remember(space, dict.fromkeys(wanted), 0.0)
        self._report_lost(len(wanted), f"entries of {space}", "they are read from Airflow again if possible")

    def verify(self) -> None:
        """Restore the file if it was deleted, replaced or overwritten. Raises StateError if that fails."""
        with self._locked():
            self._check()

    def recall(self, space: str, keys: Iterable[bytes]) -> dict[bytes, bytes]:
        """The values of those keys that are known."""
        wanted = list(keys)
        found: dict[bytes, bytes] = {}
        with self._locked():
            for start in range(0, len(wanted), KEYS_PER_QUERY):
                part = wanted[start : start + KEYS_PER_QUERY]
                marks = ",".join("?" * len(part))
                query = f"SELECT key, value FROM memory WHERE space = ? AND key IN ({marks})"  # noqa: S608 - only marks
                found.update(self._db.execute(query, (space, *part)))
        return found

    def recall_all(self, space: str) -> dict[bytes, bytes]:
        """All keys and values of a space."""
        with self._locked():
            return dict(self._db.execute("SELECT key, value FROM memory WHERE space = ?", (space,)))

    def commit(
        self,
        rows: Iterable[LedgerRow],
        memories: Memories,
        *,
        moment: float = 0.0,
        forget: Mapping[str, float] | None = None,
        removed: Iterable[tuple[str, tuple[str, ...]]] = (),
    ) -> None:
        """Write one cycle in one transaction.

        `moment` is the time of the reading. `forget` has a time for each space: keys last written before it are
        deleted. Both are on the reader's clock, because this machine's clock may be changed. `removed` are ledger
        series to delete; one that is also in `rows` was created again. Raises StateError if nothing was written.
        """
        with self._locked("; this cycle was not counted, the next one tries again"), self._writing():
            self._remove(removed)
            self._write(rows)
            for space, entries in memories.items():
                self._remember(space, entries, moment)
            for space, limit in (forget or {}).items():
                self._db.execute("DELETE FROM memory WHERE space = ? AND touched < ?", (space, limit))

    @contextmanager
    def _locked(self, effect: str = "") -> Iterator[None]:
        # All threads share one connection and its transaction, so only one may write at a time.
        with self._lock, explain_errors(self.path, effect):
            yield

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """One transaction that counts as a write."""
        with self._transaction():
            yield
        self.last_write = time.time()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """One transaction, after a check that the open file is the one at our path."""
        self._check()
        with self._db:
            yield
        if self._watched:
            # SQLite may have changed the file, also if only rows were deleted.
            self._watched.note()

    def _check(self) -> None:
        if self._watched is None:
            return
        if change := self._watched.find_change():
            self._restore(self._watched, change)
        if not self._is_open:
            self._db = connect(self._watched.path)
            self._is_open = True
            self._watched.note()

    def _restore(self, watched: WatchedFile, change: str) -> None:
        """Write all content into a new file at our path; another program's file is kept under a new name.

        Where a step fails, the next check goes on with it: the content is in the open database, else in the copy.
        """
        spare = watched.path.with_name(f"{watched.path.name}.new")
        sound = save_content(self._db, spare) if self._is_open else spare.exists()
        aside = set_aside(watched, change)
        self._is_open = False
        self._db.close()
        if sound:
            restore_file(watched, spare)
        else:
            spare.unlink(missing_ok=True)
            watched.log.unlink(missing_ok=True)
        watched.note()
        self.recoveries += 1
        self.generation += change == "overwritten" or not sound
        kept = f"; the other file is kept as {aside}" if aside else ""
        log.warning(
            "state file %s was %s while it was in use, and was restored%s. Stop the exporter before you change it",
            watched.path,
            change,
            kept,
        )

    def _report_lost(self, count: int, what: str, effect: str) -> None:
        if count:
            self.lost_rows += count
            log.error(
                "state file %s: %d %s could not be decoded and were removed; %s. "
                "Check its disk; if this happens again, move the file away to start counting from zero",
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

    def _write(self, rows: Iterable[LedgerRow]) -> None:
        encode = msgspec.msgpack.encode
        self._db.executemany(
            "INSERT OR REPLACE INTO ledger VALUES (?, ?, ?, ?, ?)",
            [(row.family, encode(row.labels), encode(row.cells), row.revealed, row.shape) for row in rows],
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

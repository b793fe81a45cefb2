"""Detects that the state file was deleted, replaced or overwritten while it is in use, and restores it.

In all three cases SQLite reports no error, but what it writes would be lost at the end of the process.
"""

from __future__ import annotations

import fcntl
import shutil
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import NamedTuple

from exporter.store.persistence.state_store import StateError

LOCK_OFFSET = 0x40000000
"""The first byte that SQLite locks."""
LOCK_LENGTH = 512
"""The number of bytes that it locks."""
MTIME_TOLERANCE = 2 * 10**9
"""Nanoseconds by which a file's modification time may change after our last write: network file systems may correct it.
"""
CHANGES = ("deleted", "replaced", "overwritten")
"""The kinds of change that are detected."""


class FileMark(NamedTuple):
    """The identity, size and modification time of a file after our last write."""

    device: int
    inode: int
    size: int
    modified: int

    def is_other_file(self, other: FileMark) -> bool:
        """Whether the path is a different file now, even with equal content."""
        return (self.device, self.inode) != (other.device, other.inode)

    def is_changed(self, other: FileMark) -> bool:
        """Whether another program wrote to the file."""
        return self.size != other.size or abs(self.modified - other.modified) > MTIME_TOLERANCE


class WatchedFile:
    """The database file and its write-ahead log, as they were after our last write."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path.with_name(f"{path.name}-wal")
        self._file: FileMark | None = None
        self._log: FileMark | None = None
        self.note()

    def note(self) -> None:
        """Note the state of the files after a write."""
        self._file, self._log = get_mark(self.path), get_mark(self.log)

    def find_change(self) -> str:
        """What happened to the file after our last write, one of CHANGES; empty if nothing did."""
        file = get_mark(self.path)
        if file is None or self._file is None:
            return "deleted"
        if file.is_other_file(self._file):
            return "replaced"
        if self._log and self.has_other_log(missing=True):
            return "deleted"
        return "overwritten" if file.is_changed(self._file) else ""

    def has_other_log(self, *, missing: bool = False) -> bool:
        """Whether the write-ahead log belongs to another database; returns `missing` if there is no log."""
        log = get_mark(self.log)
        if log is None:
            return missing
        return self._log is None or log.is_other_file(self._log)


def get_mark(path: Path) -> FileMark | None:
    """The mark of a file, None if it does not exist. Raises StateError if the file cannot be inspected."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"state file {path}: {error.strerror}") from error
    return FileMark(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def save_content(db: sqlite3.Connection, spare: Path) -> bool:
    """Copy the open database to another file; False if the database can no longer be read.

    Raises StateError if the other file cannot be written.
    """
    try:
        spare.unlink(missing_ok=True)
        with closing(sqlite3.connect(spare)) as copy:
            copy.execute("CREATE TABLE probe (x)")
            copy.commit()
            return copy_database(db, copy)
    except (OSError, sqlite3.Error) as error:
        raise StateError(f"state file {spare}: cannot be written: {error}") from error


def copy_database(db: sqlite3.Connection, copy: sqlite3.Connection) -> bool:
    """Copy one database into another; False if the source cannot be read or the copy is damaged."""
    try:
        db.backup(copy)
        return bool(copy.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN):
            raise
        return False


def set_aside(watched: WatchedFile, change: str) -> Path | None:
    """Rename or copy another program's file at our path, so that nothing is lost; returns its new name.

    Raises StateError if another process uses the file: two exporters would rename each other's file without end.
    """
    path = watched.path
    if not path.exists():
        return None
    if change == "replaced" and is_used(path):
        raise StateError(f"state file {path}: another process uses it; each exporter needs a separate file")
    aside = path.with_name(f"{path.name}.replaced-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    try:
        if watched.has_other_log():
            watched.log.rename(f"{aside}-wal")
        if change == "replaced":
            path.rename(aside)
        else:
            # The open database is this file, and SQLite writes to it when it is closed.
            shutil.copyfile(path, aside)
    except OSError as error:
        raise StateError(f"state file {path}: cannot be renamed: {error.strerror}") from error
    return aside


def is_used(path: Path) -> bool:
    """Whether another process holds SQLite's lock on the file.

    Do not call it for a database that this process has open: to close the file would release our locks.
    """
    with suppress(OSError), path.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, LOCK_LENGTH, LOCK_OFFSET)
        except OSError:
            return True
    return False


def restore_file(watched: WatchedFile, spare: Path) -> None:
    """Rename the copy to the state file. Raises StateError."""
    try:
        # SQLite would apply an old write-ahead log to the copy.
        watched.log.unlink(missing_ok=True)
        spare.replace(watched.path)
    except OSError as error:
        raise StateError(f"state file {watched.path}: cannot be written again: {error.strerror}") from error

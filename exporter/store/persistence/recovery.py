"""Notices that the state file was deleted, replaced or overwritten while it is in use, and puts it back.

The open database goes on to work in all three cases, into nothing: what it writes is gone with the process.
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

LOCKS = 0x40000000
"""The first byte that SQLite locks, and how many they are."""
LOCKED_BYTES = 512
MTIME_TOLERANCE = 2 * 10**9
"""Nanoseconds by which a file's time of change may differ from what it was after our last write: file systems on the
network may correct it afterwards.
"""
CHANGES = ("deleted", "replaced", "overwritten")
"""What can happen to the file."""


class Mark(NamedTuple):
    """A file as it was after our last write."""

    device: int
    inode: int
    size: int
    modified: int

    def is_other_file(self, other: Mark) -> bool:
        """Whether it is not the same file, whatever it holds."""
        return (self.device, self.inode) != (other.device, other.inode)

    def is_changed(self, other: Mark) -> bool:
        """Whether the same file was written by somebody else."""
        return self.size != other.size or abs(self.modified - other.modified) > MTIME_TOLERANCE


class WatchedFile:
    """The database's file and its write-ahead log, as our last write left them."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path.with_name(f"{path.name}-wal")
        self._file: Mark | None = None
        self._log: Mark | None = None
        self.note()

    def note(self) -> None:
        """We wrote: this is how it has to be found again."""
        self._file, self._log = look(self.path), look(self.log)

    def find_change(self) -> str:
        """What happened to it since, one of CHANGES; empty where nothing did."""
        file = look(self.path)
        if file is None or self._file is None:
            return "deleted"
        if file.is_other_file(self._file):
            return "replaced"
        if self._log and self.has_other_log(missing=True):
            return "deleted"
        return "overwritten" if file.is_changed(self._file) else ""

    def has_other_log(self, *, missing: bool = False) -> bool:
        """Whether the write-ahead log under its name is another database's; `missing` where there is none."""
        log = look(self.log)
        if log is None:
            return missing
        return self._log is None or log.is_other_file(self._log)


def look(path: Path) -> Mark | None:
    """The mark of a file; None where there is none. Raises StateError where that cannot be found out."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StateError(f"state file {path}: {error.strerror}") from error
    return Mark(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def save_content(db: sqlite3.Connection, spare: Path) -> bool:
    """Copy the whole open database to another file; says whether it could still be read.

    Raises StateError where the other file cannot be written.
    """
    try:
        spare.unlink(missing_ok=True)
        with closing(sqlite3.connect(spare)) as copy:
            copy.execute("CREATE TABLE probe (x)")
            copy.commit()
            return copy_sound(db, copy)
    except (OSError, sqlite3.Error) as error:
        raise StateError(f"state file {spare}: cannot be written: {error}") from error


def copy_sound(db: sqlite3.Connection, copy: sqlite3.Connection) -> bool:
    """Copy one database into another; says whether what came is in order."""
    try:
        db.backup(copy)
        return bool(copy.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN):
            raise
        return False


def set_aside(watched: WatchedFile, change: str) -> Path | None:
    """Keep what is at our path and not ours, so that nothing is lost; returns its new name.

    Raises StateError where another process uses it: two exporters would rename each other's file for ever.
    """
    path = watched.path
    if not path.exists():
        return None
    if change == "replaced" and is_used(path):
        raise StateError(f"state file {path}: another process uses it; every exporter needs a file of its own")
    aside = path.with_name(f"{path.name}.replaced-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    try:
        if watched.has_other_log():
            watched.log.rename(f"{aside}-wal")
        if change == "replaced":
            path.rename(aside)
        else:
            # The open database is this file, and is written once more when it is closed.
            shutil.copyfile(path, aside)
    except OSError as error:
        raise StateError(f"state file {path}: cannot be renamed: {error.strerror}") from error
    return aside


def is_used(path: Path) -> bool:
    """Whether another process has the database open, as far as locks show.

    Must not be asked of a file that this process has open as a database: closing it would drop the locks.
    """
    with suppress(OSError), path.open("r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, LOCKED_BYTES, LOCKS)
        except OSError:
            return True
    return False


def put_back(watched: WatchedFile, spare: Path) -> None:
    """Let the copy be the state file. Raises StateError."""
    try:
        # A write-ahead log that stayed behind would be taken for that of the copy.
        watched.log.unlink(missing_ok=True)
        spare.replace(watched.path)
    except OSError as error:
        raise StateError(f"state file {watched.path}: cannot be written again: {error.strerror}") from error

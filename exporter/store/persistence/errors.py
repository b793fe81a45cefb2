"""What SQLite and the decoder say about the state file, with what to do about it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from exporter.store.persistence.state_store import StateError

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

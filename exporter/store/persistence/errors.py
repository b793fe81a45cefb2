"""Errors of SQLite and of the decoder, with advice for the operator."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from exporter.store.persistence.state_store import StateError

ADVICE = {
    sqlite3.SQLITE_BUSY: "another process uses it; each exporter needs a separate file",
    sqlite3.SQLITE_CANTOPEN: "its directory must exist and be writable",
    sqlite3.SQLITE_CORRUPT: "move it away to start counting from zero",
    sqlite3.SQLITE_FULL: "free space on its disk",
    sqlite3.SQLITE_IOERR: "check its disk",
    sqlite3.SQLITE_NOTADB: "move it away to start counting from zero",
    sqlite3.SQLITE_PERM: "it must be writable",
    sqlite3.SQLITE_READONLY: "it must be writable",
}


@contextmanager
def explain_errors(path: Path | None, effect: str = "") -> Iterator[None]:
    """Turn errors of SQLite and of the decoder into a StateError with advice. `effect` says what was not done."""
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        advice = f"; {ADVICE[code]}" if code in ADVICE else ""
        raise StateError(f"state file {path}: {error}{advice}{effect}") from error
    except msgspec.MsgspecError as error:
        raise StateError(f"state file {path}: {error}; {ADVICE[sqlite3.SQLITE_CORRUPT]}") from error

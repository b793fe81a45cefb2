"""What `check` says of the content of the state file. It is not opened as a database: an exporter may be using it."""

from __future__ import annotations

import struct
from pathlib import Path

from exporter.store.persistence.connection import APPLICATION_ID, find_origin_problem

MAGIC = b"SQLite format 3\x00"
HEADER = struct.Struct(">16s44xI4xI")
"""Of the header of an SQLite file: the magic, the user version and the application id."""


def find_state_problem(path: Path) -> str | None:
    """Why `serve` would not start with the content of this file, or None if its header does not show that."""
    try:
        with path.open("rb") as file:
            header = file.read(HEADER.size)
    except FileNotFoundError:
        return None
    except OSError as error:
        return f"{error.strerror}; it must be readable and writable for the exporter"
    return find_header_problem(header) if header else None


def find_header_problem(header: bytes) -> str | None:
    """Why a file that begins so is no state file of this release, or None. What is still in SQLite's log is 0 here."""
    if len(header) < HEADER.size or not header.startswith(MAGIC):
        return "file is not a database; move it away to start counting from zero"
    _, version, application = HEADER.unpack(header)
    return find_origin_problem(application or APPLICATION_ID, version)

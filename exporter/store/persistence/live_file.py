"""Writes the rows of live tables to the state file, and reads them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import TypeGuard

import msgspec

from exporter.metrics.family import Family, Labels
from exporter.metrics.family_spec import FamilySpec
from exporter.store.ledger import MAX_EXACT_INTEGER, LedgerRow
from exporter.store.live_rows import LiveChanges, LiveContents, LiveRow
from exporter.store.store import MAX_VALUE, FamilyTable

SCHEMA = """
CREATE TABLE IF NOT EXISTS live_family (id INTEGER PRIMARY KEY, spec BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS live_series (id INTEGER PRIMARY KEY, family INTEGER NOT NULL, labels BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS live_value (
    id INTEGER PRIMARY KEY, cells NOT NULL, shown INTEGER NOT NULL, changed INTEGER NOT NULL
);
"""
"""Values are in a separate table: a counter's row needs about ten bytes, so a write changes few pages."""
SELECT_SERIES = """
SELECT live_series.id, family, labels, cells, shown, changed
FROM live_series LEFT JOIN live_value ON live_value.id = live_series.id
"""


def describe_family(table: FamilyTable) -> FamilySpec:
    """The family of a table as plain data, with its configured buckets."""
    family: Family = table.family
    return FamilySpec(
        family.name,
        family.kind,
        family.labels,
        tuple(map(float, table.buckets)),
        family.declared,
        family.help,
        family.ttl,
        family.objectives,
        family.max_age,
        family.age_buckets,
    )


def encode_cells(value: float | Sequence[float]) -> object:
    """A counter as a number, several cells as bytes (msgpack)."""
    if isinstance(value, int | float):
        return value if -MAX_EXACT_INTEGER < value < MAX_EXACT_INTEGER else float(value)
    return msgspec.msgpack.encode(
        [cell if -MAX_EXACT_INTEGER < cell < MAX_EXACT_INTEGER else float(cell) for cell in value]
    )


def decode_cells(stored: object, width: int) -> list[float]:
    """The cells that `encode_cells` encoded. Raises ValueError if they are not `width` finite numbers."""
    found: list[object] = msgspec.msgpack.decode(stored, type=list) if isinstance(stored, bytes) else [stored]
    cells = [cell for cell in found if is_finite(cell)]
    if len(found) != width or len(cells) != width:
        raise ValueError("not the cells of this family")
    return cells


def is_finite(cell: object) -> TypeGuard[int | float]:
    """Whether it is a finite number."""
    return isinstance(cell, int | float) and -MAX_VALUE <= cell <= MAX_VALUE


def decode_row(family: object, labels: bytes, cells: bytes, revealed: object, shape: object) -> LedgerRow:
    """A series of a ledger. Raises MsgspecError, TypeError or ValueError if the row is damaged."""
    names = msgspec.msgpack.decode(labels, type=tuple[str, ...])
    values = msgspec.msgpack.decode(cells, type=list[int | float])
    if not (isinstance(family, str) and isinstance(shape, int) and all(map(is_finite, values)) and values):
        raise ValueError("not a series")
    return LedgerRow(family, names, values, bool(revealed), shape)


def read(db: sqlite3.Connection) -> LiveContents:
    """All saved series; families without series are deleted."""
    found = LiveContents()
    db.execute("DELETE FROM live_family WHERE id NOT IN (SELECT family FROM live_series)")
    for number, spec in db.execute("SELECT id, spec FROM live_family"):
        try:
            found.families[number] = msgspec.msgpack.decode(spec, type=FamilySpec)
        except (msgspec.MsgspecError, TypeError):
            # Its series are reported as lost below.
            continue
    for number, family, labels, cells, revealed, changed in db.execute(SELECT_SERIES):
        found.newest = max(found.newest, number)
        try:
            spec = found.families[family]
            found.rows.append(
                LiveRow(number, family, decode_labels(labels, spec), decode_cells(cells, spec.width), revealed, changed)
            )
        except (msgspec.MsgspecError, TypeError, ValueError, KeyError):
            found.lost.append(number)
    found.newest = max((found.newest, *found.families))
    return found


def decode_labels(stored: bytes, spec: FamilySpec) -> Labels:
    """Label values. Raises ValueError, MsgspecError or TypeError if they are damaged or not those of the family."""
    labels = msgspec.msgpack.decode(stored, type=tuple[str, ...])
    if len(labels) != len(spec.labels):
        raise ValueError("not the labels of this family")
    return labels


def write(db: sqlite3.Connection, changes: LiveChanges) -> None:
    """Write changes, in the transaction of the caller."""
    if changes.everything:
        clear(db)
    db.executemany("INSERT OR REPLACE INTO live_family VALUES (?, ?)", changes.families)
    db.executemany("INSERT OR REPLACE INTO live_series VALUES (?, ?, ?)", changes.series)
    db.executemany("INSERT OR REPLACE INTO live_value VALUES (?, ?, ?, ?)", changes.values)
    remove(db, changes.gone)


def remove(db: sqlite3.Connection, gone: Iterable[int]) -> None:
    """Remove series. Families without series need little space and are deleted at the next start."""
    ids = [(number,) for number in gone]
    db.executemany("DELETE FROM live_series WHERE id = ?", ids)
    db.executemany("DELETE FROM live_value WHERE id = ?", ids)


def clear(db: sqlite3.Connection) -> None:
    """Remove everything."""
    for table in ("live_family", "live_series", "live_value"):
        db.execute(f"DELETE FROM {table}")  # noqa: S608 - a fixed name

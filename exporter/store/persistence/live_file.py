"""The rows of live tables in the state file: how they are written, and found again."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import TypeGuard

import msgspec

from exporter.metrics.family import Family, Labels
from exporter.metrics.family_spec import FamilySpec
from exporter.store.ledger import EXACT, LARGEST, Row
from exporter.store.live_rows import LiveChanges, LiveContents, LiveRow
from exporter.store.store import Table

SCHEMA = """
CREATE TABLE IF NOT EXISTS live_family (id INTEGER PRIMARY KEY, spec BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS live_series (id INTEGER PRIMARY KEY, family INTEGER NOT NULL, labels BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS live_value (
    id INTEGER PRIMARY KEY, cells NOT NULL, shown INTEGER NOT NULL, changed INTEGER NOT NULL
);
"""
"""Values have a table of their own: that of a counter takes some ten bytes, so a write touches few pages."""
FIND = """
SELECT live_series.id, family, labels, cells, shown, changed
FROM live_series LEFT JOIN live_value ON live_value.id = live_series.id
"""


def describe_family(table: Table) -> FamilySpec:
    """The family of a table, with the buckets that it really has."""
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
    """A counter as the number that it is, several cells as bytes."""
    if isinstance(value, int | float):
        return value if -EXACT < value < EXACT else float(value)
    return msgspec.msgpack.encode([cell if -EXACT < cell < EXACT else float(cell) for cell in value])


def decode_cells(stored: object, width: int) -> list[float]:
    """The opposite. Raises ValueError where it is not `width` finite numbers."""
    found: list[object] = msgspec.msgpack.decode(stored, type=list) if isinstance(stored, bytes) else [stored]
    cells = [cell for cell in found if is_finite(cell)]
    if len(found) != width or len(cells) != width:
        raise ValueError("not the cells of this family")
    return cells


def is_finite(cell: object) -> TypeGuard[int | float]:
    """Whether it is a finite number."""
    return isinstance(cell, int | float) and -LARGEST <= cell <= LARGEST


def decode_row(family: object, labels: bytes, cells: bytes, shown: object, shape: object) -> Row:
    """A series of a ledger. Raises MsgspecError, TypeError or ValueError where it is none."""
    names = msgspec.msgpack.decode(labels, type=tuple[str, ...])
    values = msgspec.msgpack.decode(cells, type=list[int | float])
    if not (isinstance(family, str) and isinstance(shape, int) and all(map(is_finite, values)) and values):
        raise ValueError("not a series")
    return Row(family, names, values, bool(shown), shape)


def read(db: sqlite3.Connection) -> LiveContents:
    """Everything that is kept; families without a series are left out."""
    found = LiveContents()
    db.execute("DELETE FROM live_family WHERE id NOT IN (SELECT family FROM live_series)")
    for number, spec in db.execute("SELECT id, spec FROM live_family"):
        try:
            found.families[number] = msgspec.msgpack.decode(spec, type=FamilySpec)
        except (msgspec.MsgspecError, TypeError):
            # Its series are lost with it, and reported there.
            continue
    for number, family, labels, cells, shown, changed in db.execute(FIND):
        found.newest = max(found.newest, number)
        try:
            spec = found.families[family]
            found.rows.append(
                LiveRow(number, family, decode_labels(labels, spec), decode_cells(cells, spec.width), shown, changed)
            )
        except (msgspec.MsgspecError, TypeError, ValueError, KeyError):
            found.lost.append(number)
    found.newest = max((found.newest, *found.families))
    return found


def decode_labels(stored: bytes, spec: FamilySpec) -> Labels:
    """Label values. Raises ValueError where their number is not the family's, MsgspecError or TypeError for junk."""
    labels = msgspec.msgpack.decode(stored, type=tuple[str, ...])
    if len(labels) != len(spec.labels):
        raise ValueError("not the labels of this family")
    return labels


def write(db: sqlite3.Connection, changes: LiveChanges) -> None:
    """Write what changed, within the transaction of the caller."""
    if changes.everything:
        clear(db)
    db.executemany("INSERT OR REPLACE INTO live_family VALUES (?, ?)", changes.families)
    db.executemany("INSERT OR REPLACE INTO live_series VALUES (?, ?, ?)", changes.series)
    db.executemany("INSERT OR REPLACE INTO live_value VALUES (?, ?, ?, ?)", changes.values)
    remove(db, changes.gone)


def remove(db: sqlite3.Connection, gone: Iterable[int]) -> None:
    """Remove series; families that have none any more take little room, and go with the next start."""
    ids = [(number,) for number in gone]
    db.executemany("DELETE FROM live_series WHERE id = ?", ids)
    db.executemany("DELETE FROM live_value WHERE id = ?", ids)


def clear(db: sqlite3.Connection) -> None:
    """Remove everything."""
    for table in ("live_family", "live_series", "live_value"):
        db.execute(f"DELETE FROM {table}")  # noqa: S608 - a fixed name

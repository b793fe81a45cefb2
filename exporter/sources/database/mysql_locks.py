"""Who waits for whose locks on MySQL and MariaDB: locks on rows, and on the definitions of tables (metadata locks)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from exporter.sources.database.models import LockWait

METADATA_WAIT = "Waiting for table metadata lock"
"""The state of a session that waits for a lock on the definition of a table."""
STRONG = frozenset({"SHARED_NO_WRITE", "SHARED_NO_READ_WRITE", "EXCLUSIVE"})
WRITES = frozenset({"SHARED_WRITE", "SHARED_WRITE_LOW_PRIO"})
CONFLICTS: Mapping[str, frozenset[str]] = {
    "SHARED_READ": frozenset({"SHARED_NO_READ_WRITE", "EXCLUSIVE"}),
    "SHARED_WRITE": STRONG | {"SHARED_READ_ONLY"},
    "SHARED_WRITE_LOW_PRIO": STRONG | {"SHARED_READ_ONLY"},
    "SHARED_UPGRADABLE": STRONG | {"SHARED_UPGRADABLE"},
    "SHARED_READ_ONLY": WRITES | {"SHARED_NO_READ_WRITE", "EXCLUSIVE"},
    "SHARED_NO_WRITE": STRONG | WRITES | {"SHARED_UPGRADABLE"},
    "SHARED_NO_READ_WRITE": STRONG | WRITES | {"SHARED_READ", "SHARED_UPGRADABLE", "SHARED_READ_ONLY"},
}
"""Types of metadata locks that another session may not hold, by the type that is wanted. EXCLUSIVE excludes all."""


class MetadataLock(NamedTuple):
    """A lock on the definition of a table that a session holds or waits for."""

    session: int
    table: str
    type: str
    is_granted: bool


def list_row_waits(rows: Iterable[Sequence[Any]]) -> Iterator[LockWait]:
    """Yield the sessions that wait for locks on rows, from rows: who waits, who blocks, the time, the table."""
    blockers: defaultdict[int, list[int]] = defaultdict(list)
    found: dict[int, tuple[float | None, str]] = {}
    for waiting, blocking, since, table in rows:
        blockers[waiting].append(blocking)
        found[waiting] = None if since is None else float(since), clean_table(table)
    for waiting, (since, table) in found.items():
        yield LockWait(waiting, tuple(blockers[waiting]), since, table)


def clean_table(name: str | None) -> str:
    """The table of a name such as `airflow`.`dag_run`."""
    return (name or "").replace("`", "").rpartition(".")[2]


def find_holders(locks: Sequence[MetadataLock]) -> dict[int, tuple[tuple[int, ...], str]]:
    """For each waiting session those that hold a conflicting lock, else those that wait before it; and the table."""
    return {one.session: (tuple(list_conflicting(one, locks)), one.table) for one in locks if not one.is_granted}


def list_conflicting(wanted: MetadataLock, locks: Sequence[MetadataLock]) -> Sequence[int]:
    """The sessions whose locks conflict with one that is wanted."""
    others = [
        one
        for one in locks
        if one.table == wanted.table and one.session != wanted.session and conflicts(wanted.type, one.type)
    ]
    return [one.session for one in others if one.is_granted] or [one.session for one in others if one.type in STRONG]


def conflicts(wanted: str, other: str) -> bool:
    """Whether a session waits for another's lock of a type."""
    return wanted == "EXCLUSIVE" or other in CONFLICTS.get(wanted, {"EXCLUSIVE"})


def guess_holders(
    rows: Iterable[tuple[int, int, str]], waiting: Iterable[int]
) -> dict[int, tuple[tuple[int, ...], str]]:
    """As `find_holders`, where locks are known only once they are granted: rows of who waits, who holds, and the table.

    A holder that does not wait itself comes first: it holds up all the others.
    """
    waits = set(waiting)
    holders: defaultdict[int, list[int]] = defaultdict(list)
    tables: dict[int, str] = {}
    for session, holder, table in sorted(rows, key=lambda row: row[1] in waits):
        if tables.setdefault(session, table) == table and holder not in holders[session]:
            holders[session].append(holder)
    return {session: (tuple(found), tables[session]) for session, found in holders.items()}

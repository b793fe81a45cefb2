"""Reading tables one by one, and past those that a session has locked as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from sqlalchemy.exc import DBAPIError

from exporter.sources.database.errors import is_lock_timeout
from exporter.sources.database.models import Run

MAX_WAITS = 4
"""Locked tables that are waited for: each one costs the limit of a lock, so the others are then left out."""

Result = TypeVar("Result")


class LockedError(Exception):
    """A statement was given up because it waited too long for a lock."""


def read_unlocked(
    run: Run, tables: Iterable[str], read: Callable[[str], Result]
) -> tuple[dict[str, Result], list[str]]:
    """What `read` returns for each table, and the tables that are left out because they or too many are locked."""
    found: dict[str, Result] = {}
    skipped: list[str] = []
    for table in tables:
        if len(skipped) >= MAX_WAITS:
            skipped.append(table)
            continue
        try:
            found[table] = read_past_lock(run, read, table)
        except LockedError:
            skipped.append(table)
    return found, skipped


def read_past_lock(run: Run, read: Callable[..., Result], *arguments: object) -> Result:
    """What `read` returns. Raises LockedError if it waits too long for a lock; the transaction goes on."""
    run("SAVEPOINT before_lock")
    try:
        result = read(*arguments)
    except DBAPIError as error:
        if not is_lock_timeout(error):
            raise
        run("ROLLBACK TO SAVEPOINT before_lock")
        raise LockedError from None
    run("RELEASE SAVEPOINT before_lock")
    return result

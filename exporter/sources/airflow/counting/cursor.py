"""The cursor: up to when Airflow's history has been read, and the range of time that the next poll reads.

All times are Unix seconds on Airflow's clock.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from exporter.metrics.reading import Memory
from exporter.metrics.saved_entries import decode_all

log = logging.getLogger(__name__)

OVERLAP = 120.0
"""How many seconds before the cursor a poll starts to read. Airflow commits rows up to seconds after their
`updated_at`, and the clocks of several schedulers differ."""
CATCH_UP_SECONDS = 600.0
"""How much of an outage one poll reads. Shorter outages than twice that are read at once."""
RECORD_RETENTION = 86_400.0
"""For how many seconds the state file keeps what has ended."""

CURSOR_SPACE = "cursor"


class Cursor(NamedTuple):
    """Up to when everything was read (`complete`), and when counting began (`begun`)."""

    complete: float
    begun: float


class CursorRange(NamedTuple):
    """What one poll reads: rows updated from `since` to `until` (None: up to now).

    Task instances and runs of which nothing is remembered are counted if they ended after `count_from`. `first` says
    that there was no cursor, `after` is the cursor once all of it is read.
    """

    since: float
    until: float | None
    count_from: float
    first: bool
    after: Cursor


def next_range(cursor: Cursor | None, now: float, *, sliced: bool = True) -> CursorRange:
    """The range of a poll that starts at `now`. With `sliced` a long outage is read in several polls."""
    if cursor is None:
        return CursorRange(now - OVERLAP, None, now, True, Cursor(now, now))
    complete = min(cursor.complete, now)
    since = complete - OVERLAP
    count_from = max(cursor.begun, since - RECORD_RETENTION)
    until = complete + CATCH_UP_SECONDS if sliced and now - complete > 2 * CATCH_UP_SECONDS else None
    return CursorRange(since, until, count_from, False, Cursor(until or now, cursor.begun))


def begin_cursors(names: Iterable[str], moment: float) -> dict[bytes, bytes | None]:
    """The state file's entries for cursors of polls that are to count from a moment in the past (Unix seconds)."""
    return {name.encode(): msgspec.msgpack.encode(Cursor(moment, moment)) for name in names}


def hold_cursor(span: CursorRange) -> CursorRange:
    """The same range with the cursor left where it was, so that the next poll reads all of it again."""
    return span._replace(after=span.after._replace(complete=span.since + OVERLAP))


def read_cursor(memory: Memory, name: str) -> Cursor | None:
    """The cursor of this name that the last committed poll wrote; None before the first one."""
    found = memory.recall(CURSOR_SPACE, [name.encode()])
    return decode_all(memory, CURSOR_SPACE, found, msgspec.msgpack.Decoder(Cursor).decode).get(name.encode())


def write_cursor(name: str, span: CursorRange) -> dict[bytes, bytes | None]:
    """The state file's entry for the cursor after a poll that read all of its range."""
    return {name.encode(): msgspec.msgpack.encode(span.after)}


def report_beginning(what: str, span: CursorRange) -> None:
    """Log from when on something is counted, after the poll that had no cursor was committed."""
    if span.first:
        since = datetime.fromtimestamp(span.count_from, UTC).isoformat()
        log.info("%s that end from now on are counted", what, extra={"since": since})

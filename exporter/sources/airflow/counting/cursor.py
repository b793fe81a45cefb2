"""From when to when a poll looks for what ended, on Airflow's clock."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from exporter.metrics.reading import Memory
from exporter.sources.airflow.saved_entries import decode_all

OVERLAP = 120.0
"""How far a poll looks back before the last complete one, in seconds: rows are committed up to seconds after
their `updated_at`, and several schedulers' clocks differ."""
SLICE = 600.0
"""How much a poll takes at once after an outage, in seconds."""
RETENTION = 86_400.0
"""How long settled rows are remembered, in seconds."""

SPACE = "cursor"


class Cursor(NamedTuple):
    """Up to when everything was read (`complete`), and when counting began (`begun`); Unix seconds."""

    complete: float
    begun: float


class Window(NamedTuple):
    """What one poll reads: rows touched from `since` to `until` (None: up to now).

    `edge` is before when nothing unknown is counted, `first` whether nothing was ever read.
    """

    since: float
    until: float | None
    edge: float
    first: bool
    after: Cursor


def open_window(cursor: Cursor | None, now: float, *, sliced: bool = True) -> Window:
    """The window of a poll that begins at `now`; after an outage a slice of what was missed, if `sliced`."""
    if cursor is None:
        return Window(now - OVERLAP, None, now, True, Cursor(now, now))
    complete = min(cursor.complete, now)
    since = complete - OVERLAP
    edge = max(cursor.begun, since - RETENTION)
    until = complete + SLICE if sliced and now - complete > 2 * SLICE else None
    return Window(since, until, edge, False, Cursor(until or now, cursor.begun))


def hold(window: Window) -> Window:
    """A window that leaves the cursor where it was, so that the next poll reads all of it again."""
    return window._replace(after=window.after._replace(complete=window.since + OVERLAP))


def read_cursor(memory: Memory, name: str) -> Cursor | None:
    """The cursor that the last committed poll left."""
    found = memory.recall(SPACE, [name.encode()])
    return decode_all(memory, SPACE, found, msgspec.msgpack.Decoder(Cursor).decode).get(name.encode())


def write_cursor(name: str, window: Window) -> dict[bytes, bytes | None]:
    """What to remember of a poll that was complete."""
    return {name.encode(): msgspec.msgpack.encode(window.after)}

"""What ended lately, for the readers that look closer at it: each continues where it stopped."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Generic, NamedTuple, TypeVar

MAX_ENTRIES = 20_000
"""Entries that are kept for readers which have not read them yet."""

Entry = TypeVar("Entry")


class Batch(NamedTuple, Generic[Entry]):
    """What a reader had not read yet."""

    entries: tuple[Entry, ...]
    position: int
    """Where the reader continues."""
    missed: int
    """How many entries were dropped before they were read."""


class EndedLog(Generic[Entry]):
    """The last entries, numbered from 0."""

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._entries: deque[Entry] = deque(maxlen=max_entries)
        self._end = 0

    @property
    def position(self) -> int:
        """Where a reader starts that is to read nothing of what there is now."""
        return self._end

    def extend(self, entries: Iterable[Entry]) -> None:
        """Append what ended."""
        for entry in entries:
            self._entries.append(entry)
            self._end += 1

    def read_from(self, position: int) -> Batch[Entry]:
        """The entries from a position on."""
        first = self._end - len(self._entries)
        start = max(position, first)
        return Batch(tuple(islice(self._entries, start - first, None)), self._end, max(0, first - position))

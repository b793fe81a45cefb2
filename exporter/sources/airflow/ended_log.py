"""What ended lately, for the readers that look closer at it: each continues where it stopped."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from itertools import islice
from typing import Generic, NamedTuple, TypeVar
from weakref import WeakKeyDictionary

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
    """The last entries, numbered from 0. What all its readers have read is dropped."""

    def __init__(self, max_entries: int = MAX_ENTRIES) -> None:
        self._entries: deque[Entry] = deque(maxlen=max_entries)
        self._end = 0
        self._positions: WeakKeyDictionary[object, int] = WeakKeyDictionary()
        """Where each reader read from last."""

    def __len__(self) -> int:
        """How many entries are kept."""
        return len(self._entries)

    @property
    def position(self) -> int:
        """The number of entries so far."""
        return self._end

    def open(self, reader: object) -> int:
        """Where a reader starts that is to read what ends from now on. Nothing of that is dropped before it read it."""
        self._positions[reader] = self._end
        return self._end

    def extend(self, entries: Iterable[Entry]) -> None:
        """Append what ended."""
        for entry in entries:
            self._entries.append(entry)
            self._end += 1
        needed = min(self._positions.values(), default=0)
        while self._entries and self._end - len(self._entries) < needed:
            self._entries.popleft()

    def read_from(self, position: int, reader: object) -> Batch[Entry]:
        """The entries from a position on. Those before it are no longer kept for this reader."""
        self._positions[reader] = position
        first = self._end - len(self._entries)
        start = max(position, first)
        return Batch(tuple(islice(self._entries, start - first, None)), self._end, max(0, first - position))

"""The interface of the state file, and an implementation that keeps nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from exporter.metrics.reading import Memories, Memory
from exporter.store.ledger import LedgerRow
from exporter.store.live_rows import LiveChanges, LiveContents


class StateError(Exception):
    """The state file cannot be used. The message says why, and what to do."""


class StateStore(Memory, Protocol):
    """Keeps what a cycle changes; implemented by `StateFile`, which documents the attributes."""

    generation: int
    lost_rows: int
    recoveries: int
    last_write: float

    def ledger(self) -> Iterator[LedgerRow]:
        """All committed series of ledgers."""

    def commit(
        self,
        rows: Iterable[LedgerRow],
        memories: Memories,
        *,
        moment: float = 0.0,
        forget: Mapping[str, float] | None = None,
        removed: Iterable[tuple[str, tuple[str, ...]]] = (),
    ) -> None:
        """Write one cycle in one transaction. Raises StateError if nothing was written."""

    def read_live(self) -> LiveContents:
        """All saved series of live tables."""

    def write_live(self, changes: LiveChanges, memories: Memories) -> None:
        """Write changes of live tables in one transaction. Raises StateError if nothing was written."""

    def verify(self) -> None:
        """Check that writes go to the file at the configured path. Raises StateError."""

    def close(self) -> None:
        """Close the store; nothing is written afterwards."""


class NullStateStore:
    """Keeps nothing, for an exporter on a worker: its sources need no state, and it must not load SQLite."""

    generation = 0
    lost_rows = 0
    recoveries = 0
    last_write = 0.0

    def ledger(self) -> Iterator[LedgerRow]:
        """There are no saved series."""
        return iter(())

    def recall(self, space: str, keys: Iterable[bytes]) -> dict[bytes, bytes]:  # noqa: ARG002
        """Nothing is remembered."""
        return {}

    def recall_all(self, space: str) -> dict[bytes, bytes]:  # noqa: ARG002
        """Nothing is remembered."""
        return {}

    def commit(
        self,
        rows: Iterable[LedgerRow],
        memories: Memories,
        *,
        moment: float = 0.0,
        forget: Mapping[str, float] | None = None,
        removed: Iterable[tuple[str, tuple[str, ...]]] = (),
    ) -> None:
        """Nothing is written."""

    def read_live(self) -> LiveContents:
        """There are no saved series."""
        return LiveContents()

    def write_live(self, changes: LiveChanges, memories: Memories) -> None:
        """Nothing is written."""

    def lose(self, space: str, keys: Iterable[bytes]) -> None:
        """Nothing is remembered."""

    def verify(self) -> None:
        """There is no file."""

    def close(self) -> None:
        """There is nothing to close."""

"""What keeps counters and memories between cycles: the state file, or nothing where nothing has to be kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from exporter.metrics.reading import Memories, Memory
from exporter.store.ledger import Row
from exporter.store.live_rows import LiveChanges, LiveContents


class StateError(Exception):
    """The state file cannot be used; the message says why and what to do."""


class Keeper(Memory, Protocol):
    """Keeps what a cycle changes; see state.State."""

    generation: int
    lost_rows: int
    recoveries: int
    last_write: float

    def ledger(self) -> Iterator[Row]:
        """Every series that was committed."""

    def commit(
        self,
        rows: Iterable[Row],
        memories: Memories,
        *,
        moment: float = 0.0,
        forget: Mapping[str, float] | None = None,
        removed: Iterable[tuple[str, tuple[str, ...]]] = (),
    ) -> None:
        """Write one cycle in one transaction. Raises StateError where nothing was written."""

    def read_live(self) -> LiveContents:
        """What was kept of live tables."""

    def write_live(self, changes: LiveChanges, memories: Memories) -> None:
        """Write what changed of live tables in one transaction. Raises StateError where nothing was written."""

    def verify(self) -> None:
        """Make sure that what is written is found again. Raises StateError."""

    def close(self) -> None:
        """Keep nothing any more."""


class Nothing:
    """For an exporter whose sources have nothing that outlives it: a worker's need not load a database."""

    generation = 0
    lost_rows = 0
    recoveries = 0
    last_write = 0.0

    def ledger(self) -> Iterator[Row]:
        """Nothing was committed."""
        return iter(())

    def recall(self, space: str, keys: Iterable[bytes]) -> dict[bytes, bytes]:  # noqa: ARG002
        """Nothing is remembered."""
        return {}

    def recall_all(self, space: str) -> dict[bytes, bytes]:  # noqa: ARG002
        """Nothing is remembered."""
        return {}

    def commit(
        self,
        rows: Iterable[Row],
        memories: Memories,
        *,
        moment: float = 0.0,
        forget: Mapping[str, float] | None = None,
        removed: Iterable[tuple[str, tuple[str, ...]]] = (),
    ) -> None:
        """Nothing is written."""

    def read_live(self) -> LiveContents:
        """Nothing was kept."""
        return LiveContents()

    def write_live(self, changes: LiveChanges, memories: Memories) -> None:
        """Nothing is written."""

    def lose(self, space: str, keys: Iterable[bytes]) -> None:
        """Nothing is remembered."""

    def verify(self) -> None:
        """There is no file."""

    def close(self) -> None:
        """There is nothing to close."""

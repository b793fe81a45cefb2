"""What keeps counters and memories between cycles: the state file, or nothing where nothing has to be kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from exporter.ledger import Row
from exporter.reading import Memories, Memory


class StateError(Exception):
    """The state file cannot be used; the message says why and what to do."""


class Keeper(Memory, Protocol):
    """Keeps what a cycle changes; see state.State."""

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

    def close(self) -> None:
        """Keep nothing any more."""


class Nothing:
    """For an exporter whose sources have nothing that outlives it: a worker's need not load a database."""

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

    def close(self) -> None:
        """There is nothing to close."""

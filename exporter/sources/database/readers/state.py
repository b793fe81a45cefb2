"""What the readers of the database share: the connection, and the facts that they hand over to the diagnosis."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from exporter.diagnosis.waits.database import BlockedSessions, DatabaseFacts
from exporter.sources.database.components import ClientComponents, needs_process
from exporter.sources.database.models import Dialect, Run, Session, SessionsReading
from exporter.sources.directory import Directory


class DatabaseApi(Protocol):
    """What the readers need of the connection. Both raise ReaderError."""

    @property
    def dialect(self) -> Dialect:
        """How the database is read."""

    def transaction(self) -> AbstractContextManager[Run]:
        """A read-only transaction."""


class DatabaseState:
    """Facts for the diagnosis, put together from several readers."""

    def __init__(self, directory: Directory, clock: Callable[[], float] = time.time) -> None:
        self._directory = directory
        self._clock = clock
        self._facts = DatabaseFacts(0.0, 0, 0.0)

    def find_clients(self, sessions: Sequence[Session]) -> ClientComponents:
        """The components of those clients that run on this machine, as far as the host source sees them."""
        return self._directory.find_clients({(one.address, one.port) for one in sessions if needs_process(one)})

    def record_sessions(
        self, reading: SessionsReading, components: Mapping[int, str], blocked: Sequence[BlockedSessions]
    ) -> None:
        """Record connections, locks and idle transactions."""
        idle = [(components[one.id], one.idle_at) for one in reading.sessions if one.idle_at is not None]
        self._facts = self._facts._replace(
            now=self._clock(),
            connections=sum(one.is_client for one in reading.sessions),
            limit=reading.limit,
            blocked=blocked,
            oldest_idle=min(idle, key=lambda one: one[1], default=None),
            refuses=False,
        )
        self._directory.record_database(self._facts)

    def record_critical_section(self, seconds: float | None) -> None:
        """Record what a statement of the critical section took on average since the last reading."""
        # Published with the next reading of the sessions, without which it says little.
        self._facts = self._facts._replace(critical_section_seconds=seconds)

    def record_refusal(self) -> None:
        """Record that the database refused a connection, because it has no free one."""
        self._facts = self._facts._replace(now=self._clock(), refuses=True)
        self._directory.record_database(self._facts)

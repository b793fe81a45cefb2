"""Sessions and statements as plain data, and a database that returns them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from exporter.sources.database.models import (
    Right,
    Run,
    ServerIdentity,
    ServerReading,
    Session,
    SessionsReading,
    StatementTotals,
    TablesReading,
)

FIRST_SERVER = ServerIdentity("10.0.0.1 5432", 100.0, 1_000.0)
SESSION = Session(
    id=1,
    application="",
    user="airflow",
    is_own_database=True,
    is_client=True,
    address="",
    port=0,
    state="idle",
    transaction_at=None,
    idle_at=None,
    is_exporter=False,
)


def make_session(**given: Any) -> Session:
    return SESSION._replace(**given)


@dataclass
class FakeDatabase:
    """A database and its dialect in one: what it returns can be changed between two readings."""

    sessions: SessionsReading = field(default_factory=lambda: SessionsReading([], [], 100.0))
    statements: Mapping[str, StatementTotals] | None = None
    texts: Mapping[str, str] = field(default_factory=dict)
    tables: TablesReading = field(default_factory=lambda: TablesReading({}, {}))
    cleanable: Mapping[str, float] = field(default_factory=dict)
    locked: Sequence[str] = ()
    identity: ServerIdentity = FIRST_SERVER
    asked: list[Any] = field(default_factory=list)
    product = "postgresql"

    @property
    def dialect(self) -> FakeDatabase:
        return self

    @contextmanager
    def transaction(self) -> Iterator[Run]:
        yield lambda _sql, **_parameters: [[1]]

    def list_limits(self, _timeout: float) -> Sequence[str]:
        return ()

    def read_sessions(self, _run: Run) -> SessionsReading:
        return self.sessions

    def read_server(self, _run: Run) -> ServerReading:
        return ServerReading("15.1", {})

    def read_tables(self, _run: Run) -> TablesReading:
        return self.tables

    def read_cleanable(self, _run: Run, before: float) -> tuple[Mapping[str, float], Sequence[str]]:
        self.asked.append(before)
        return self.cleanable, self.locked

    def read_identity(self, _run: Run) -> ServerIdentity:
        return self.identity

    def read_statements(self, _run: Run) -> Mapping[str, StatementTotals] | None:
        return self.statements

    def read_texts(self, _run: Run, statements: Collection[str]) -> Mapping[str, str]:
        self.asked.append(set(statements))
        return {one: self.texts[one] for one in statements if one in self.texts}

    def check_rights(self, _run: Run) -> Sequence[Right]:
        return ()

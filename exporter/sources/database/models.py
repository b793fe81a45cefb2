"""What a dialect reads from a database, in terms that all databases share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from exporter.metrics.family import Family

Run = Callable[..., Sequence[Sequence[Any]]]
"""Runs a statement with its parameters by name, and returns its rows."""


class Session(NamedTuple):
    """One session of the database server. Times are Unix seconds."""

    id: int
    application: str
    """How the client names itself; empty if it does not."""
    user: str
    is_own_database: bool
    """Whether it uses Airflow's database, and not another one of the server."""
    is_client: bool
    """Whether it counts against the limit of connections; False for processes of the server itself."""
    address: str
    """The client's address; empty if it is not known, or the client is connected by a Unix socket."""
    port: int
    state: str
    """One of `database_names.STATES`."""
    transaction_at: float | None
    """When its open transaction began; None if it has none."""
    idle_at: float | None
    """When it became idle in its transaction; None if it is not."""
    is_exporter: bool
    """Whether it is the session that reads this."""


class LockWait(NamedTuple):
    """A session that waits for a lock."""

    session: int
    blockers: tuple[int, ...]
    """The sessions that hold the lock, or wait for it before this one."""
    since: float | None
    table: str
    """Empty if it is not known."""


class SessionsReading(NamedTuple):
    """All sessions at one moment."""

    sessions: Sequence[Session]
    waits: Sequence[LockWait]
    limit: float


class ServerReading(NamedTuple):
    """The server and its counters; what is None is not known."""

    version: str
    values: Mapping[Family, float | None]


class TablesReading(NamedTuple):
    """Airflow's tables."""

    values: Mapping[Family, Mapping[str, float | None]]
    """By table."""
    indices: Mapping[str, Collection[tuple[str, ...]]]
    """The columns of each valid index that covers all rows, by table."""
    locked: Sequence[str] = ()
    """Tables whose size could not be read because they are locked."""
    unused: Sequence[str] = ()
    """Tables whose size the server does not know, because nothing has used them since it started (MySQL)."""


class ServerIdentity(NamedTuple):
    """Which server answers: after a failover it is another one, with its own statistics."""

    name: str
    """What other servers of the database do not have: an address, or a name."""
    started_at: float | None = None
    """When it started, in Unix seconds on its clock; None where the name suffices."""
    now: float = 0.0
    """Its clock."""
    uptime: float | None = None
    """Seconds since its statistics of statements began again, with its start (MySQL); None where they outlive it."""


def is_same_server(last: ServerIdentity, found: ServerIdentity) -> bool:
    """Whether two readings come from one server, which may have been restarted between them.

    A server that started before the last reading, when another one answered, is another one: both may have one address
    if it moves with the primary server. One with another address that started since then is assumed to be another one.
    """
    if last.started_at is None or found.started_at is None:
        return last.name == found.name
    if last.started_at == found.started_at:
        return True
    return last.name == found.name and found.started_at > last.now


class StatementTotals(NamedTuple):
    """What the executions of one statement add up to."""

    calls: float
    seconds: float
    rows: float


def add(one: StatementTotals, other: StatementTotals) -> StatementTotals:
    """The sum."""
    return StatementTotals(one.calls + other.calls, one.seconds + other.seconds, one.rows + other.rows)


def subtract(totals: StatementTotals, last: StatementTotals) -> StatementTotals:
    """What was added since the last reading; everything if the statistics were reset in between."""
    if totals.calls < last.calls:
        return totals
    return StatementTotals(
        totals.calls - last.calls, max(0.0, totals.seconds - last.seconds), max(0.0, totals.rows - last.rows)
    )


class Right(NamedTuple):
    """Something that the user of the exporter should be able to read."""

    name: str
    missing: str
    """What to do about it; empty if it is granted."""
    is_needed: bool = False
    """Whether most readings lack something without it; else only some are left out."""


class Dialect(Protocol):
    """How one kind of database is read. Every method may raise what the driver raises."""

    product: str

    def list_limits(self, timeout: float) -> Sequence[str]:
        """The statements that limit the statements of the transaction that begins; `timeout` in seconds."""

    def read_sessions(self, run: Run) -> SessionsReading:
        """The sessions."""

    def read_server(self, run: Run) -> ServerReading:
        """The server."""

    def read_tables(self, run: Run) -> TablesReading:
        """Airflow's tables."""

    def read_cleanable(self, run: Run, before: float) -> tuple[Mapping[str, float], Sequence[str]]:
        """How many rows of each table are older than a time in Unix seconds, as the planner estimates; and the tables
        that are left out because they are locked."""

    def read_identity(self, run: Run) -> ServerIdentity:
        """Which server answers."""

    def read_statements(self, run: Run) -> Mapping[str, StatementTotals] | None:
        """The totals of each statement since its statistics began, by an id; None where they are not collected."""

    def read_texts(self, run: Run, statements: Collection[str]) -> Mapping[str, str]:
        """The texts of statements."""

    def check_rights(self, run: Run) -> Sequence[Right]:
        """What the user may read, and may not."""

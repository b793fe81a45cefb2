"""How PostgreSQL is read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from exporter.metrics.catalogue import database
from exporter.metrics.catalogue.database_names import TABLES
from exporter.sources.database import postgresql_sql as sql
from exporter.sources.database.cleaning import RECENCY_COLUMNS
from exporter.sources.database.locked_tables import LockedError, read_past_lock, read_unlocked
from exporter.sources.database.models import (
    LockWait,
    Right,
    Run,
    ServerIdentity,
    ServerReading,
    Session,
    SessionsReading,
    StatementTotals,
    TablesReading,
)

WAITSTART_VERSION = 14
"""The first release that knows when a session began to wait for a lock."""
STATES = {
    "active": "active",
    "fastpath function call": "active",
    "idle": "idle",
    "idle in transaction": "idle_in_transaction",
    "idle in transaction (aborted)": "idle_in_transaction",
}
LOCK_TIMEOUT = 0.5
"""Seconds that a statement may wait for a lock, and half of its own time at most: nothing queues behind it for long."""
SERVER_FAMILIES = (
    database.SERVER_START,
    database.SIZE,
    database.COMMITS,
    database.ROLLBACKS,
    database.DEADLOCKS,
    database.CACHE_HITS,
    database.CACHE_MISSES,
    database.TEMPORARY_BYTES,
    database.TEMPORARY_FILES,
    database.REPLICAS,
    database.REPLICATION_DELAY,
    database.REPLICATION_BYTES,
)
"""In the order of the columns of SERVER (after the version) and REPLICATION."""
SIZE_FAMILIES = (database.TABLE_BYTES, database.INDEX_BYTES)
"""In the order of the columns of SIZES, after the name."""
TABLE_FAMILIES = (
    database.LIVE_ROWS,
    database.DEAD_ROWS,
    database.LAST_VACUUM,
    database.LAST_ANALYZE,
    database.SEQUENTIAL_SCANS,
    database.SEQUENTIAL_ROWS,
)
"""In the order of the columns of TABLES, after the name."""


class PostgreSql:
    """PostgreSQL 13 and later, also behind PgBouncer: nothing outlives a transaction."""

    product = "postgresql"

    def __init__(self, version: Sequence[int | str] | None) -> None:
        has_waitstart = version is not None and int(version[0]) >= WAITSTART_VERSION
        self._waits = sql.WAITS.format(waitstart="waitstart" if has_waitstart else "NULL::timestamptz")

    def list_limits(self, timeout: float) -> Sequence[str]:
        """One statement with the limits of the transaction."""
        milliseconds = max(1, round(timeout * 1000))
        locks = max(1, round(min(LOCK_TIMEOUT, timeout / 2) * 1000))
        limits = f"SET LOCAL statement_timeout = {milliseconds}; SET LOCAL lock_timeout = {locks}"
        return (f"SET TRANSACTION READ ONLY; {limits}",)

    def read_sessions(self, run: Run) -> SessionsReading:
        """The sessions."""
        sessions = [
            Session._make([*identity, STATES.get(state, "other"), to_float(begun), to_float(idle), is_exporter])
            for *identity, state, begun, idle, is_exporter in run(sql.SESSIONS)
        ]
        waits = [
            LockWait(pid, tuple(blockers), to_float(since), table or "")
            for pid, blockers, since, table in run(self._waits)
        ]
        return SessionsReading(sessions, waits, float(run(sql.LIMIT)[0][0]))

    def read_server(self, run: Run) -> ServerReading:
        """The server."""
        version, *values = run(sql.SERVER)[0]
        numbers = map(to_float, (*values, *run(sql.REPLICATION)[0]))
        return ServerReading(version.partition(" ")[0], dict(zip(SERVER_FAMILIES, numbers, strict=True)))

    def read_tables(self, run: Run) -> TablesReading:
        """Airflow's tables."""
        schema = find_schema(run)
        where = {"schema": schema, "tables": list(TABLES)}
        rows = run(sql.TABLES, **where)
        values = {
            family: {row[0]: to_float(row[place]) for row in rows} for place, family in enumerate(TABLE_FAMILIES, 1)
        }
        indices: dict[str, list[tuple[str, ...]]] = {row[0]: [] for row in rows}
        for table, columns in run(sql.INDICES, **where):
            indices.setdefault(table, []).append(tuple(columns))
        sizes, locked = read_sizes(run, schema, [row[0] for row in rows])
        for place, family in enumerate(SIZE_FAMILIES):
            values[family] = {table: to_float(found[place]) for table, found in sizes.items()}
        return TablesReading(values, indices, locked)

    def read_cleanable(self, run: Run, before: float) -> tuple[Mapping[str, float], Sequence[str]]:
        """How many rows are older, as the planner estimates, and the tables that are locked."""
        schema = find_schema(run)
        columns = sorted(set(RECENCY_COLUMNS.values()))
        known = run(sql.ESTIMABLE, schema=schema, tables=list(RECENCY_COLUMNS), columns=columns)
        moment = datetime.fromtimestamp(before, UTC).isoformat()
        tables = [table for table, column in known if RECENCY_COLUMNS[table] == column]
        return read_unlocked(run, tables, lambda table: explain(run, schema, table, RECENCY_COLUMNS[table], moment))

    def read_identity(self, run: Run) -> ServerIdentity:
        """The server by its address and when it started: replicas are copies, with the same identifiers."""
        name, started_at, now = run(sql.IDENTITY)[0]
        return ServerIdentity(str(name), float(started_at), float(now))

    def read_statements(self, run: Run) -> Mapping[str, StatementTotals] | None:
        """The totals by query id."""
        schema = find_extension(run)
        if not schema:
            return None
        rows = run(sql.STATEMENTS.format(schema=schema))
        return {statement: StatementTotals(*map(float, totals)) for statement, *totals in rows}

    def read_texts(self, run: Run, statements: Collection[str]) -> Mapping[str, str]:
        """The texts of statements."""
        ids = [int(one) for one in statements]
        return {row[0]: row[1] or "" for row in run(sql.TEXTS.format(schema=find_extension(run)), statements=ids)}

    def check_rights(self, run: Run) -> Sequence[Right]:
        """What the user may read, and may not."""
        return list(list_rights(run))


def list_rights(run: Run) -> Iterator[Right]:
    """Yield each right with what to do about it."""
    may_read_statistics, is_replica, is_superuser = run(sql.RIGHTS)[0]
    grant = (
        "" if may_read_statistics else "GRANT pg_monitor TO the exporter's user: sessions of others are not readable"
    )
    yield Right("pg_monitor", grant, is_needed=True)
    if is_superuser:
        yield Right("least rights", "the user is a superuser; create one that has pg_monitor only")
    if is_replica:
        yield Right("primary server", "this is a replica: it shows neither locks nor connections of Airflow")
    schema = find_schema(run)
    yield Right(
        "Airflow's tables", "" if schema else "no table dag_run: this database is not Airflow's", is_needed=True
    )
    create = "CREATE EXTENSION pg_stat_statements in this database (docs/database.md): statements are not known"
    yield Right("pg_stat_statements", "" if find_extension(run) else create)
    select = "GRANT SELECT (dttm) ON log and other columns (docs/database.md): no estimate of what db clean removes"
    yield Right("columns with times", "" if may_read_column(run, schema, "log", "dttm") else select)


def may_read_column(run: Run, schema: str, table: str, column: str) -> bool:
    """Whether the user may read a column; False if there is none."""
    rows = run(sql.MAY_READ, schema=schema, table=table, column=column)
    return bool(rows and rows[0][0])


def read_sizes(run: Run, schema: str, tables: Sequence[str]) -> tuple[dict[str, Sequence[Any]], list[str]]:
    """The sizes of tables and their indices, and the tables that are locked: to look at a size takes a lock."""

    def read_some(*some: str) -> dict[str, Sequence[Any]]:
        return {name: sizes for name, *sizes in run(sql.SIZES, schema=schema, tables=list(some))}

    try:
        return read_past_lock(run, read_some, *tables), []
    except LockedError:
        found, locked = read_unlocked(run, tables, read_some)
        return {name: sizes for one in found.values() for name, sizes in one.items()}, locked


def find_schema(run: Run) -> str:
    """The schema of Airflow's tables; empty if there are none."""
    rows = run(sql.SCHEMA)
    return str(rows[0][0]) if rows else ""


def find_extension(run: Run) -> str:
    """The schema of pg_stat_statements, quoted; empty if it is not installed."""
    rows = run(sql.EXTENSION)
    return str(rows[0][0]) if rows else ""


def explain(run: Run, schema: str, table: str, column: str, before: str) -> float:
    """The planner's estimate of the rows that are older."""
    quoted = f"{quote(schema)}.{quote(table)}"
    plan = run(sql.EXPLAIN.format(table=quoted, column=quote(column), before=before.replace(":", r"\:")))[0][0]
    return float(plan[0]["Plan"]["Plan Rows"])


def quote(name: str) -> str:
    """A name as an identifier."""
    return '"' + name.replace('"', '""').replace(":", r"\:") + '"'


def to_float(value: Any) -> float | None:  # noqa: ANN401
    """A number of any type that the driver returns."""
    return None if value is None else float(value)

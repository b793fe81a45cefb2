"""How MySQL and MariaDB are read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy.exc import DBAPIError

from exporter.metrics.catalogue import database
from exporter.metrics.catalogue.database_names import TABLES
from exporter.sources.database import mysql_sql as sql
from exporter.sources.database.cleaning import RECENCY_COLUMNS
from exporter.sources.database.errors import find_reason
from exporter.sources.database.locked_tables import read_unlocked
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
from exporter.sources.database.mysql_locks import (
    METADATA_WAIT,
    MetadataLock,
    find_holders,
    guess_holders,
    list_row_waits,
)
from exporter.sources.database.mysql_tables import is_known, list_indices, list_tables

SERVER_COMMANDS = frozenset({"Daemon", "Binlog Dump", "Binlog Dump GTID", "Slave_IO", "Slave_SQL", "Slave_worker"})
"""Commands of threads that are not a client's connection."""
MAX_TEXTS = 500
"""Texts of statements that are read at once."""

MISSING_PROCESS = "GRANT PROCESS ON *.* TO the exporter's user: sessions of others are not readable"
MISSING_COLUMNS = (
    "GRANT SELECT (dttm) ON log and other columns (docs/database.md): no estimate of what db clean removes"
)


MISSING_SCHEMA = (
    "GRANT SELECT ON performance_schema.* TO the exporter's user: statements, names of clients, locks are not known"
)
SCHEMA_OFF = "performance_schema is off: statements, names of clients and reads without an index are not known"
UNKNOWN_HOLDERS = "who holds a lock on the definition of a table is not known"
MISSING_INSTRUMENT = f"enable wait/lock/metadata/sql/mdl in performance_schema.setup_instruments: {UNKNOWN_HOLDERS}"
MISSING_PLUGIN = f"INSTALL SONAME 'metadata_lock_info': {UNKNOWN_HOLDERS}"

Holders = Mapping[int, tuple[tuple[int, ...], str]]
"""For sessions that wait for a metadata lock: those that hold it, and the table."""


class ServerSettings(NamedTuple):
    """Settings of the server."""

    max_connections: int
    has_performance_schema: bool
    """Whether it is on, and the user may read it."""
    version: str


class MySql:
    """MySQL 8 and later."""

    product = "mysql"
    _views: Mapping[str, str] = {
        "tablestats": "innodb_tablestats",
        "tables": "innodb_tables",
        "indexes": "innodb_indexes",
        "fields": "innodb_fields",
    }
    """The names of InnoDB's views."""

    def list_limits(self, timeout: float) -> Sequence[str]:
        """Statements for the session; they hold for what is read."""
        return (
            "SET SESSION TRANSACTION READ ONLY",
            # InnoDB writes when transactions and waits began in the time zone of the machine, whatever the server's is.
            "SET SESSION time_zone = 'SYSTEM'",
            f"SET SESSION {self._limit_statements(timeout)}",
            "SET SESSION lock_wait_timeout = 1",
        )

    def _limit_statements(self, timeout: float) -> str:
        return f"max_execution_time = {max(1, round(timeout * 1000))}"

    def read_sessions(self, run: Run) -> SessionsReading:
        """The sessions."""
        settings = read_settings(run)
        with_names = settings.has_performance_schema
        statement = sql.SESSIONS.format(
            program=sql.PROGRAM if with_names else "''", attributes=sql.ATTRIBUTES if with_names else ""
        )
        rows = run(statement)
        waits = [*list_row_waits(self._read_waits(run, settings)), *self._list_metadata_waits(run, rows, settings)]
        return SessionsReading([build_session(row) for row in rows], waits, float(settings.max_connections))

    def _read_waits(self, run: Run, settings: ServerSettings) -> Sequence[Sequence[Any]]:
        return run(sql.MYSQL_WAITS) if settings.has_performance_schema else ()

    def _list_metadata_waits(
        self, run: Run, rows: Sequence[Sequence[Any]], settings: ServerSettings
    ) -> Iterator[LockWait]:
        """Yield the sessions that wait for a lock on the definition of a table."""
        since = {int(row[0]): float(row[9]) - float(row[6] or 0) for row in rows if row[7] == METADATA_WAIT}
        holders = self._find_holders(run, since.keys(), settings) if since else {}
        for session, moment in since.items():
            blockers, table = holders.get(session, ((), ""))
            yield LockWait(session, blockers, moment, table)

    def _find_holders(self, run: Run, _: Collection[int], settings: ServerSettings) -> Holders:
        if not settings.has_performance_schema:
            return {}
        return find_holders(
            [MetadataLock(int(row[0]), row[1], row[2], row[3] == "GRANTED") for row in run(sql.METADATA_LOCKS)]
        )

    def read_server(self, run: Run) -> ServerReading:
        """The server."""
        status = {name.lower(): float(value) for name, value in run(sql.STATUS)}
        now = float(run(sql.NOW)[0][0])
        deadlocks = status.get("innodb_deadlocks")
        if deadlocks is None:
            rows = run(sql.DEADLOCKS)
            deadlocks = float(rows[0][0]) if rows else None
        misses = status["innodb_buffer_pool_reads"]
        tables = list(filter(is_known, list_tables(run, self._views)))
        values = {
            database.SERVER_START: now - status["uptime"],
            database.SIZE: sum(row[1] + row[2] for row in tables) if tables else None,
            database.COMMITS: status["com_commit"],
            database.ROLLBACKS: status["com_rollback"],
            database.DEADLOCKS: deadlocks,
            database.CACHE_HITS: max(0.0, status["innodb_buffer_pool_read_requests"] - misses),
            database.CACHE_MISSES: misses,
            database.TEMPORARY_FILES: status["created_tmp_disk_tables"],
            database.REPLICAS: float(run(sql.REPLICAS)[0][0]),
        }
        return ServerReading(read_settings(run).version.partition("-")[0], values)

    def read_tables(self, run: Run) -> TablesReading:
        """Airflow's tables."""
        rows = [row for row in list_tables(run, self._views) if row[0] in TABLES]
        known = list(filter(is_known, rows))
        values: dict[Any, dict[str, float | None]] = {
            database.TABLE_BYTES: {row[0]: row[1] for row in known},
            database.INDEX_BYTES: {row[0]: row[2] for row in known},
            database.LIVE_ROWS: {row[0]: row[3] for row in known},
        }
        if read_settings(run).has_performance_schema:
            values[database.SEQUENTIAL_ROWS] = {name: float(n) for name, n in run(sql.SEQUENTIAL) if name in TABLES}
        unused = [row[0] for row in rows if not is_known(row)]
        return TablesReading(values, list_indices(run, self._views), unused=unused)

    def read_cleanable(self, run: Run, before: float) -> tuple[Mapping[str, float], Sequence[str]]:
        """How many rows are older, as the optimizer estimates, and the tables that are locked."""
        moment = datetime.fromtimestamp(before, UTC).strftime("%Y-%m-%d %H\\:%M\\:%S")
        known = [row for row in run(sql.READABLE) if RECENCY_COLUMNS.get(row[0]) == row[1]]
        columns: dict[str, str] = {row[0]: row[1] for row in known}
        estimates, locked = read_unlocked(run, columns, lambda table: explain(run, table, columns[table], moment))
        return {table: rows for table, rows in estimates.items() if rows is not None}, locked

    def read_identity(self, run: Run) -> ServerIdentity:
        """The server by its host, port and ids. MariaDB has no `server_uuid`."""
        name = " ".join(sorted(f"{name.lower()}={value}" for name, value in run(sql.IDENTITY)))
        return ServerIdentity(name, uptime=next((float(value) for _, value in run(sql.UPTIME)), None))

    def read_statements(self, run: Run) -> Mapping[str, StatementTotals] | None:
        """The totals by digest."""
        if not read_settings(run).has_performance_schema:
            return None
        return {row[0]: StatementTotals(*map(float, row[1:])) for row in run(sql.STATEMENTS)}

    def read_texts(self, run: Run, statements: Collection[str]) -> Mapping[str, str]:
        """The texts of statements, of at most MAX_TEXTS at once."""
        if not statements:
            return {}
        names = {f"s{number}": one for number, one in enumerate(sorted(statements)[:MAX_TEXTS])}
        places = "(" + ", ".join(f":{name}" for name in names) + ")"
        return {row[0]: row[1] or "" for row in run(sql.TEXTS.replace(":statements", places), **names)}

    def check_rights(self, run: Run) -> Sequence[Right]:
        """What the user may read, and may not."""
        granted = " ".join(str(row[0]).upper() for row in run(sql.GRANTS))
        process = may_read(run, sql.NEEDS_PROCESS)
        schema = read_settings(run).has_performance_schema
        is_on = bool(run(sql.SETTINGS)[0][1])
        known = any(RECENCY_COLUMNS.get(row[0]) == row[1] for row in run(sql.READABLE))
        rights = [
            Right("PROCESS", "" if process else MISSING_PROCESS, is_needed=True),
            Right("performance_schema", "" if is_on else SCHEMA_OFF),
            Right("SELECT on it", "" if schema or not is_on else MISSING_SCHEMA),
            Right("metadata locks", self._check_holders(run, has_schema=schema)),
            Right("columns with times", "" if known else MISSING_COLUMNS),
        ]
        if "ALL PRIVILEGES ON *.*" in granted or "SUPER" in granted:
            rights.append(Right("least rights", "the user may do everything; create one with PROCESS only"))
        return rights

    def _check_holders(self, run: Run, *, has_schema: bool) -> str:
        """What is missing to know who holds a lock on the definition of a table; empty if nothing."""
        return "" if has_schema and run(sql.INSTRUMENT) else MISSING_INSTRUMENT if has_schema else UNKNOWN_HOLDERS


class MariaDb(MySql):
    """MariaDB 10.6 and later."""

    product = "mariadb"
    _views: Mapping[str, str] = {
        "tablestats": "innodb_sys_tablestats",
        "tables": "innodb_sys_tables",
        "indexes": "innodb_sys_indexes",
        "fields": "innodb_sys_fields",
    }

    def _limit_statements(self, timeout: float) -> str:
        return f"max_statement_time = {timeout:.3f}"

    def _read_waits(self, run: Run, _settings: ServerSettings) -> Sequence[Sequence[Any]]:
        return run(sql.MARIADB_WAITS)

    def _find_holders(self, run: Run, waiting: Collection[int], _settings: ServerSettings) -> Holders:
        if not run(sql.PLUGIN):
            return {}
        return guess_holders([(int(row[0]), int(row[1]), row[2]) for row in run(sql.PLUGIN_LOCKS)], waiting)

    def _check_holders(self, run: Run, *, has_schema: bool) -> str:  # noqa: ARG002 - it is the plugin that knows them
        return "" if run(sql.PLUGIN) else MISSING_PLUGIN


def read_settings(run: Run) -> ServerSettings:
    """Settings of the server."""
    limit, is_on, version = run(sql.SETTINGS)[0]
    return ServerSettings(int(limit), bool(is_on) and may_read(run, sql.NEEDS_SCHEMA), str(version))


def may_read(run: Run, statement: str) -> bool:
    """Whether the user may run a statement: tried, because grants may come from roles."""
    try:
        run(statement)
    except DBAPIError as error:
        if find_reason(error) != "forbidden":
            raise
        return False
    return True


def build_session(row: Sequence[Any]) -> Session:
    """A session of the process list."""
    number, program, user, own, command, host, seconds, _, begun, now, is_exporter = row
    address, _, port = (host or "").rpartition(":")
    transaction_at = to_float(begun)
    idles = command == "Sleep"
    state = "active" if not idles else "idle" if transaction_at is None else "idle_in_transaction"
    return Session(
        id=int(number),
        application=program,
        user=user or "",
        is_own_database=bool(own),
        is_client=command not in SERVER_COMMANDS and user not in ("system user", "event_scheduler"),
        address=address,
        port=int(port) if port.isdigit() else 0,
        state=state,
        transaction_at=transaction_at,
        idle_at=float(now) - float(seconds or 0) if state == "idle_in_transaction" else None,
        is_exporter=bool(is_exporter),
    )


def explain(run: Run, table: str, column: str, before: str) -> float | None:
    """The optimizer's estimate of the rows that are older; None if it has no index for it and would guess."""
    plan: Any = run(sql.EXPLAIN.format(table=table, column=column, before=before))[0]
    named: Mapping[str, Any] = plan._mapping  # the columns by name: MySQL and MariaDB have different ones
    if not named.get("possible_keys"):
        return None
    rows, filtered = named.get("rows"), named.get("filtered")
    return None if rows is None else float(rows) * (float(filtered) if filtered is not None else 100.0) / 100


def to_float(value: Any) -> float | None:  # noqa: ANN401
    """A number of any type that the driver returns."""
    with suppress(TypeError, ValueError):
        return float(value)
    return None

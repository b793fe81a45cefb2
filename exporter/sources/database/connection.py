"""The connection to the metadata database: one, read-only, with a limit on the time that anything may take."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Timer
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, ProgrammingError, SQLAlchemyError

from exporter.config.secret_file import SecretFile, SecretVariable
from exporter.config.secret_url import clean_url, hide_url
from exporter.config.settings import DatabaseSettings
from exporter.metrics.reading import ReaderError
from exporter.sources.database import mysql, postgresql
from exporter.sources.database.errors import classify, explain
from exporter.sources.database.models import Dialect, Run

APPLICATION_NAME = "airflow-exporter"
DRIVERS = {
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
}
GRACE = 1.0
"""Seconds after which the connection is cut, beyond the timeout: the server has then not stopped the statement itself,
because it or the network hangs."""


class MetadataDatabase:
    """One connection, which is opened again after a failure. Every method raises ReaderError."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self._settings = settings
        self._secret = build_secret(settings)
        self._connection: Connection | None = None
        self._dialect: Dialect = mysql.MySql()
        self.name = ""
        """The database without user and password, for pages and logs."""

    @property
    def dialect(self) -> Dialect:
        """How the database is read; connects first if need be."""
        if self._connection is None:
            self.connect()
        return self._dialect

    def prepare(self) -> Engine:
        """The engine, which is not connected yet."""
        url = build_url(self._secret.read())
        self.name = describe_url(url)
        try:
            return build_engine(url, self._settings.timeout)
        except (SQLAlchemyError, ImportError) as error:
            raise ReaderError("bad_request", f"the URL of the database cannot be used: {explain(error)}") from None

    def connect(self) -> Connection:
        """Open the connection."""
        self.close()
        engine = self.prepare()
        try:
            connection = engine.connect()
        except SQLAlchemyError as error:
            raise ReaderError(*classify(error, self.name)) from None
        except (TypeError, ValueError) as error:
            raise ReaderError("bad_request", f"the URL of the database cannot be used: {explain(error)}") from None
        self._connection = connection
        self._dialect = find_dialect(connection)
        return connection

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError, OSError):
                connection.close()

    @contextmanager
    def transaction(self) -> Iterator[Run]:
        """A read-only transaction, in which statements can be run; the connection is closed if it fails."""
        connection = self._connection or self.connect()
        timer = Watchdog(connection, 2 * self._settings.timeout + GRACE)
        try:
            with timer, connection.begin():
                for statement in self.dialect.list_limits(self._settings.timeout):
                    connection.exec_driver_sql(statement)
                yield lambda sql, **parameters: run(connection, sql, parameters)
        except SQLAlchemyError as error:
            if not isinstance(error, ProgrammingError):
                self.close()
            reason, message = classify(error, self.name)
            if timer.fired:
                reason, message = "timeout", f"{self.name} hangs: the connection was cut (--database.timeout)"
            raise ReaderError(reason, message) from None


class Watchdog:
    """Cuts a connection on which the server does not answer: no limit in the database helps if that itself hangs."""

    def __init__(self, connection: Connection, seconds: float) -> None:
        self.fired = False
        self._timer = Timer(seconds, self._cut)
        self._timer.daemon = True
        self._socket = copy_socket(connection)

    def __enter__(self) -> None:
        self._timer.start()

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._timer.join()
        if self._socket is not None:
            self._socket.close()

    def _cut(self) -> None:
        self.fired = True
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)


def copy_socket(connection: Connection) -> socket.socket | None:
    """The socket of a connection, which stays valid if the driver closes its own; None if there is none."""
    driver: Any = connection.connection.dbapi_connection
    with suppress(Exception):  # each driver raises its own error if the connection is closed
        number = driver.fileno() if hasattr(driver, "fileno") else driver._sock.fileno()
        return socket.socket(fileno=os.dup(number))
    return None


def run(connection: Connection, sql: str, parameters: dict[str, Any]) -> Sequence[Sequence[Any]]:
    """Run one statement and return its rows; a savepoint has none."""
    result = connection.execute(text(sql), parameters)
    return result.fetchall() if result.returns_rows else ()


def find_dialect(connection: Connection) -> Dialect:
    """The dialect of a connected database."""
    if connection.dialect.name == "postgresql":
        return postgresql.PostgreSql(connection.dialect.server_version_info)
    return mysql.MariaDb() if getattr(connection.dialect, "is_mariadb", False) else mysql.MySql()


def build_secret(settings: DatabaseSettings) -> SecretFile | SecretVariable:
    """Where the URL of the database is kept."""
    if settings.url_file is not None:
        return SecretFile(settings.url_file, "the file of the database URL", read_url, hide_url)
    return SecretVariable(settings.url_environment, read_url, hide_url)


def read_url(text: str, what: str) -> str:
    """The URL in a text. Raises ReaderError (unauthorized) that does not repeat it."""
    return clean_url(text, what, "postgresql://db:5432/airflow")


def build_url(raw: str) -> URL:
    """The URL with our drivers. Raises ReaderError."""
    malformed = "the URL of the database is malformed; encode special characters of the user and the password as %XX"
    try:
        url = make_url(raw)
    except (ArgumentError, ValueError):
        raise ReaderError("bad_request", malformed) from None
    if "@" in (url.host or ""):
        raise ReaderError("bad_request", malformed)
    kind = url.drivername.partition("+")[0]
    if kind not in DRIVERS:
        raise ReaderError("bad_request", f"{kind} is not supported: only PostgreSQL, MySQL and MariaDB are read")
    return url.set(drivername=DRIVERS[kind])


def describe_url(url: URL) -> str:
    """The URL without user, password and parameters."""
    port = f":{url.port}" if url.port else ""
    return f"{url.get_backend_name()}://{url.host or 'localhost'}{port}/{url.database or ''}"


def build_engine(url: URL, timeout: float) -> Engine:
    """The engine, which opens one connection and keeps none."""
    arguments = build_arguments(url, timeout)
    # Else each connection begins with a search for a type that is not used.
    options = {"use_native_hstore": False} if url.get_backend_name() == "postgresql" else {}
    return create_engine(url, poolclass=NullPool, connect_args=arguments, **options)


def build_arguments(url: URL, timeout: float) -> dict[str, Any]:
    """What the driver is given beside the URL."""
    if url.get_backend_name() == "postgresql":
        name = {} if "application_name" in url.query else {"application_name": APPLICATION_NAME}
        # PgBouncer may give each transaction another connection, which knows no prepared statements.
        return {"connect_timeout": max(1, round(timeout)), "prepare_threshold": None, **name}
    limit = max(1, round(timeout + GRACE))
    return {
        "connect_timeout": max(1, round(timeout)),
        "read_timeout": limit,
        "write_timeout": limit,
        "program_name": APPLICATION_NAME,
    }

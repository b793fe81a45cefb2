"""Sessions of Airflow's components, as far as the database sees them: names, transactions and locks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Thread

import pytest
from sqlalchemy import Connection, NullPool, create_engine, text
from sqlalchemy.exc import SQLAlchemyError

from exporter.config.settings import DatabaseSettings
from exporter.metrics.family import Family, Labels
from exporter.sources.database.connection import build_url
from exporter.sources.database.source import DatabaseSource
from exporter.sources.directory import Directory

VARIABLE = "TEST_DATABASE_URL"
Tables = Mapping[Family, Mapping[Labels, float]]


def open_source(
    monkeypatch: pytest.MonkeyPatch, url: str, directory: Directory | None = None, *, timeout: float = 5.0
) -> DatabaseSource:
    monkeypatch.setenv(VARIABLE, url)
    settings = DatabaseSettings(url_environment=VARIABLE, timeout=timeout)
    source = DatabaseSource(settings, directory or Directory())
    source.connect()
    return source


def read(source: DatabaseSource, name: str) -> Tables:
    """What one reader reads."""
    [reader] = [one for one in source.readers if one.name == name]
    return reader.read().tables


@contextmanager
def connect(url: str, name: str = "") -> Iterator[Connection]:
    """A session, which names itself as PGAPPNAME or `application_name` would."""
    built = build_url(url)
    key = "application_name" if built.get_backend_name() == "postgresql" else "program_name"
    arguments = {key: name} if name else {}
    if built.get_backend_name() == "postgresql":
        arguments |= {"prepare_threshold": None}  # type: ignore[dict-item]
    connection = create_engine(built, poolclass=NullPool, connect_args=arguments).connect()
    try:
        yield connection
    finally:
        try:
            connection.close()
        except SQLAlchemyError:
            connection.invalidate()


@contextmanager
def waiting(connection: Connection, statement: str) -> Iterator[None]:
    """A statement that waits in a thread for a lock, until the block ends and the lock is released."""

    def run() -> None:
        try:
            connection.execute(text(statement))
            connection.rollback()
        except SQLAlchemyError:
            connection.rollback()

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join(30)

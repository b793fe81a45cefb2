"""The source of the metadata database: PostgreSQL, MySQL or MariaDB, read from their own statistics."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from exporter.config.settings import DatabaseSettings, Settings
from exporter.metrics.reading import Reader, ReaderError, Source
from exporter.sources.context import Previous, SourceContext
from exporter.sources.database.connection import MetadataDatabase
from exporter.sources.database.errors import is_full
from exporter.sources.database.models import Dialect, Right, Run
from exporter.sources.database.readers.server import CleanableReader, ServerReader, TablesReader
from exporter.sources.database.readers.sessions import SessionsReader
from exporter.sources.database.readers.state import DatabaseState
from exporter.sources.database.readers.statements import StatementsReader
from exporter.sources.directory import Directory

STATEMENTS_EVERY = 2
"""Intervals between two readings of the statements."""
TABLES_EVERY = 10
"""Intervals between two readings of the tables, which change slowly."""
CLEANABLE_EVERY = 120
"""Intervals between two estimates of old rows."""


class DatabaseSource:
    """One database."""

    name = "database"
    vital = SessionsReader.name
    refused = False

    def __init__(self, settings: DatabaseSettings, directory: Directory) -> None:
        self._database = MetadataDatabase(settings)
        self._state = DatabaseState(directory)
        interval = settings.interval
        self.readers: Sequence[Reader] = [
            SessionsReader(self, self._state, interval),
            ServerReader(self, interval),
            StatementsReader(self, self._state, STATEMENTS_EVERY * interval, with_texts=settings.statement_texts),
            TablesReader(self, TABLES_EVERY * interval),
            CleanableReader(self, settings.retention, CLEANABLE_EVERY * interval),
        ]

    def __str__(self) -> str:
        return self._database.name

    @property
    def dialect(self) -> Dialect:
        """How the database is read. Raises ReaderError."""
        return self._database.dialect

    def prepare(self) -> None:
        """Read the URL, without a connection. Raises ReaderError."""
        self._database.prepare()

    def connect(self) -> None:
        """Open the connection. Raises ReaderError."""
        try:
            self._database.connect()
        except ReaderError as error:
            if is_full(str(error)):
                self._state.record_refusal()
            raise

    def begin(self, deadline: float) -> None:
        """Does nothing: every transaction has a limit."""

    def close(self) -> None:
        """Close the connection."""
        self._database.close()

    @contextmanager
    def transaction(self) -> Iterator[Run]:
        """A read-only transaction. Raises ReaderError."""
        with self._database.transaction() as run:
            yield run

    def check_rights(self) -> Sequence[Right]:
        """What the user may read, and may not. Raises ReaderError."""
        with self.transaction() as run:
            return self.dialect.check_rights(run)


def build(settings: Settings, context: SourceContext, previous: Previous, /) -> list[Source]:
    """The database source. With unchanged settings the running one is kept: its counters and ranking continue."""
    kept = previous.sources.get(DatabaseSource.name)
    if kept is not None and settings.database == previous.settings.database:
        return [kept]
    return [DatabaseSource(settings.database, context.directory)]

"""The readers of the server and of Airflow's tables."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence

from exporter.metrics.catalogue import database
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Reading
from exporter.sources.database.cleaning import INDICES
from exporter.sources.database.models import TablesReading
from exporter.sources.database.readers.state import DatabaseApi


class ServerReader:
    """Reads the counters of the server."""

    name = "server"
    help = "The database server: transactions, deadlocks, cache, temporary files, replicas, response time"
    families: Sequence[Family] = tuple(one for one in database.FAMILIES if one.reader == "server")

    def __init__(self, api: DatabaseApi, interval: float) -> None:
        self.interval = interval
        self._api = api

    def read(self) -> Reading:
        """Read once. Raises ReaderError."""
        with self._api.transaction() as run:
            started = time.perf_counter()
            run("SELECT 1")
            seconds = time.perf_counter() - started
            reading = self._api.dialect.read_server(run)
        product = self._api.dialect.product
        values: dict[Family, float | None] = {**reading.values, database.RESPONSE: seconds}
        tables: dict[Family, Mapping[Labels, float]] = {
            family: {} if (value := values.get(family)) is None else {(): value}
            for family in self.families
            if not family.labels
        }
        tables[database.SERVER_INFO] = {(product, reading.version): 1}
        return Reading(tables, notes=[f"{product} {reading.version}, answered in {seconds * 1000:.1f} ms"])


class TablesReader:
    """Reads size, dead rows and indices of Airflow's tables."""

    name = "tables"
    help = "Airflow's tables: size, rows, dead rows, vacuum, reads without an index, missing indices"
    families: Sequence[Family] = tuple(one for one in database.FAMILIES if one.reader == "tables")

    def __init__(self, api: DatabaseApi, interval: float) -> None:
        self.interval = interval
        self._api = api
        self._last: Mapping[Family, Mapping[Labels, float]] = {}

    def read(self) -> Reading:
        """Read once; what a lock or a restart of the server hides is kept from the last reading. Raises ReaderError."""
        with self._api.transaction() as run:
            reading = self._api.dialect.read_tables(run)
        hidden = {*reading.locked, *reading.unused}
        tables: dict[Family, Mapping[Labels, float]] = {
            family: {
                **keep_hidden(self._last.get(family, {}), hidden),
                **{(table,): value for table, value in reading.values.get(family, {}).items() if value is not None},
            }
            for family in self.families
        }
        self._last = tables
        tables[database.INDEX_PRESENT] = find_indices(reading)
        found = len(reading.values.get(database.TABLE_BYTES, {})) + len(reading.unused)
        missing = [
            f"{table} ({columns})" for (table, columns), value in tables[database.INDEX_PRESENT].items() if not value
        ]
        notes = [f"{found} tables of Airflow"]
        if missing:
            notes.append("missing indices: " + ", ".join(missing))
        notes += list_locked(reading.locked)
        if reading.unused:
            notes.append(f"not used since the server started, so of unknown size: {', '.join(sorted(reading.unused))}")
        return Reading(tables, notes=notes)


def find_indices(reading: TablesReading) -> dict[Labels, float]:
    """Whether each index that Airflow needs is there; only of tables that are."""
    return {
        (table, ",".join(columns)): float(has_index(reading.indices[table], columns))
        for table, columns in INDICES
        if table in reading.indices
    }


def has_index(indices: Collection[tuple[str, ...]], columns: tuple[str, ...]) -> bool:
    """Whether an index begins with these columns, in any order among them."""
    return any(set(index[: len(columns)]) == set(columns) for index in indices)


class CleanableReader:
    """Estimates how many rows `airflow db clean` would remove."""

    name = "cleanable"
    help = "Rows that are older than database.retention, as the planner estimates"
    families: Sequence[Family] = (database.CLEANABLE_ROWS,)

    def __init__(
        self, api: DatabaseApi, retention: float, interval: float, clock: Callable[[], float] = time.time
    ) -> None:
        self.interval = interval
        self._api = api
        self._retention = retention
        self._clock = clock
        self._last: Mapping[Labels, float] = {}

    def read(self) -> Reading:
        """Read once; what a lock hides is kept from the last reading. Raises ReaderError."""
        with self._api.transaction() as run:
            found, locked = self._api.dialect.read_cleanable(run, self._clock() - self._retention)
        rows = keep_hidden(self._last, locked)
        rows.update(((table,), value) for table, value in found.items())
        self._last = rows
        total = sum(rows.values())
        note = f"about {total:.0f} rows in {len(rows)} tables" if rows else "no table can be estimated: see check"
        return Reading({database.CLEANABLE_ROWS: rows}, notes=[note, *list_locked(locked)])


def keep_hidden(last: Mapping[Labels, float], hidden: Collection[str]) -> dict[Labels, float]:
    """The values of the last reading of tables that cannot be seen now."""
    return {labels: value for labels, value in last.items() if labels[0] in hidden}


def list_locked(locked: Collection[str]) -> list[str]:
    """What the page /sources says of tables that are locked."""
    return [f"a lock hides these tables, whose last known values stay: {', '.join(sorted(locked))}"] if locked else []

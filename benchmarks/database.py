"""What reading the metadata database costs it: `python -m benchmarks.database [--smoke]`.

A PostgreSQL has the tables of an Airflow with 200,000 task instances, 50 open sessions, and 1,000 different statements
in pg_stat_statements. The goal is 0.5 % of a core in the database, at one look in 30 s, with every reader at its own
interval.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sqlalchemy import Connection, NullPool, create_engine, text

from demo.postgres import Postgres
from demo.workdir import free_port
from exporter.config.settings import DatabaseSettings
from exporter.metrics.catalogue.database_names import TABLES
from exporter.sources.database.cleaning import RECENCY_COLUMNS
from exporter.sources.database.connection import build_url
from exporter.sources.database.source import DatabaseSource
from exporter.sources.directory import Directory

GOAL = 0.005
"""Of a core."""
INTERVAL = 30.0
VARIABLE = "BENCHMARK_DATABASE_URL"
OWN_BACKEND = "SELECT pg_backend_pid()"
FILL = """
INSERT INTO {table} (dag_id, task_id, run_id, state, {column}, payload)
SELECT 'dag_' || n % 500, 'task_' || n % 20, 'run_' || n / 20, 'success', now() - n * interval '1 minute',
    repeat('x', 200)
FROM generate_series(1, {rows}) n
"""


def create_tables(connection: Connection, rows: int) -> None:
    """Create Airflow's tables with their usual indices, and fill them in the proportions of a real one."""
    for table in TABLES:
        column = RECENCY_COLUMNS.get(table, "updated_at")
        connection.execute(
            text(
                f"CREATE TABLE {table} (id serial PRIMARY KEY, dag_id text, task_id text, run_id text, state text, "
                f"{column} timestamptz, payload text)"
            )
        )
        for columns in ("dag_id, run_id", "state", column):
            connection.execute(text(f"CREATE INDEX ON {table} ({columns})"))
        share = {"task_instance": 1.0, "log": 2.0, "xcom": 0.5, "dag_run": 0.1, "task_reschedule": 0.2}.get(table, 0.01)
        connection.execute(text(FILL.format(table=table, column=column, rows=max(1, round(rows * share)))))
    connection.execute(text("ANALYZE"))
    connection.commit()


def execute_variants(connection: Connection, count: int) -> None:
    """Execute statements that differ, as lists of different length do."""
    for number in range(1, count + 1):
        columns = ", ".join(f"id + {n} AS c{n}" for n in range(number % 40 + 1))
        table = TABLES[number // 40 % len(TABLES)]
        connection.execute(text(f"SELECT {columns} FROM {table} WHERE id = {number}"))
    connection.commit()


@contextmanager
def run_server() -> Iterator[Postgres]:
    """A PostgreSQL with pg_stat_statements."""
    with tempfile.TemporaryDirectory() as workdir:
        base = Postgres.make_base(Path(workdir), "benchmark")
        server = Postgres(base, free_port(), secrets.token_urlsafe(12))
        try:
            server.start()
            with open_session(server) as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.execute(text("ALTER SYSTEM SET shared_preload_libraries = 'pg_stat_statements'"))
            server.stop()
            server.start()
            yield server
        finally:
            server.stop()
            shutil.rmtree(base, ignore_errors=True)


@contextmanager
def open_session(server: Postgres, name: str = "airflow-scheduler") -> Iterator[Connection]:
    """A session of a component."""
    arguments = {"application_name": name}
    with create_engine(build_url(server.url), poolclass=NullPool, connect_args=arguments).connect() as connection:
        yield connection


def read_cpu(pid: int) -> float:
    """CPU seconds that a process has used."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def measure(source: DatabaseSource, looks: int) -> tuple[dict[str, float], float]:
    """CPU seconds in the database by reader, and those of the exporter, over some looks."""
    with source.transaction() as run:
        backend = int(run(OWN_BACKEND)[0][0])
    spent = {reader.name: 0.0 for reader in source.readers}
    for reader in source.readers:
        reader.read()
    own = time.process_time()
    for look in range(looks):
        for reader in source.readers:
            if look % round(reader.interval / INTERVAL) == 0:
                before = read_cpu(backend)
                reader.read()
                spent[reader.name] += read_cpu(backend) - before
    return spent, time.process_time() - own


def main() -> int:
    """Print a table, and whether the goal is met; the exit code is 1 if it is not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.database", description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="a small database: does it work at all")
    smoke = parser.parse_args().smoke
    rows, sessions, statements, looks = (2_000, 5, 50, 10) if smoke else (200_000, 50, 1_000, 120)
    with run_server() as server, ExitStack() as stack:
        with open_session(server) as connection:
            create_tables(connection, rows)
            connection.execute(text("CREATE EXTENSION pg_stat_statements"))
            execute_variants(connection, statements)
        for _ in range(sessions):
            stack.enter_context(open_session(server)).execute(text("SELECT 1"))
        os.environ[VARIABLE] = server.url
        source = DatabaseSource(DatabaseSettings(url_environment=VARIABLE, interval=INTERVAL), Directory())
        source.connect()
        spent, own = measure(source, looks)
        source.close()
    seconds = looks * INTERVAL
    print(
        f"{rows} task instances, {sessions} sessions, {statements} statements, {looks} looks, one in {INTERVAL:.0f} s"
    )
    total = sum(spent.values())
    for name, cpu in (*spent.items(), ("all", total), ("(exporter)", own)):
        print(f"  {name:<12} {cpu / looks * 1000:7.2f} ms of CPU a look  {cpu / seconds:9.4%} of a core")
    print(f"goal: {GOAL:.1%} of a core in the database")
    return 0 if total / seconds <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())

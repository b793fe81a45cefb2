"""The proof of the metadata database's alerts on real causes in PostgreSQL and MariaDB: each fires for its cause alone.

    make e2e-database-alerts

The sessions are ours, with the names that components of Airflow have; the exporter, Prometheus and the rules are what
is shipped, with times of a hundred-and-twentieth. Leaves its table in .e2e/ (or $E2E_FOLDER).
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.conftest import NOT_RUN
from tests.e2e.alerts.telling import FOLDER, say
from tests.e2e.alerts.watching import Alert, Cause, Watch, shipped, watching
from tests.e2e.database import causes
from tests.e2e.exactness.prometheus import find_prometheus
from tests.e2e.exactness.subject import Subject
from tests.integration.database.conftest import (
    AIRFLOW_PASSWORD,
    MYSQL_RIGHTS,
    PASSWORD,
    POSTGRES_RIGHTS,
    POSTGRES_USERS,
)
from tests.integration.database.servers import SCHEMA, MariaDb, Postgres, find_postgres

FACTOR = 120
RULES = ("rules/settings.yml", "alerts/database.yml")
NAMES = "AirflowDatabase.+"
NAME = "e2e"
CONNECTIONS = 40
HELD = 31
BEGINNING = 150.0
ENDING = 120.0
CONFIG = "collector: {airflow: false, statsd: false, host: false}\n"


@contextmanager
def run_postgres(programs: Path) -> Iterator[Postgres]:
    """A PostgreSQL with some of Airflow's tables, and a user with the rights that the documentation names."""
    server = Postgres(programs)
    try:
        server.start(f"max_connections={CONNECTIONS}")
        server.run(POSTGRES_USERS + "CREATE DATABASE airflow OWNER airflow;", "postgres")
        server.run(f"SET ROLE airflow; {SCHEMA} RESET ROLE; {POSTGRES_RIGHTS}")
        server.run("INSERT INTO slot_pool (id) VALUES (1); INSERT INTO dag_run (id, dag_id) VALUES (1, 'a');")
        yield server
    finally:
        server.remove()


@contextmanager
def run_exporter(server: Postgres | MariaDb, folder: Path) -> Iterator[Subject]:
    """The exporter, which reads the database as often as it is possible."""
    folder.mkdir(parents=True)
    config, secret = folder / "exporter.yml", folder / "database-url"
    config.write_text(CONFIG, encoding="utf-8")
    secret.write_text(server.url("exporter", PASSWORD), encoding="utf-8")
    secret.chmod(0o600)
    flags = (f"--config.file={config}", f"--database.url-file={secret}", "--database.interval=5s")
    exporter = Subject(folder / "exporter", flags)
    try:
        exporter.start()
        exporter.wait_ready()
        yield exporter
    finally:
        exporter.close()


@contextmanager
def run_mariadb() -> Iterator[MariaDb]:
    """The same on MariaDB."""
    server = MariaDb()
    try:
        server.start(f"--max-connections={CONNECTIONS}")
        server.run(MYSQL_RIGHTS)
        server.run(SCHEMA, "airflow")
        server.run("GRANT SELECT (dttm) ON airflow.log TO exporter@'%';")
        server.run(
            "INSERT INTO slot_pool (id) VALUES (1); INSERT INTO dag_run (id, dag_id) VALUES (1, 'a');", "airflow"
        )
        yield server
    finally:
        server.remove()


def list_causes(airflow: str) -> Iterator[Cause]:
    """What goes wrong with every server; the last one that begins ends first."""
    yield Cause(Alert(NAME, "AirflowDatabaseCriticalSectionSlow"), causes.slow_critical_section(airflow))
    yield Cause(Alert(NAME, "AirflowDatabaseBlocksScheduler", "dag_run"), causes.blocked_scheduler(airflow))
    yield Cause(Alert(NAME, "AirflowDatabaseIdleTransaction", "task"), causes.idle_transaction(airflow))
    yield Cause(Alert(NAME, "AirflowDatabaseConnectionsHigh"), causes.many_connections(airflow, HELD))


def list_causes_of_tables(postgres: Postgres) -> Iterator[Cause]:
    """What goes wrong with tables. MySQL has no dead rows, and knows the age of rows by an index on it only."""
    yield Cause(Alert(NAME, "AirflowDatabaseTableBloated", "task_instance"), causes.bloated_table(postgres))
    yield Cause(Alert(NAME, "AirflowDatabaseCleanupDue", "log"), causes.old_rows(postgres))


@pytest.mark.e2e
def test_each_alert_fires_for_its_cause_and_for_nothing_else() -> None:
    programs = find_postgres()
    if programs is None or find_prometheus() is None:
        pytest.skip(f"{NOT_RUN}: PostgreSQL's initdb or Prometheus is not installed")
    with run_postgres(programs) as postgres:
        airflow = postgres.url("airflow", AIRFLOW_PASSWORD)
        told = watch_causes(postgres, [*list_causes_of_tables(postgres), *list_causes(airflow)], "database-alerts")
    assert {alert.name for alert in told} == shipped("AirflowDatabase")


@pytest.mark.e2e
def test_those_that_do_not_need_postgresql_fire_on_mariadb_too() -> None:
    if shutil.which("mariadb-install-db") is None or find_prometheus() is None:
        pytest.skip(f"{NOT_RUN}: mariadb-server or Prometheus is not installed")
    with run_mariadb() as mariadb:
        watch_causes(mariadb, list(list_causes(mariadb.url("airflow", AIRFLOW_PASSWORD))), "database-alerts-mariadb")


def watch_causes(server: Postgres | MariaDb, going_wrong: Sequence[Cause], name: str) -> set[Alert]:
    """Let all of it go wrong, then end it: the alerts that fire are theirs alone, and they end. Returns them."""
    folder = (FOLDER / name).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    with ExitStack() as stack:
        going_on = stack.enter_context(ExitStack())
        expected = {blocker(NAME)}
        for cause in going_wrong:
            say(f"  {cause.alert.name}")
            going_on.enter_context(cause.context)
            expected.add(cause.alert)
        exporter = stack.enter_context(run_exporter(server, folder))
        prometheus = stack.enter_context(watching(folder / "prometheus", {exporter.address: NAME}, RULES, FACTOR))
        watch = Watch(prometheus, NAMES)
        watch.wait(expected, firing=True, seconds=BEGINNING)
        going_on.close()
        watch.wait(expected, firing=False, seconds=ENDING)
        watch.report(name)
        assert set(watch.fired) == expected
    return expected


def blocker(name: str) -> Alert:
    """The session that blocks the scheduler is itself idle in its transaction."""
    return Alert(name, "AirflowDatabaseIdleTransaction", "other_application")

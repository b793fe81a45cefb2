"""Real databases with a few of Airflow's tables, and a user with the rights that docs/database.md names."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import NOT_RUN
from tests.integration.database.servers import SCHEMA, MariaDb, MySql, PgBouncer, Postgres, find_mysql, find_postgres

PASSWORD = "sesame-open-metrics"
AIRFLOW_PASSWORD = "sesame-open-airflow"
POSTGRES_USERS = f"""
CREATE ROLE airflow LOGIN PASSWORD '{AIRFLOW_PASSWORD}';
CREATE ROLE exporter LOGIN PASSWORD '{PASSWORD}';
CREATE ROLE stranger LOGIN PASSWORD '{PASSWORD}';
"""
POSTGRES_RIGHTS = """
GRANT pg_monitor TO exporter;
GRANT SELECT (dttm) ON log TO exporter;
GRANT SELECT (start_date) ON task_instance, dag_run TO exporter;
CREATE EXTENSION pg_stat_statements;
"""
MYSQL_RIGHTS = f"""
CREATE DATABASE airflow;
CREATE USER airflow@'%' IDENTIFIED BY '{AIRFLOW_PASSWORD}';
GRANT ALL ON airflow.* TO airflow@'%';
CREATE USER exporter@'%' IDENTIFIED BY '{PASSWORD}';
GRANT PROCESS ON *.* TO exporter@'%';
GRANT SELECT ON performance_schema.* TO exporter@'%';
CREATE USER stranger@'%' IDENTIFIED BY '{PASSWORD}';
GRANT SHOW VIEW ON airflow.* TO stranger@'%';
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    """PostgreSQL with Airflow's database."""
    programs = find_postgres()
    if programs is None:
        pytest.skip(f"{NOT_RUN}: PostgreSQL's initdb is not installed")
    server = Postgres(programs)
    try:
        server.start()
        server.run(POSTGRES_USERS + "CREATE DATABASE airflow OWNER airflow;", "postgres")
        server.run(f"SET ROLE airflow; {SCHEMA} RESET ROLE; {POSTGRES_RIGHTS}")
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module")
def pgbouncer(postgres: Postgres) -> Iterator[PgBouncer]:
    """PgBouncer in transaction mode before that PostgreSQL."""
    if shutil.which("pgbouncer") is None and not Path("/usr/sbin/pgbouncer").exists():
        pytest.skip(f"{NOT_RUN}: pgbouncer is not installed")
    server = PgBouncer(postgres, users={"exporter": PASSWORD, "airflow": AIRFLOW_PASSWORD})
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module", params=["mariadb", "mysql"])
def mysql(request: pytest.FixtureRequest) -> Iterator[MariaDb]:
    """MariaDB, then MySQL, with Airflow's database."""
    server = build_mysql(request.param)
    try:
        server.start()
        server.run(MYSQL_RIGHTS)
        server.run(SCHEMA, "airflow")
        server.run("GRANT SELECT (dttm) ON airflow.log TO exporter@'%';")
        yield server
    finally:
        server.remove()


def build_mysql(product: str) -> MariaDb:
    if product == "mariadb":
        if shutil.which("mariadb-install-db") is None:
            pytest.skip(f"{NOT_RUN}: mariadb-server is not installed")
        return MariaDb()
    program = find_mysql()
    if program is None:
        pytest.skip(f"{NOT_RUN}: MySQL's mysqld is not installed; MYSQLD may name it")
    return MySql(program)

"""The database source beside a real MariaDB and a real MySQL: connections, locks, tables, statements, rights."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest
from sqlalchemy import text

from exporter.diagnosis.waits.database import find_obstacle
from exporter.metrics.catalogue import database
from exporter.metrics.reading import ReaderError
from exporter.sources.database.source import DatabaseSource
from exporter.sources.directory import Directory
from tests.integration.database.conftest import AIRFLOW_PASSWORD, PASSWORD
from tests.integration.database.servers import MariaDb, wait_for
from tests.integration.database.sessions import connect, open_source, read, waiting

pytestmark = pytest.mark.slow
TABLES = {"airflow-prod": "job", "airflow_prod": "dag_run", "airflowxprod": "task_instance", "air%flow.1": "xcom"}
"""Databases with names that InnoDB writes in another way or that are like one another, and a table of each."""


@pytest.fixture
def url(mysql: MariaDb) -> str:
    return mysql.url("exporter", PASSWORD)


@pytest.fixture
def airflow(mysql: MariaDb) -> str:
    return mysql.url("airflow", AIRFLOW_PASSWORD)


def test_connections_by_component_and_state(url: str, airflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source(monkeypatch, url)
    with connect(airflow, "airflow-scheduler") as scheduler, connect(airflow):
        scheduler.execute(text("UPDATE dag_run SET state = 'a'"))
        found = read(source, "sessions")
    assert found[database.CONNECTIONS]["exporter", "active"] == 1
    assert found[database.CONNECTIONS]["unknown", "idle"] == 1
    assert found[database.CONNECTION_LIMIT] == {(): 15}
    source.close()


def test_a_session_in_a_transaction_and_who_blocks_whom(
    url: str, airflow: str, mysql: MariaDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    mysql.run("INSERT IGNORE INTO dag_run (id, dag_id) VALUES (1, 'a')", "airflow")
    directory = Directory()
    source = open_source(monkeypatch, url, directory)
    update = "UPDATE dag_run SET state = 'b' WHERE id = 1"
    with connect(airflow, "report.py") as person, connect(airflow, "airflow-scheduler") as scheduler:
        person.execute(text(update))
        with waiting(scheduler, update):
            key = ("scheduler", "other_application", "dag_run")
            wait_for(lambda: read(source, "sessions")[database.BLOCKED_SESSIONS] == {key: 1}, "a waiting session")
            found = read(source, "sessions")
            assert found[database.CONNECTIONS]["other_application", "idle_in_transaction"] == 1
            assert time.time() - 60 < found[database.OLDEST_BLOCKED][key] <= time.time() + 1
            assert time.time() - 60 < found[database.OLDEST_TRANSACTION]["other_application",] <= time.time() + 1
            facts = directory.get_database()
            assert facts is not None
            obstacle = find_obstacle(facts._replace(now=facts.now + 60))
            assert obstacle is not None
            assert obstacle.object == "dag_run"
            person.rollback()
    source.close()


@pytest.mark.parametrize("zone", ["+05:00", "-05:00"])
def test_transactions_and_waits_where_the_server_has_another_time_zone_than_its_machine(
    url: str, airflow: str, mysql: MariaDb, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    mysql.run("INSERT IGNORE INTO dag_run (id, dag_id) VALUES (1, 'a')", "airflow")
    mysql.run(f"SET GLOBAL time_zone = '{zone}'")
    source = open_source(monkeypatch, url)
    update = "UPDATE dag_run SET state = 'c' WHERE id = 1"
    try:
        with connect(airflow, "report.py") as person, connect(airflow, "airflow-scheduler") as scheduler:
            person.execute(text(update))
            with waiting(scheduler, update):
                key = ("scheduler", "other_application", "dag_run")
                wait_for(lambda: key in read(source, "sessions")[database.BLOCKED_SESSIONS], "a waiting session")
                found = read(source, "sessions")
                person.rollback()
    finally:
        mysql.run("SET GLOBAL time_zone = 'SYSTEM'")
    moments = [found[database.OLDEST_BLOCKED][key], found[database.OLDEST_TRANSACTION]["scheduler",]]
    assert all(time.time() - 60 < one <= time.time() + 1 for one in moments), moments
    source.close()


def test_a_lock_on_the_definition_of_a_table_and_who_holds_it(
    url: str, airflow: str, mysql: MariaDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(monkeypatch, url)
    if mysql.product == "mariadb":
        assert find_missing(source) == {"metadata locks"}
        mysql.run("INSTALL SONAME 'metadata_lock_info'")
    with (
        connect(airflow, "airflow-triggerer") as triggerer,
        connect(airflow, "airflow-db-migrate") as migration,
        connect(airflow, "airflow-scheduler") as scheduler,
    ):
        triggerer.execute(text("SELECT count(*) FROM job"))
        migrates = ("other_application", "triggerer", "job")
        with waiting(migration, "ALTER TABLE job ADD COLUMN extra integer"):
            wait_for(lambda: read(source, "sessions")[database.BLOCKED_SESSIONS] == {migrates: 1}, "a waiting session")
            schedules = ("scheduler", "triggerer", "job")
            with waiting(scheduler, "UPDATE job SET state = 'running'"):
                both = {migrates: 1, schedules: 1}
                wait_for(lambda: read(source, "sessions")[database.BLOCKED_SESSIONS] == both, "two waiting sessions")
                assert time.time() - 60 < read(source, "sessions")[database.OLDEST_BLOCKED][schedules] <= time.time()
                triggerer.rollback()
    assert find_missing(source) == set()
    source.close()


def test_locked_tables_are_left_out_of_the_estimate(
    url: str, airflow: str, mysql: MariaDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    mysql.run("GRANT SELECT (latest_heartbeat) ON airflow.job TO exporter@'%'")
    mysql.run("ALTER TABLE job ADD INDEX beats (latest_heartbeat)", "airflow")
    source = open_source(monkeypatch, url)
    [reader] = [one for one in source.readers if one.name == "cleanable"]
    assert reader.read().tables[database.CLEANABLE_ROWS].keys() == {("log",), ("job",)}
    with connect(airflow) as person:
        person.execute(text("LOCK TABLES log WRITE"))
        reading = reader.read()
        assert reading.tables[database.CLEANABLE_ROWS].keys() == {("log",), ("job",)}
        assert "a lock hides these tables, whose last known values stay: log" in reading.notes
        assert read(source, "tables")[database.TABLE_BYTES]["log",] >= 16_384
        person.execute(text("UNLOCK TABLES"))
    source.close()


def find_missing(source: DatabaseSource) -> set[str]:
    return {one.name for one in source.check_rights() if one.missing}


def test_exhausted_connections(url: str, airflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = Directory()
    source = open_source(monkeypatch, url, directory)
    with ExitStack() as stack:
        for _ in range(14):
            stack.enter_context(connect(airflow))
        obstacles = (read(source, "sessions"), find_obstacle(directory.get_database()))
        assert obstacles[1] is not None
        assert obstacles[1].object == "connections"
        # One more than max_connections is accepted, from users with special rights.
        with pytest.raises(ReaderError, match="has no free connection"):
            open_source(monkeypatch, url, directory)
    source.close()


def test_tables_indices_and_old_rows(url: str, mysql: MariaDb, monkeypatch: pytest.MonkeyPatch) -> None:
    mysql.run(
        "INSERT INTO log (id, dttm) "
        "WITH RECURSIVE days (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM days WHERE n < 999) "
        "SELECT n, now() - INTERVAL n DAY FROM days;"
        "ANALYZE TABLE log; SELECT count(*) FROM log WHERE event = 'a';",
        "airflow",
    )
    source = open_source(monkeypatch, url)
    found = read(source, "tables")
    assert 900 < found[database.LIVE_ROWS]["log",] < 1100
    assert found[database.TABLE_BYTES]["log",] >= 16_384
    assert found[database.SEQUENTIAL_ROWS]["log",] >= 999
    assert found[database.DEAD_ROWS] == {}
    assert found[database.INDEX_PRESENT]["task_instance", "dag_id"] == 1
    assert found[database.INDEX_PRESENT]["task_instance", "state"] == 0
    assert 800 < read(source, "cleanable")[database.CLEANABLE_ROWS]["log",] < 1000, "older than 90 days are 909"
    server = read(source, "server")
    assert [product for product, _ in server[database.SERVER_INFO]] == [mysql.product]
    assert server[database.CACHE_HITS][()] > 0
    source.close()


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_a_database_with_any_name_and_no_others(
    name: str, mysql: MariaDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    for database_name, table in TABLES.items():
        mysql.run(
            f"CREATE DATABASE IF NOT EXISTS `{database_name}`; USE `{database_name}`;"
            "CREATE TABLE IF NOT EXISTS log (id integer PRIMARY KEY);"
            f"CREATE TABLE IF NOT EXISTS {table} (id integer PRIMARY KEY);"
            f"GRANT SELECT (id) ON `{database_name}`.log TO exporter@'%';"
        )
    source = open_source(monkeypatch, mysql.url("exporter", PASSWORD, name.replace("%", "%25")))
    found = read(source, "tables")
    assert found[database.TABLE_BYTES].keys() == {("log",), (TABLES[name],)}
    assert {table for table, _ in found[database.INDEX_PRESENT]} <= {"log", TABLES[name]}
    assert ("log", "dttm") in found[database.INDEX_PRESENT]
    assert read(source, "server")[database.SIZE] == {(): 2 * 16_384}
    source.close()


def test_a_database_without_tables_has_no_size(mysql: MariaDb, monkeypatch: pytest.MonkeyPatch) -> None:
    mysql.run("CREATE DATABASE empty; GRANT CREATE ON empty.* TO exporter@'%';")
    source = open_source(monkeypatch, mysql.url("exporter", PASSWORD, "empty"))
    assert read(source, "server")[database.SIZE] == {}
    source.close()


def test_statements_by_purpose(url: str, airflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source(monkeypatch, url)
    before = read(source, "statements")[database.STATEMENT_CALLS].get(("critical_section",), 0)
    with connect(airflow) as connection:
        for _ in range(3):
            connection.execute(
                text("SELECT id FROM task_instance WHERE state = 'a' ORDER BY -priority_weight LIMIT 5 FOR UPDATE")
            )
        connection.rollback()
    found = read(source, "statements")
    assert found[database.STATEMENT_CALLS]["critical_section",] == before + 3
    source.close()


def test_missing_rights_are_named(mysql: MariaDb, monkeypatch: pytest.MonkeyPatch) -> None:
    stranger = open_source(monkeypatch, mysql.url("stranger", PASSWORD))
    missing = find_missing(stranger) - {"metadata locks"}
    assert missing == {"PROCESS", "SELECT on it", "columns with times"}
    stranger.close()


def test_rights_by_a_role_count_as_granted(mysql: MariaDb, monkeypatch: pytest.MonkeyPatch) -> None:
    mysql.run(
        f"CREATE ROLE watch; GRANT PROCESS ON *.* TO watch; CREATE USER member@'%' IDENTIFIED BY '{PASSWORD}';"
        "GRANT watch TO member@'%'; GRANT SELECT (dttm) ON airflow.log TO member@'%';"
        f"SET DEFAULT ROLE watch {'TO' if mysql.product == 'mysql' else 'FOR'} member@'%';"
    )
    source = open_source(monkeypatch, mysql.url("member", PASSWORD))
    assert not find_missing(source) & {"PROCESS", "columns with times", "least rights"}
    source.close()


def test_without_a_right_on_the_performance_schema_the_rest_is_read(
    airflow: str, mysql: MariaDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    mysql.run(
        f"CREATE USER half@'%' IDENTIFIED BY '{PASSWORD}'; GRANT PROCESS ON *.* TO half@'%';"
        "GRANT SELECT (dttm) ON airflow.log TO half@'%';"
    )
    source = open_source(monkeypatch, mysql.url("half", PASSWORD))
    with connect(airflow, "airflow-scheduler"):
        for reader in source.readers:
            assert reader.read().notes
        assert read(source, "sessions")[database.CONNECTIONS]["unknown", "idle"] == 1
    source.close()


def test_tls_with_the_ca_of_the_server(mysql: MariaDb, monkeypatch: pytest.MonkeyPatch) -> None:
    if mysql.product == "mariadb":
        pytest.skip("only MySQL creates certificates by itself")
    ca_file = f"{mysql.folder}/data/ca.pem"
    url = mysql.url("exporter", PASSWORD)
    source = open_source(monkeypatch, f"{url}?ssl_ca={ca_file}&ssl_check_hostname=false")
    with source.transaction() as run:
        assert run("SHOW STATUS LIKE 'Ssl_cipher'")[0][1]
    source.close()
    with pytest.raises(ReaderError) as caught:
        open_source(monkeypatch, f"{url}?ssl_ca={ca_file}")
    assert caught.value.reason == "tls", "the certificate names no host"


def test_a_slow_statement_is_cancelled_and_it_reconnects_after_a_restart(
    url: str, mysql: MariaDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(monkeypatch, url, timeout=0.5)
    started = time.monotonic()
    with pytest.raises(ReaderError) as caught, source.transaction() as run:
        run("SELECT count(*) FROM " + ", ".join(f"information_schema.collations {alias}" for alias in "abcd"))
    assert caught.value.reason == "timeout"
    assert time.monotonic() - started < 6
    mysql.stop()
    with pytest.raises(ReaderError):
        source.connect()
    mysql.start()
    source.connect()
    assert read(source, "sessions")[database.CONNECTIONS]
    source.close()


def test_tables_that_nothing_used_since_the_server_started_have_no_size_of_0(
    url: str, mysql: MariaDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test of this server, which forgets its statistics."""
    mysql.run("SELECT count(*) FROM log; SELECT count(*) FROM job; SELECT count(*) FROM slot_pool;", "airflow")
    source = open_source(monkeypatch, url)
    before = read(source, "tables")
    mysql.stop()
    mysql.start()
    with pytest.raises(ReaderError):
        read(source, "tables")
    [reader] = [one for one in source.readers if one.name == "tables"]
    reading = reader.read()
    families = (database.TABLE_BYTES, database.INDEX_BYTES, database.LIVE_ROWS)
    assert all(reading.tables[family] == before[family] for family in families), "what was known is kept"
    other = open_source(monkeypatch, url)
    assert 0 not in read(other, "tables")[database.TABLE_BYTES].values()
    assert read(other, "server")[database.SIZE].get((), 1) > 0
    other.close()
    source.close()

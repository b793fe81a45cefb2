"""The database source beside a real MariaDB: connections, locks, exhaustion, tables, statements, missing rights."""

from __future__ import annotations

import time
from contextlib import ExitStack

import pytest
from sqlalchemy import text

from exporter.diagnosis.waits.database import find_obstacle
from exporter.metrics.catalogue import database
from exporter.metrics.reading import ReaderError
from exporter.sources.directory import Directory
from tests.integration.database.conftest import AIRFLOW_PASSWORD, PASSWORD
from tests.integration.database.servers import MariaDb, wait_for
from tests.integration.database.sessions import connect, open_source, read, waiting

pytestmark = pytest.mark.slow


@pytest.fixture
def url(mariadb: MariaDb) -> str:
    return mariadb.url("exporter", PASSWORD)


@pytest.fixture
def airflow(mariadb: MariaDb) -> str:
    return mariadb.url("airflow", AIRFLOW_PASSWORD)


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
    url: str, airflow: str, mariadb: MariaDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    mariadb.run("INSERT IGNORE INTO dag_run (id, dag_id) VALUES (1, 'a')", "airflow")
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


def test_a_lock_on_the_definition_of_a_table(url: str, airflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source(monkeypatch, url)
    with connect(airflow, "airflow-scheduler") as scheduler, connect(airflow, "airflow-db-migrate") as migration:
        scheduler.execute(text("SELECT count(*) FROM job"))
        with waiting(migration, "ALTER TABLE job ADD COLUMN extra integer"):
            key = ("other_application", "unknown", "unknown")
            wait_for(lambda: read(source, "sessions")[database.BLOCKED_SESSIONS] == {key: 1}, "a waiting session")
            scheduler.rollback()
    source.close()


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


def test_tables_indices_and_old_rows(url: str, mariadb: MariaDb, monkeypatch: pytest.MonkeyPatch) -> None:
    mariadb.run(
        "INSERT INTO log (id, dttm) SELECT seq, now() - INTERVAL seq DAY FROM seq_1_to_1000;"
        "ANALYZE TABLE log; SELECT count(*) FROM log WHERE event = 'a';",
        "airflow",
    )
    source = open_source(monkeypatch, url)
    found = read(source, "tables")
    assert 900 < found[database.LIVE_ROWS]["log",] < 1100
    assert found[database.TABLE_BYTES]["log",] >= 16_384
    assert found[database.SEQUENTIAL_ROWS]["log",] >= 1000
    assert found[database.DEAD_ROWS] == {}
    assert found[database.INDEX_PRESENT]["task_instance", "dag_id"] == 1
    assert found[database.INDEX_PRESENT]["task_instance", "state"] == 0
    assert 800 < read(source, "cleanable")[database.CLEANABLE_ROWS]["log",] < 1000, "older than 90 days are 910"
    server = read(source, "server")
    assert [product for product, _ in server[database.SERVER_INFO]] == ["mariadb"]
    assert server[database.CACHE_HITS][()] > 0
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


def test_missing_rights_are_named(url: str, mariadb: MariaDb, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source(monkeypatch, url)
    assert [one.missing for one in source.check_rights()] == [""] * 4
    source.close()
    stranger = open_source(monkeypatch, mariadb.url("stranger", PASSWORD))
    assert {one.name for one in stranger.check_rights() if one.missing} == {"PROCESS", "columns with times"}
    stranger.close()


def test_a_slow_statement_is_cancelled_and_it_reconnects_after_a_restart(
    url: str, mariadb: MariaDb, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(monkeypatch, url, timeout=0.5)
    started = time.monotonic()
    with pytest.raises(ReaderError) as caught, source.transaction() as run:
        run("SELECT count(*) FROM " + ", ".join(f"information_schema.collations {alias}" for alias in "abcd"))
    assert caught.value.reason == "timeout"
    assert time.monotonic() - started < 6
    mariadb.stop()
    with pytest.raises(ReaderError):
        source.connect()
    mariadb.start()
    source.connect()
    assert read(source, "sessions")[database.CONNECTIONS]
    source.close()

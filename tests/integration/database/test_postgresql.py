"""The database source beside a real PostgreSQL: connections, locks, exhaustion, bloat, statements, missing rights."""

from __future__ import annotations

import os
import signal
import time
from contextlib import ExitStack

import pytest
from sqlalchemy import text

from exporter.diagnosis.waits.database import find_obstacle
from exporter.metrics.catalogue import database
from exporter.metrics.reading import ReaderError
from exporter.sources.directory import Directory
from tests.integration.database.conftest import AIRFLOW_PASSWORD, PASSWORD
from tests.integration.database.servers import Postgres, wait_for
from tests.integration.database.sessions import connect, open_source, read, waiting


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.url("exporter", PASSWORD)


@pytest.fixture
def airflow(postgres: Postgres) -> str:
    return postgres.url("airflow", AIRFLOW_PASSWORD)


class TestSessions:
    def test_connections_by_component_and_state(self, url: str, airflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
        source = open_source(monkeypatch, url)
        before = time.time()
        with (
            connect(airflow, "airflow-scheduler") as scheduler,
            connect(airflow, "airflow-worker@host-1"),
            connect(airflow, "psql"),
            connect(airflow),
        ):
            scheduler.execute(text("SELECT count(*) FROM dag_run"))
            found = read(source, "sessions")
        connections = found[database.CONNECTIONS]
        assert connections["scheduler", "idle_in_transaction"] == 1
        assert connections["celery_worker", "idle"] + connections["celery_worker", "idle_in_transaction"] == 1
        assert sum(value for (component, _), value in connections.items() if component == "other_application") == 1
        assert sum(value for (component, _), value in connections.items() if component == "unknown") == 1
        assert connections["exporter", "active"] == 1
        assert found[database.CONNECTION_LIMIT] == {(): 17}
        assert before - 5 < found[database.OLDEST_TRANSACTION]["scheduler",] <= time.time() + 1
        assert before - 5 < found[database.OLDEST_IDLE_TRANSACTION]["scheduler",] <= time.time() + 1
        source.close()

    def test_tables_of_a_copy_of_the_database_have_no_names_here(
        self, url: str, airflow: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A copy has the same identifiers of tables."""
        postgres.run("CREATE DATABASE staging TEMPLATE airflow OWNER airflow", "postgres")
        source = open_source(monkeypatch, url)
        staging = airflow.removesuffix("/airflow") + "/staging"
        with connect(staging, "airflow-scheduler") as first, connect(staging, "airflow-scheduler") as second:
            first.execute(text("LOCK TABLE dag_run"))
            with waiting(second, "LOCK TABLE dag_run"):
                wait_for(lambda: read(source, "sessions")[database.BLOCKED_SESSIONS], "a waiting session")
                found = read(source, "sessions")[database.BLOCKED_SESSIONS]
                first.rollback()
        source.close()
        assert found == {("other_database", "other_database", "unknown"): 1}

    def test_who_blocks_whom(self, url: str, airflow: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
        postgres.run("INSERT INTO dag_run (id, dag_id) VALUES (1, 'a') ON CONFLICT DO NOTHING")
        directory = Directory()
        source = open_source(monkeypatch, url, directory)
        update = "UPDATE dag_run SET state = 'running' WHERE id = 1"
        with (
            connect(airflow, "psql") as person,
            connect(airflow, "airflow-scheduler-1") as first,
            connect(airflow, "airflow-scheduler-2") as second,
        ):
            person.execute(text(update))
            with waiting(first, update), waiting(second, update):
                key = ("scheduler", "other_application", "dag_run")
                wait_for(
                    lambda: read(source, "sessions")[database.BLOCKED_SESSIONS].get(key) == 2, "two waiting sessions"
                )
                found = read(source, "sessions")
                assert found[database.BLOCKED_SESSIONS] == {key: 2}
                assert time.time() - 60 < found[database.OLDEST_BLOCKED][key] <= time.time() + 1
                facts = directory.get_database()
                assert facts is not None
                obstacle = find_obstacle(facts._replace(now=facts.now + 60))
                assert obstacle is not None
                assert obstacle.object == "dag_run"
                assert "behind a session of other_application, which is idle in its transaction" in obstacle.facts[0]
                person.rollback()
        assert read(source, "sessions")[database.BLOCKED_SESSIONS] == {}
        source.close()

    def test_a_lock_on_the_whole_table_names_it(self, url: str, airflow: str, monkeypatch: pytest.MonkeyPatch) -> None:
        source = open_source(monkeypatch, url)
        with connect(airflow, "airflow-db-migrate") as migration, connect(airflow, "airflow-api-server") as server:
            migration.execute(text("LOCK TABLE task_instance IN ACCESS EXCLUSIVE MODE"))
            with waiting(server, "SELECT count(*) FROM task_instance"):
                key = ("api_server", "other_application", "task_instance")
                wait_for(lambda: read(source, "sessions")[database.BLOCKED_SESSIONS] == {key: 1}, "a waiting session")
                migration.rollback()
        source.close()

    def test_exhausted_connections_are_seen_and_do_not_lock_out_the_exporter(
        self, url: str, airflow: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        directory = Directory()
        source = open_source(monkeypatch, url, directory)
        with ExitStack() as stack:
            for _ in range(16):
                stack.enter_context(connect(airflow, "airflow-triggerer"))
            found = read(source, "sessions")
            assert sum(found[database.CONNECTIONS].values()) == found[database.CONNECTION_LIMIT][()] == 17
            obstacle = find_obstacle(directory.get_database())
            assert obstacle is not None
            assert (obstacle.object, obstacle.limit, obstacle.used) == ("connections", 17, 17)
            with pytest.raises(ReaderError, match="has no free connection"):
                open_source(monkeypatch, url, directory)
            facts = directory.get_database()
            assert facts is not None
            assert facts.refuses
        source.close()


class TestTables:
    def test_bloat_rows_and_indices(self, url: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
        postgres.run(
            "ALTER TABLE task_instance SET (autovacuum_enabled = false);"
            "INSERT INTO task_instance (id, dag_id, start_date) SELECT n, 'a', now() FROM generate_series(1, 5000) n;"
            "UPDATE task_instance SET state = 'success';"
            "SET enable_indexscan = off; SET enable_bitmapscan = off; SELECT count(*) FROM task_instance;"
        )
        postgres.run("ANALYZE task_instance")
        source = open_source(monkeypatch, url)
        wait_for(lambda: read(source, "tables")[database.DEAD_ROWS].get(("task_instance",)) == 5000, "dead rows")
        found = read(source, "tables")
        assert found[database.LIVE_ROWS]["task_instance",] == 5000
        assert found[database.TABLE_BYTES]["task_instance",] > 400_000
        assert found[database.INDEX_BYTES]["task_instance",] > 100_000
        assert found[database.SEQUENTIAL_ROWS]["task_instance",] >= 5000
        assert found[database.INDEX_PRESENT]["task_instance", "dag_id"] == 1
        assert found[database.INDEX_PRESENT]["task_instance", "state"] == 0, "an index on (dag_id, state) is no help"
        assert ("task_instance",) not in found[database.LAST_VACUUM]
        postgres.run("VACUUM task_instance; CREATE INDEX ti_state ON task_instance (state);")
        wait_for(lambda: read(source, "tables")[database.DEAD_ROWS]["task_instance",] == 0, "no dead rows")
        found = read(source, "tables")
        assert found[database.LAST_VACUUM]["task_instance",] > time.time() - 60
        assert found[database.INDEX_PRESENT]["task_instance", "state"] == 1
        source.close()

    def test_rows_that_db_clean_would_remove_are_estimated(
        self, url: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        postgres.run(
            "INSERT INTO log (id, dttm) SELECT n, now() - n * interval '1 day' FROM generate_series(1, 1000) n;"
            "ANALYZE log;"
        )
        source = open_source(monkeypatch, url)
        assert 850 < read(source, "cleanable")[database.CLEANABLE_ROWS]["log",] < 970, "older than 90 days are 910"
        source.close()

    def test_what_a_lock_on_a_table_hides_stays_and_the_rest_is_read(
        self, url: str, airflow: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        postgres.run("INSERT INTO task_instance (id, start_date) SELECT n, now() FROM generate_series(7001, 7099) n")
        postgres.run("INSERT INTO log (id, dttm) SELECT n, now() FROM generate_series(7001, 7099) n; ANALYZE;")
        source = open_source(monkeypatch, url)
        tables, cleanable = (one for one in source.readers if one.name in ("tables", "cleanable"))
        before, rows = tables.read().tables, cleanable.read().tables[database.CLEANABLE_ROWS]
        postgres.run("INSERT INTO slot_pool (id) SELECT generate_series(100, 3000)")
        with connect(airflow, "airflow-db-migrate") as migration:
            migration.execute(text("LOCK TABLE log, task_instance IN ACCESS EXCLUSIVE MODE"))
            started = time.monotonic()
            reading, estimate = tables.read(), cleanable.read()
            assert time.monotonic() - started < 5
            migration.rollback()
        for family in (database.TABLE_BYTES, database.INDEX_BYTES, database.LIVE_ROWS):
            assert reading.tables[family]["log",] == before[family]["log",]
            assert reading.tables[family].keys() == before[family].keys()
        assert reading.tables[database.TABLE_BYTES]["slot_pool",] > before[database.TABLE_BYTES]["slot_pool",]
        assert estimate.tables[database.CLEANABLE_ROWS].keys() == rows.keys() >= {("log",)}
        for one in (reading, estimate):
            assert one.notes[-1] == "a lock hides these tables, whose last known values stay: log, task_instance"
        assert len(tables.read().notes) == len(reading.notes) - 1
        source.close()


class TestServer:
    def test_transactions_deadlocks_and_temporary_files(
        self, url: str, airflow: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = open_source(monkeypatch, url)
        before = read(source, "server")
        with connect(airflow) as connection:
            connection.execute(text("SET work_mem = '64kB'"))
            connection.execute(text("SELECT count(*) FROM (SELECT n FROM generate_series(1, 90000) n ORDER BY -n) s"))
            connection.rollback()
        make_deadlock(airflow, postgres)

        def happened() -> bool:
            now = read(source, "server")
            counters = (database.ROLLBACKS, database.DEADLOCKS, database.TEMPORARY_BYTES, database.TEMPORARY_FILES)
            return all(now[one][()] > before[one][()] for one in counters)

        wait_for(happened, "the growth of the counters")
        found = read(source, "server")
        assert [product for product, _ in found[database.SERVER_INFO]] == ["postgresql"]
        assert 0 < found[database.RESPONSE][()] < 5
        assert found[database.SIZE][()] > 5_000_000
        assert found[database.REPLICAS] == {(): 0}
        assert found[database.REPLICATION_DELAY] == {}
        source.close()


def make_deadlock(airflow: str, postgres: Postgres) -> None:
    postgres.run("INSERT INTO slot_pool (id) VALUES (1), (2) ON CONFLICT DO NOTHING")
    update = "UPDATE slot_pool SET slots = 1 WHERE id = {}"
    with connect(airflow) as one, connect(airflow) as other:
        one.execute(text(update.format(1)))
        other.execute(text(update.format(2)))
        with waiting(one, update.format(2)), waiting(other, update.format(1)):
            pass


def test_statements_by_purpose(url: str, airflow: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    postgres.run("SELECT pg_stat_statements_reset()")
    source = open_source(monkeypatch, url)
    read(source, "statements")
    with connect(airflow) as connection:
        for _ in range(3):
            connection.execute(
                text(
                    "SELECT id FROM task_instance WHERE state = 'scheduled' "
                    "ORDER BY -priority_weight, start_date LIMIT 5 FOR UPDATE OF task_instance SKIP LOCKED"
                )
            )
        connection.execute(text("SELECT id FROM dag_run"))
        connection.commit()
    found = read(source, "statements")
    assert found[database.STATEMENT_CALLS]["critical_section",] == 3
    assert found[database.STATEMENT_CALLS]["dag_run_list",] == 1
    assert 0 < found[database.STATEMENT_SECONDS]["critical_section",] < 5
    postgres.run("SELECT pg_stat_statements_reset()")
    assert read(source, "statements")[database.STATEMENT_CALLS]["critical_section",] == 3, "counters never fall"
    source.close()


class TestRights:
    def test_a_user_with_the_documented_rights_lacks_nothing(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        source = open_source(monkeypatch, url)
        assert [one.missing for one in source.check_rights()] == [""] * 4
        source.close()

    def test_each_missing_right_is_named(self, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
        source = open_source(monkeypatch, postgres.url("stranger", PASSWORD))
        missing = {one.name for one in source.check_rights() if one.missing}
        assert missing == {"pg_monitor", "columns with times"}
        connections = read(source, "sessions")[database.CONNECTIONS]
        assert connections["exporter", "active"] == 1, "its own session is readable without rights"
        source.close()

    def test_another_database_is_not_airflow_s(self, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
        source = open_source(monkeypatch, postgres.url("exporter", PASSWORD, "postgres"))
        missing = {one.name for one in source.check_rights() if one.missing}
        assert missing == {"Airflow's tables", "pg_stat_statements", "columns with times"}
        assert read(source, "statements")[database.STATEMENT_CALLS] == {}
        source.close()

    def test_a_wrong_password_is_refused_without_showing_it(
        self, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with pytest.raises(ReaderError) as caught:
            open_source(monkeypatch, postgres.url("exporter", "open-barley-77"))
        assert caught.value.reason == "unauthorized"
        assert "barley" not in str(caught.value)


class TestFailures:
    @pytest.mark.slow
    def test_a_database_that_hangs_is_given_up_in_time(
        self, url: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = open_source(monkeypatch, url, timeout=0.5)
        read(source, "sessions")
        pids = postgres.list_pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            started = time.monotonic()
            with pytest.raises(ReaderError) as caught:
                read(source, "sessions")
            assert caught.value.reason == "timeout"
            with pytest.raises(ReaderError):
                source.connect()
            assert time.monotonic() - started < 8
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
        source.connect()
        assert sum(read(source, "sessions")[database.CONNECTIONS].values()) >= 1
        source.close()

    def test_a_statement_that_takes_too_long_is_cancelled(
        self, url: str, airflow: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = open_source(monkeypatch, url, timeout=0.5)
        started = time.monotonic()
        with pytest.raises(ReaderError) as caught, source.transaction() as run:
            run("SELECT pg_sleep(30)")
        assert caught.value.reason == "timeout"
        assert time.monotonic() - started < 5
        source.close()

    def test_nothing_can_be_written(self, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
        source = open_source(monkeypatch, url)
        with pytest.raises(ReaderError), source.transaction() as run:
            run("CREATE TABLE mine (id integer)")
        source.close()

    def test_it_reconnects_after_a_restart(self, url: str, postgres: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
        source = open_source(monkeypatch, url)
        read(source, "sessions")
        postgres.stop()
        with pytest.raises(ReaderError) as caught:
            read(source, "sessions")
        assert caught.value.reason == "unreachable"
        with pytest.raises(ReaderError, match="cannot be reached"):
            source.connect()
        postgres.start()
        source.connect()
        assert sum(read(source, "sessions")[database.CONNECTIONS].values()) >= 1
        source.close()

"""The database source through a real PgBouncer in transaction mode."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import text

from exporter.metrics.catalogue import database
from exporter.metrics.reading import ReaderError
from tests.integration.database.conftest import AIRFLOW_PASSWORD, PASSWORD
from tests.integration.database.servers import PgBouncer, Postgres, wait_for
from tests.integration.database.sessions import connect, open_source, read

pytestmark = pytest.mark.slow


def through(server: PgBouncer, url: str) -> str:
    """The URL with the port of PgBouncer."""
    start, _, database_name = url.rpartition("/")
    return f"{start.rpartition(':')[0]}:{server.port}/{database_name}"


@pytest.fixture
def url(postgres: Postgres, pgbouncer: PgBouncer) -> str:
    return through(pgbouncer, postgres.url("exporter", PASSWORD))


def test_every_reader_works_and_clients_keep_their_names(
    url: str, postgres: Postgres, pgbouncer: PgBouncer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(monkeypatch, url)
    airflow = through(pgbouncer, postgres.url("airflow", AIRFLOW_PASSWORD))
    with connect(airflow, "airflow-scheduler") as scheduler:
        scheduler.execute(text("SELECT count(*) FROM dag_run"))
        found = read(source, "sessions")
        assert found[database.CONNECTIONS]["scheduler", "idle_in_transaction"] == 1
        assert found[database.CONNECTIONS]["exporter", "active"] == 1
    for reader in source.readers:
        reader.read()
    source.close()


def test_the_limit_of_a_statement_holds_and_does_not_stay_on_the_connection(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(monkeypatch, url, timeout=0.5)
    for _ in range(3):
        started = time.monotonic()
        with pytest.raises(ReaderError) as caught, source.transaction() as run:
            run("SELECT pg_sleep(30)")
        assert caught.value.reason == "timeout"
        assert time.monotonic() - started < 5
    with connect(url) as other:
        for _ in range(5):
            assert other.execute(text("SHOW statement_timeout")).scalar() == "0", "other clients are not limited"
            other.rollback()
    source.close()


def test_it_reconnects_after_a_restart_of_either(
    url: str, postgres: Postgres, pgbouncer: PgBouncer, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_source(monkeypatch, url)
    for server in (postgres, pgbouncer):
        server.stop()
        with pytest.raises(ReaderError):
            read(source, "sessions")
        server.start()

        def works() -> bool:
            try:
                return bool(read(source, "sessions")[database.CONNECTIONS])
            except ReaderError:
                return False

        wait_for(works, "a reading after the restart")
    source.close()

"""A replica of a real PostgreSQL: how far it is behind, and that `check` names it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exporter.metrics.catalogue import database
from tests.integration.database.conftest import PASSWORD
from tests.integration.database.servers import HOST, Postgres, wait_for
from tests.integration.database.sessions import open_source, read

pytestmark = pytest.mark.slow


@pytest.fixture
def replica(postgres: Postgres) -> Iterator[Postgres]:
    """A replica, made with pg_basebackup."""
    server = Postgres.__new__(Postgres)
    super(Postgres, server).__init__("postgres")
    server.programs = postgres.programs
    where = f"host={HOST} port={postgres.port} user=postgres password=open-postgres-9"
    backup = [str(postgres.programs / "pg_basebackup"), "-D", "data", "-d", where, "-R", "-X", "stream", "-c", "fast"]
    try:
        server.call(*backup)
        server.start()
        yield server
    finally:
        server.remove()


def test_how_far_the_replica_is_behind(postgres: Postgres, replica: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_source(monkeypatch, postgres.url("exporter", PASSWORD))
    wait_for(lambda: read(source, "server")[database.REPLICAS] == {(): 1}, "a connected replica")
    wait_for(lambda: read(source, "server")[database.REPLICATION_BYTES].get(()) == 0, "a replica that is not behind")
    replica.run("SELECT pg_wal_replay_pause()")
    postgres.run("INSERT INTO log (id) SELECT n FROM generate_series(100001, 101000) n")
    wait_for(lambda: read(source, "server")[database.REPLICATION_BYTES][()] > 10_000, "a replica that is behind")
    source.close()
    behind = open_source(monkeypatch, replica.url("exporter", PASSWORD))
    assert "primary server" in {right.name for right in behind.check_rights() if right.missing}
    for reader in behind.readers:
        reader.read()
    behind.close()

"""A database that accepts connections and never answers: nothing else waits for it."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from exporter.config.settings import DatabaseSettings, HostSettings, Settings
from exporter.engine import Engine
from tests.integration.database.servers import wait_for


@pytest.mark.slow
def test_the_other_sources_go_on_and_the_exporter_stops(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        path = tmp_path / "url"
        path.write_text(f"postgresql://exporter:open-barley-8@127.0.0.1:{server.getsockname()[1]}/airflow")
        settings = Settings(
            database=DatabaseSettings(url_file=path, timeout=1.0),
            host=HostSettings(machine=False, interval=1.0),
            collectors={"airflow": False, "statsd": False, "host": True, "database": True},
        )
        engine = Engine(settings)
        engine.start()

        def get_outcomes() -> dict[str, str]:
            return {reader.name: reader.outcome for source in engine.status() for reader in source.readers}

        wait_for(lambda: get_outcomes().get("processes") == "ok", "a reading of the host")
        wait_for(lambda: "timeout" in get_outcomes().values(), "the end of the attempt to connect")
        messages = [reader.message for source in engine.status() for reader in source.readers]
        assert not any("barley" in message for message in messages)
        started = time.monotonic()
        assert engine.stop(15.0)
        assert time.monotonic() - started < 10

"""A server on a free port of the loopback, with a context that a test can bend."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from exporter.collect.status import ReadCycle, ReaderStatus, SourceStatus
from exporter.config.settings import Setting, WebSettings
from exporter.metrics.family import Family, Kind
from exporter.store.exposition import Format
from exporter.store.store import Store
from exporter.web.server import AppContext, Server, Timeouts

ANYWHERE = "127.0.0.1:0"
FAMILY = Family("airflow_test_slots", Kind.GAUGE, "How many slots a pool has", ("pool",))
OTHER = Family("airflow_test_heartbeats_total", Kind.COUNTER, "How many heartbeats were seen")
READER = ReaderStatus("pools", "Pools and their slots", 30.0, 30.0, 1000.0, 1000.0, "ok", "", 0.2)
SOURCE = SourceStatus(
    "airflow", True, True, "Airflow 3.3.2", (READER,), (ReadCycle("pools", 1000.0, 0.2, "ok", ("all well",)),)
)


def render_forever(_store: Store, _form: Format, _names: frozenset[str]) -> Iterator[bytes]:
    """A scrape that no reader gets to the end of."""
    while True:
        yield b"x" * 10_000


def make_store() -> Store:
    store = Store([FAMILY, OTHER])
    store.publish({FAMILY: {("default_pool",): 128, ("other",): 3}, OTHER: {(): 7}})
    return store


def make_context(**changes: Any) -> AppContext:
    """A context with one source that is well; `changes` replace what a test is about."""
    parts: dict[str, Any] = {
        "store": make_store(),
        "ready": lambda: True,
        "sources": lambda: [SOURCE],
        "configuration": lambda: [Setting("airflow.password_file", "***", "flag --airflow.password-file")],
    }
    return AppContext(**(parts | changes))


Serve = Callable[..., Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start servers that are stopped after the test. `web` are WebSettings, `context` is what makes a AppContext."""
    servers: list[Server] = []

    def start(
        context: AppContext | None = None,
        *,
        timeouts: Timeouts | None = None,
        watch_interval: float = 0.05,
        max_scrapes: int = 40,
        **web: Any,
    ) -> Server:
        settings = WebSettings(**({"listen_addresses": (ANYWHERE,)} | web))
        server = Server(
            context or make_context(),
            settings,
            timeouts=timeouts,
            watch_interval=watch_interval,
            max_scrapes=max_scrapes,
        )
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        if not server.alive:
            continue
        server.stop(timeout=0.5)
        assert not server.alive


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """The address of a server that nothing was changed of, shared by the tests of a module."""
    server = Server(make_context(), WebSettings(listen_addresses=(ANYWHERE,)))
    server.start()
    yield server.addresses[0]
    server.stop(timeout=0.5)


@pytest.fixture
def web_config(tmp_path: Path) -> Callable[[str], Path]:
    """Write a web configuration file, or replace it."""

    def write(text: str) -> Path:
        path = tmp_path / "web.yml"
        draft = tmp_path / "web.yml.new"
        draft.write_text(text)
        return draft.replace(path)

    return write

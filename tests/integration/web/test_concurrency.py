"""Pages and metrics are answered while other threads create families and series, count errors and record cycles."""

from __future__ import annotations

import http.client
import itertools
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from exporter.config.settings import ReceptionSettings, Setting, Settings
from exporter.engine import Engine
from exporter.metrics.family import Family, Kind
from exporter.sources.statsd import source as statsd_source
from exporter.sources.statsd.model import ALL_DIALECTS, Action, Resolution, Signature, Target
from exporter.sources.statsd.source import StatsdSource
from exporter.web.server import AppContext, Server
from tests.integration.web.conftest import Serve

SETTINGS = Settings(
    collectors={"airflow": False, "statsd": True, "host": True},
    reception=ReceptionSettings(listen_udp="127.0.0.1:0", listen_tcp=""),
)
SHORT = "/metrics?name[]=airflow_exporter_source_up"
"""Everything is brought up to date, and little is written."""
PATHS = ("/metrics", *[SHORT] * 20, "/sources", "/sources?format=json", "/config", "/")
SECONDS = 3.0


class EverNew:
    """Each name is a family of its own that has room for one series: the second is folded, or refused."""

    revision = 0
    dialects = ALL_DIALECTS

    def __init__(self) -> None:
        self._families: dict[str, Family] = {}

    def release(self, families: object) -> None:
        """No family is remembered."""

    def take_corrections(self) -> None:
        return None

    def find_similar(self, _key: object) -> None:
        return None

    def look_up(self, signature: Signature) -> Resolution:
        gauge = signature.type.value == "g"
        family = self._families.get(signature.name) or Family(
            signature.name, Kind.GAUGE if gauge else Kind.COUNTER, "", labels=("of",), cap=1, declared=False
        )
        self._families[signature.name] = family
        labels = tuple(value for _, value in signature.tags)
        return Resolution("new", (Target(family, labels, Action.SET if gauge else Action.ADD),))


@contextmanager
def run_beside(work: Callable[[int], None]) -> Iterator[None]:
    """Call `work` with 0, 1, 2 and so on in another thread while the block lasts."""
    stop = threading.Event()

    def go_on() -> None:
        for number in itertools.count():
            if stop.is_set():
                return
            work(number)
            time.sleep(0.0005)

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def _restless() -> Iterator[None]:
    """Threads take turns as often as they can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    yield
    sys.setswitchinterval(before)


def get(server: Server, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(server.addresses[0], timeout=30)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def make_engine_site(engine: Engine) -> AppContext:
    return AppContext(
        store=engine.store,
        ready=engine.ready,
        sources=engine.status,
        configuration=lambda: [Setting("state.file", "", "default")],
        refresh=engine.refresh,
    )


@pytest.mark.usefixtures("_restless")
def test_every_page_is_answered_while_families_series_and_errors_come(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statsd_source, "build_resolver", lambda *_: EverNew())
    engine = Engine(SETTINGS)
    engine.start()
    source = engine.sources.get("statsd")
    assert isinstance(source, StatsdSource)
    while not engine.ready():
        time.sleep(0.01)
    assert source.receiver is not None
    address = source.receiver._sockets[0].getsockname()
    supervisors = [one.supervisor for one in engine._running]

    def send(number: int) -> None:
        for kind in "cg":
            name = f"{kind}_{number % 20_000}"
            sock.sendto("\n".join(f"{name},of={one}:1|{kind}" for one in "abc").encode(), address)

    def count(number: int) -> None:
        engine.telemetry.count_error(f"source-{number % 500}", "internal")
        overfull = Family(f"airflow_x{number}", Kind.GAUGE, "x", labels=("of",), cap=1)
        engine.store.register(overfull)
        engine.store.publish({overfull: {("a",): 1, ("b",): 2}})

    def record(number: int) -> None:
        state = supervisors[number % len(supervisors)]._states["connection"]
        supervisors[number % len(supervisors)]._guard(state, lambda: None)

    server = serve(make_engine_site(engine))
    failures: list[tuple[int, bytes]] = []
    with socket.socket(type=socket.SOCK_DGRAM) as sock, run_beside(send), run_beside(count), run_beside(record):
        until = time.monotonic() + SECONDS
        for path in itertools.cycle(PATHS):
            status, body = get(server, path)
            if status != 200:
                failures.append((status, body[:200]))
            if time.monotonic() > until:
                break
    failing = [one for one in engine.status() for reader in one.readers if reader.outcome == "internal"]
    assert engine.stop(60)
    assert not failures
    assert not failing

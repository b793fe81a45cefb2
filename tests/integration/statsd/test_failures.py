"""Reception goes on, or says why not: a relay that cannot be resolved, a receiving thread that dies."""

from __future__ import annotations

import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from exporter.config.settings import ReceptionSettings
from exporter.metrics.catalogue import exporter
from exporter.metrics.reading import ReaderError
from exporter.sources.statsd.aggregator import Aggregator
from exporter.sources.statsd.model import Resolution, Signature
from exporter.sources.statsd.receive import relay as relay_module
from exporter.sources.statsd.receive.relay import Relay
from exporter.sources.statsd.source import StatsdSource
from exporter.store.live_tables import LiveTables
from exporter.store.store import Store
from tests.unit.sources.statsd.fake_resolver import FakeResolver


class FailingResolver(FakeResolver):
    """Drops everything, and may fail."""

    def __init__(self) -> None:
        self.fails = False

    def look_up(self, signature: Signature) -> Resolution:
        if self.fails:
            raise RuntimeError("boom")
        return Resolution("", drop="unmapped")


@pytest.fixture
def start() -> Iterator[Callable[..., StatsdSource]]:
    started: list[StatsdSource] = []

    def begin(relay: str = "") -> StatsdSource:
        reception = ReceptionSettings(listen_udp="127.0.0.1:0", listen_tcp="", receive_buffer=0, relay_address=relay)
        source = StatsdSource(reception, Aggregator(LiveTables(Store([])), FailingResolver()))
        started.append(source)
        source.connect()
        return source

    yield begin
    for source in started:
        source.close()


def send(source: StatsdSource, line: bytes) -> None:
    assert source.receiver is not None
    with socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(line, source.receiver._sockets[0].getsockname())


class Growing(Counter[str]):
    """The receiving thread adds a reason as soon as it is walked."""

    def items(self) -> Any:
        for number, pair in enumerate(super().items()):
            self[f"new_{number}"] += 1
            yield pair


def test_reasons_are_counted_while_the_receiving_thread_adds_one() -> None:
    aggregator = Aggregator(LiveTables(Store([])), FailingResolver())
    aggregator.rejected = Growing(bad_value=2, overflow=1)
    source = StatsdSource(ReceptionSettings(), aggregator)
    source.counts.connections.too_long = 3
    assert source.count_rejected() == {"bad_value": 2, "overflow": 1, "too_long": 3}


def wait_until(condition: Callable[[], Any]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def read(source: StatsdSource) -> list[str]:
    return list(source.readers[0].read().notes)


class AirflowNameResolver:
    """A resolver of host names that is told what to answer."""

    def __init__(self) -> None:
        self.port = 0
        self.asked = 0

    def __call__(self, host: str, port: int, *, type: int, flags: int = 0) -> list[tuple[Any, ...]]:  # noqa: A002
        if flags & socket.AI_NUMERICHOST or not self.port:
            self.asked += not flags
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        self.asked += 1
        return [(socket.AF_INET, socket.SOCK_DGRAM, 17, "", ("127.0.0.1", self.port))]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> AirflowNameResolver:
    found = AirflowNameResolver()
    monkeypatch.setattr(socket, "getaddrinfo", found)
    monkeypatch.setattr(relay_module, "BACKOFF", (0.05,))
    monkeypatch.setattr(relay_module, "LOOKUP_INTERVAL", 0.05)
    return found


def test_a_relay_that_does_not_resolve_costs_its_lines_and_not_reception(
    start: Callable[..., StatsdSource], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    found = AirflowNameResolver()
    monkeypatch.setattr(relay_module, "BACKOFF", (0.05,))
    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, *rest, **more: found(host, *rest, **more) if host == "nowhere" else real(host, *rest, **more),
    )
    source = start("nowhere:8125")
    send(source, b"a:1|c")
    wait_until(lambda: source.aggregator.lines == 1)
    wait_until(lambda: found.asked > 2)
    tables = source.tables()
    assert tables[exporter.STATSD_RELAY_UP] == {(): 0}
    assert tables[exporter.STATSD_RELAY_LOST] == {(): 1}
    assert any("cannot relay StatsD to nowhere:8125" in note for note in read(source))
    assert [record.levelname for record in caplog.records if "relay" in record.getMessage()] == ["WARNING"]


def test_a_relay_whose_name_is_not_valid_does_not_stop_reception(start: Callable[..., StatsdSource]) -> None:
    source = start("a..b:8125")
    send(source, b"a:1|c")
    wait_until(lambda: source.aggregator.lines == 1)
    wait_until(lambda: any("the host name is not valid" in note for note in read(source)))


def test_a_relay_is_looked_up_again_until_it_is_there_and_follows_its_name(names: AirflowNameResolver) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as one, socket.socket(type=socket.SOCK_DGRAM) as two:
        for sock in (one, two):
            sock.bind(("127.0.0.1", 0))
            sock.settimeout(10)
        relay = Relay("statsd.example:8125")
        relay.open()
        wait_until(lambda: names.asked > 1 and not relay.ready)
        names.port = one.getsockname()[1]
        wait_until(lambda: relay.ready)
        relay([b"a:1|c"])
        assert one.recv(100) == b"a:1|c"
        names.port = two.getsockname()[1]
        asked = names.asked
        wait_until(lambda: names.asked > asked + 2)
        relay([b"b:1|c"])
        assert two.recv(100) == b"b:1|c"
        names.port = 0
        wait_until(lambda: relay.problem)
        assert relay.ready  # the last address is better than none
        thread = relay._thread
        relay.close()
        assert thread is not None
        thread.join(10)
        assert not thread.is_alive()


def test_the_death_of_the_receiving_thread_is_logged_shown_and_mended(
    start: Callable[..., StatsdSource], caplog: pytest.LogCaptureFixture
) -> None:
    source = start()
    send(source, b"a:1|c")
    wait_until(lambda: source.aggregator.lines == 1)
    source.aggregator.resolver.fails = True  # type: ignore[attr-defined]
    dead = source.receiver
    assert dead is not None
    send(source, b"b:1|c")
    wait_until(lambda: not dead.alive)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "RuntimeError: boom" in caplog.text
    with pytest.raises(ReaderError, match="RuntimeError: boom") as caught:
        read(source)
    assert caught.value.reason == "unreachable"  # after which the supervisor connects again
    source.aggregator.resolver.fails = False  # type: ignore[attr-defined]
    source.connect()
    send(source, b"c:1|c")
    wait_until(lambda: source.aggregator.lines == 2)
    assert source.tables()[exporter.STATSD_PACKETS][("udp",)] == 3


def test_a_change_arrives_although_the_receiving_thread_dies_before_it(start: Callable[..., StatsdSource]) -> None:
    source = start()
    receiver = source.receiver
    assert receiver is not None
    entered, leave = threading.Event(), threading.Event()

    def die() -> None:
        entered.set()
        leave.wait(10)
        raise RuntimeError("boom")

    receiver.call(die)
    entered.wait(10)
    wanted, later = FailingResolver(), FailingResolver()
    source.set_resolver(wanted)
    leave.set()
    wait_until(lambda: not receiver.alive)
    assert source.aggregator.resolver is wanted
    source.set_resolver(later)
    assert source.aggregator.resolver is later

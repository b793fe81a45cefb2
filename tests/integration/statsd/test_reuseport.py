"""Several sockets on one port: they hold what one cannot, keep the order, and nobody else can join them."""

from __future__ import annotations

import os
import random
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from exporter.metrics.reading import ReaderError
from exporter.sources.statsd.receive import ordering, reuseport
from exporter.sources.statsd.receive.ordering import OrderedReader
from exporter.sources.statsd.receive.receiver import build_reader
from exporter.sources.statsd.receive.reuseport import MAX_SOCKETS, bind_port
from exporter.sources.statsd.receive.sockets import enlarge

STOCK = 277
"""Small datagrams that one socket holds with the system's own buffer, where nobody changed it."""


class Port(NamedTuple):
    """Sockets that share a port, what reads them, and what sends to them."""

    socks: list[socket.socket]
    reader: OrderedReader
    sender: socket.socket

    def send(self, *numbers: int) -> None:
        # The kernel queues per CPU: a sender that moves to another CPU can overtake what it sent before.
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {min(allowed)})
        try:
            for number in numbers:
                self.sender.send(b"%d" % number)
        finally:
            os.sched_setaffinity(0, allowed)

    def send_until_reported(self) -> int:
        """Each socket reports what it lost with the next datagram that it keeps: let each of them keep one."""
        for number in range(100):
            self.send(*[number] * 20)
            while self.reader.read():
                pass
        return self.reader.lost

    def read(self) -> list[int]:
        return [int(datagram) for datagram in self.reader.read()]


class Clock:
    """Tells these times, in nanoseconds, at the beginning of a round, which takes what was stamped before them."""

    def __init__(self, begins: Iterable[int]) -> None:
        self._begins = iter(begins)
        self._began = False
        self.slept = 0.0

    def time_ns(self) -> int:
        self._began = not self._began
        return next(self._begins) + int(ordering.QUEUE_DELAY * 10**9) if self._began else time.time_ns()

    def sleep(self, seconds: float) -> None:
        self.slept += seconds


class ClockSetBack:
    """One hour behind the clock that made the stamps."""

    sleep = staticmethod(time.sleep)

    def time_ns(self) -> int:
        return time.time_ns() - 3_600 * 10**9


@pytest.fixture
def bind() -> Iterator[Callable[..., list[socket.socket]]]:
    with ExitStack() as stack:

        def call(where: str = "127.0.0.1:0", size: int = 0, *, shared: bool = True) -> list[socket.socket]:
            return [stack.enter_context(sock) for sock in bind_port(where, size, shared=shared)]

        yield call


@pytest.fixture
def port(bind: Callable[..., list[socket.socket]]) -> Iterator[Port]:
    socks = bind()
    reader = build_reader(socks)
    assert isinstance(reader, OrderedReader)
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.connect(socks[0].getsockname())
        yield Port(socks, reader, sender)


def test_together_they_hold_many_times_what_one_socket_holds(port: Port) -> None:
    sent = range(8 * STOCK)
    port.send(*sent)
    time.sleep(0.1)
    assert port.read() == list(sent)
    assert port.reader.lost == 0


def test_there_are_as_many_as_have_the_room_that_was_asked_for(bind: Callable[..., list[socket.socket]]) -> None:
    granted = bind(size=32_768)
    assert len(granted) == 1, "the kernel grants that to one"
    system = enlarge(bind(shared=False)[0], 0)
    assert len(bind()) == min(MAX_SOCKETS, -(-reuseport.DEFAULT_BUFFER_BYTES // system)) + 1


def test_where_the_kernel_grants_less_than_was_asked_for_more_sockets_make_up_for_it(
    bind: Callable[..., list[socket.socket]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reuseport, "enlarge", lambda sock, size: enlarge(sock, min(size, 425_984)))
    assert len(bind(size=4 * 1024 * 1024)) == 10 + 1


def test_whatever_is_sent_is_read_in_its_order_while_it_is_being_sent(port: Port) -> None:
    many = 60_000
    thread = threading.Thread(target=port.send, args=range(many))
    received: list[int] = []
    chance = random.Random(1)
    thread.start()
    while thread.is_alive():
        received += port.read()
        time.sleep(chance.choice((0, 0, 0.001)))
    while batch := port.read():
        received += batch
    thread.join()
    assert received == sorted(received)
    assert len(received) + port.send_until_reported() == many


def test_what_comes_while_a_round_goes_on_waits_for_the_next_one(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    port.send(1, 2)
    between = time.time_ns()
    port.send(3, 4)
    began = [between, time.time_ns()]
    monkeypatch.setattr(ordering, "time", Clock(began))
    assert port.read() == [1, 2]
    port.send(5)
    assert port.read() == [3, 4], "and what comes now for the one after it"
    monkeypatch.undo()
    assert port.read() == [5]
    assert port.read() == []


def test_nothing_is_held_back_where_there_is_nothing_else(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    before = time.time_ns()
    port.send(*range(20))
    clock = Clock([before, time.time_ns()])
    monkeypatch.setattr(ordering, "time", clock)
    assert port.read() == list(range(20))
    assert clock.slept == ordering.QUEUE_DELAY


def test_what_was_stamped_just_before_the_round_may_not_be_queued_yet_and_waits(port: Port) -> None:
    """A neighbour with an older stamp may still be on its way to a socket that was already read."""
    port.send(1)
    time.sleep(2 * ordering.QUEUE_DELAY)
    port.send(2)
    began = time.monotonic()
    received = port.read()
    if received == [1]:
        received += port.read()
        assert time.monotonic() - began >= ordering.QUEUE_DELAY
    assert received == [1, 2]


def test_few_datagrams_come_to_the_socket_of_the_alarm(bind: Callable[..., list[socket.socket]]) -> None:
    *others, last = bind()
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.connect(last.getsockname())
        for _ in range(2_000):
            sender.send(b"a:1|c")
    reader = build_reader([last])
    assert 0 < len(reader.read()) < 60, "2,000 / ALARM_SHARE are 16"
    assert all(len(build_reader([one]).read()) > 60 for one in others), "and the others share the rest"


def test_a_clock_that_was_set_back_holds_nothing_up(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    port.send(1)
    monkeypatch.setattr(ordering, "time", ClockSetBack())
    assert port.read() == [1]
    port.send(2)
    assert port.read() == [2]


def test_each_datagram_keeps_its_sender_whatever_round_it_comes_in(port: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = [f"127.0.0.{number}" for number in range(1, 40)]
    with ExitStack() as stack:
        senders = []
        for host in hosts:
            sender = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
            sender.bind((host, 0))
            sender.connect(port.socks[0].getsockname())
            senders.append(sender)
        for host, sender in zip(hosts[:20], senders[:20], strict=True):
            sender.send(host.encode())
        between = time.time_ns()
        for host, sender in zip(hosts[20:], senders[20:], strict=True):
            sender.send(host.encode())
        began = [between, time.time_ns()]
        monkeypatch.setattr(ordering, "time", Clock(began))
        for some in (hosts[:20], hosts[20:]):
            assert [datagram.decode() for datagram in port.reader.read()] == some
            assert [socket.inet_ntoa(port.reader.sender(place)) for place in range(len(some))] == some
            assert port.reader.find_only_sender() is None
        monkeypatch.undo()
        senders[0].send(b"once more")
        assert port.reader.read() == [b"once more"]
        assert port.reader.find_only_sender() == socket.inet_aton(hosts[0])


def test_what_each_of_them_lost_is_counted(bind: Callable[..., list[socket.socket]]) -> None:
    socks = bind()
    for sock in socks:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    reader = build_reader(socks)
    assert isinstance(reader, OrderedReader)
    with socket.socket(type=socket.SOCK_DGRAM) as sender:
        sender.connect(socks[0].getsockname())
        received = 0
        for _ in range(2):
            for _ in range(1_000):
                sender.send(b"a:1|c")
            while batch := reader.read():
                received += len(batch)
        assert 0 < Port(socks, reader, sender).send_until_reported() == 2_000 - received


@pytest.mark.parametrize("where", ["127.0.0.1:0", "[::1]:0", ":0"])
def test_a_second_exporter_is_told_that_the_port_is_taken(where: str, bind: Callable[..., list[socket.socket]]) -> None:
    number = bind(where)[0].getsockname()[1]
    with pytest.raises(ReaderError, match="another process listens on it"):
        bind_port(where.removesuffix("0") + str(number), 0, shared=True)


def test_without_a_host_ipv4_and_ipv6_both_arrive(bind: Callable[..., list[socket.socket]]) -> None:
    socks = bind(":0")
    reader = build_reader(socks)
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            for number in range(100):
                sender.sendto(b"%d" % number, (host, socks[0].getsockname()[1]))
        received: list[int] = []
        while batch := reader.read():
            received += map(int, batch)
        assert received == list(range(100))


def test_a_kernel_that_cannot_share_gives_one_socket_that_nobody_can_join(
    bind: Callable[..., list[socket.socket]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(92, "Protocol not available")

    monkeypatch.setattr(reuseport, "attach_random_filter", refuse)
    (only,) = bind()
    with socket.socket(type=socket.SOCK_DGRAM) as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        with pytest.raises(OSError, match="in use"):
            other.bind(only.getsockname())
        other.sendto(b"a:1|c", only.getsockname())
    assert build_reader([only]).read() == [b"a:1|c"]

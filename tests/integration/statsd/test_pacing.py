"""The receiving thread rests until a read is worth it, and never so long that a burst is lost.

Some see real sockets, the others a stream on a clock of its own, where nothing else takes any time.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from exporter.sources.statsd.receive.pacing import COUNTED, LONGEST, MOST, NAP, SHARE, Rest

SLACK = 0.05
"""Seconds that a busy machine may add."""
STOCK = 212_992
"""The system's own receive buffer."""


class Pair(NamedTuple):
    """A receiving socket with the system's own buffer, and what sends to it."""

    here: socket.socket
    there: socket.socket

    @property
    def room(self) -> int:
        return self.here.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)

    def send(self, many: int) -> None:
        for _ in range(many):
            self.there.send(b"airflow.ti.start.sales.load:1|c")


@pytest.fixture
def pair() -> Iterator[Pair]:
    with socket.socket(type=socket.SOCK_DGRAM) as here, socket.socket(type=socket.SOCK_DGRAM) as there:
        here.bind(("127.0.0.1", 0))
        here.setblocking(False)
        there.connect(here.getsockname())
        yield Pair(here, there)


def measure(rest: Rest, arrived: int = 1) -> float:
    began = time.monotonic()
    rest.take(arrived)
    return time.monotonic() - began


def test_a_rest_ends_at_once_where_enough_waits(pair: Pair) -> None:
    rest = Rest([pair.here])
    measure(rest)
    pair.send(int(pair.room / SHARE / COUNTED) + 1)
    assert measure(rest) < LONGEST / 2 + SLACK


def test_a_rest_is_as_long_as_may_be_where_little_comes(pair: Pair) -> None:
    rest = Rest([pair.here])
    for _ in range(5):
        measure(rest)
    pair.send(1)
    assert LONGEST * 0.9 < measure(rest) < LONGEST + 3 * SLACK, "each nap may be late"


class Stream:
    """Time and a socket in one: naps move the clock on, each `late` by so many seconds; datagrams come meanwhile."""

    def __init__(self, rate: float, late: float = 0.0) -> None:
        self.rate = rate
        self.late = late
        self.now = self.read_at = 1000.0
        self.waits = 0.0
        self.fullest = 0.0
        self.naps: list[float] = []
        self.room = STOCK

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds + self.late
        self.waits += (seconds + self.late) * self.rate * COUNTED
        self.fullest = max(self.fullest, self.waits)

    def getsockopt(self, _: int, option: int) -> int:
        return self.room if option == socket.SO_RCVBUF else int(self.waits)

    def read(self) -> float:
        """Take all that waits; returns how many."""
        waits, self.waits = self.waits / COUNTED, 0.0
        return waits


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Stream:
    stream = Stream(2_500)
    monkeypatch.setattr("exporter.sources.statsd.receive.pacing.time", stream)
    return stream


def listen(stream: Stream, rest: Rest, seconds: float = 2.0) -> list[float]:
    """Rest and read by turns for so long; returns how many datagrams each read brought."""
    end = stream.now + seconds
    brought = [1.0]
    while stream.now < end:
        rest.take(round(brought[-1]))
        brought.append(stream.read())
    return brought[2:]


def make_rest(stream: Stream, room: int = STOCK) -> Rest:
    stream.room = room
    rest = Rest([stream])  # type: ignore[list-item]
    listen(stream, rest)
    stream.naps.clear()
    stream.fullest = 0.0
    return rest


def test_a_steady_stream_wakes_the_thread_seldom(stream: Stream) -> None:
    brought = listen(stream, make_rest(stream))
    assert min(brought) > 50
    assert len(stream.naps) < 2.0 * 130


def test_a_fast_stream_is_read_when_the_buffer_is_half_full(stream: Stream) -> None:
    stream.rate = 20_000
    brought = listen(stream, make_rest(stream))
    assert 130 < min(brought) <= max(brought) < 145
    assert len(stream.naps) <= len(brought) + 2, "one nap a read"


def test_a_large_buffer_lets_it_sleep_through(stream: Stream) -> None:
    brought = listen(stream, make_rest(stream, 4 * 1024 * 1024))
    assert min(brought) > 240
    assert len(stream.naps) <= (2.0 + LONGEST) / NAP


def test_a_large_buffer_takes_a_burst_of_ten_times_what_the_stock_one_takes(stream: Stream) -> None:
    large = 4 * 1024 * 1024
    rest = make_rest(stream, large)
    for quiet in range(1, 12):
        listen(stream, rest, 0.007 * quiet)
        stream.rate = 200_000
        listen(stream, rest, 0.05)
        stream.rate = 2_500
    assert stream.fullest < large


@pytest.mark.parametrize("late", [0.0, 0.001, 0.004, 0.006])
@pytest.mark.parametrize("rate", [0, 50, 2_500, 8_000])
def test_a_burst_that_begins_during_any_nap_finds_room(stream: Stream, rate: float, late: float) -> None:
    stream.rate, stream.late = rate, late
    rest = make_rest(stream)
    for quiet in range(1, 12):
        listen(stream, rest, 0.007 * quiet)
        stream.rate = 20_000
        listen(stream, rest, 0.05)
        stream.rate = rate
    assert stream.fullest < STOCK


@pytest.mark.parametrize("rate", [20_000, 60_000, 120_000, 200_000])
def test_a_burst_out_of_silence_finds_room_whatever_its_speed(stream: Stream, rate: float) -> None:
    rest = make_rest(stream)
    rest.forget()
    stream.rate = rate
    listen(stream, rest, 0.1)
    assert stream.fullest < STOCK


def test_a_sender_that_hesitates_before_its_burst_is_trusted_step_by_step(stream: Stream) -> None:
    rest = make_rest(stream)
    rest.forget()
    stream.rate = 0
    rest.take(1)
    rest.take(1)
    stream.rate = 60_000
    listen(stream, rest, 0.1)
    assert stream.fullest < STOCK


def test_sockets_that_share_a_port_rest_by_what_all_of_them_hold() -> None:
    with ExitStack() as stack:
        socks = [stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(16)]
        there = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        rest = Rest(socks)
        assert rest.room == sum(sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) for sock in socks)
        for _ in range(5):
            measure(rest)
        for place in range(MOST):
            there.sendto(b"airflow.ti.start.sales.load:1|c", socks[place % 16].getsockname())
        assert measure(rest) < LONGEST / 2 + SLACK, "64 in each are enough, though none is half full"


def test_after_late_wakings_naps_are_shorter_and_then_as_long_as_before(stream: Stream) -> None:
    rest = make_rest(stream)
    listen(stream, rest)
    usual = max(stream.naps)
    stream.late = 0.005
    listen(stream, rest, 0.2)
    stream.naps.clear()
    stream.late = 0.0
    rest.take(1)
    assert stream.naps[0] == pytest.approx(usual - 0.005, abs=0.0005)
    listen(stream, rest)
    assert max(stream.naps) == pytest.approx(usual, abs=0.0005)


class Silent:
    """A socket of a system that does not tell what waits."""

    def getsockopt(self, _: int, option: int) -> int:
        if option == socket.SO_RCVBUF:
            return STOCK
        raise OSError(92, "Protocol not available")


def test_where_the_kernel_does_not_tell_a_rest_goes_by_what_came() -> None:
    rest = Rest([Silent()])  # type: ignore[list-item]
    measure(rest)
    assert measure(rest, arrived=2_000) < LONGEST / 2 + SLACK
    time.sleep(0.1)
    assert measure(rest, arrived=1) > LONGEST * 0.9

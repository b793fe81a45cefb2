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

from exporter.sources.statsd.receive.alarm import ALARM_SHARE
from exporter.sources.statsd.receive.pacing import (
    BUFFER_SHARE,
    DATAGRAM_MEMORY,
    MAX_ALARM_SLEEP,
    MAX_DATAGRAMS_PER_READ,
    MAX_SLEEP,
    MAX_STEP,
    MIN_USEFUL_STEP,
    ReadPacer,
)

SLACK = 0.05
"""Seconds that a busy machine may add."""
STOCK = 212_992
"""The system's own receive buffer."""
SHARED = 15 * STOCK
"""What the sockets have together that share a port, without that of the alarm."""


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


def measure(pacer: ReadPacer, arrived: int = 1) -> float:
    began = time.monotonic()
    pacer.sleep(arrived)
    return time.monotonic() - began


def test_a_sleep_ends_at_once_where_enough_waits(pair: Pair) -> None:
    pacer = ReadPacer([pair.here])
    measure(pacer)
    pair.send(int(pair.room / BUFFER_SHARE / DATAGRAM_MEMORY) + 1)
    assert measure(pacer) < MAX_SLEEP / 2 + SLACK


class Stream:
    """Time and a socket in one: steps move the clock on, each `late` by so many seconds; datagrams come meanwhile."""

    def __init__(self, rate: float, late: float = 0.0) -> None:
        self.rate = rate
        self.late = late
        self.now = self.read_at = 1000.0
        self.waits = 0.0
        self.fullest = 0.0
        self.steps: list[float] = []
        self.room = STOCK

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.steps.append(seconds)
        self.now += seconds + self.late
        self.waits += (seconds + self.late) * self.rate * DATAGRAM_MEMORY
        self.fullest = max(self.fullest, self.waits)

    def getsockopt(self, _: int, option: int) -> int:
        return self.room if option == socket.SO_RCVBUF else int(self.waits)

    def read(self) -> float:
        """Read everything that waits; returns the number of datagrams."""
        waits, self.waits = self.waits / DATAGRAM_MEMORY, 0.0
        return waits


@pytest.fixture
def stream(monkeypatch: pytest.MonkeyPatch) -> Stream:
    stream = Stream(2_500)
    monkeypatch.setattr("exporter.sources.statsd.receive.pacing.time", stream)
    return stream


def listen(stream: Stream, pacer: ReadPacer, seconds: float = 2.0) -> list[float]:
    """Sleep and read in turns for `seconds`; returns the number of datagrams of each read."""
    end = stream.now + seconds
    brought = [1.0]
    while stream.now < end:
        pacer.sleep(round(brought[-1]))
        brought.append(stream.read())
    return brought[2:]


def make_pacer(stream: Stream, room: int = STOCK) -> ReadPacer:
    stream.room = room
    pacer = ReadPacer([stream])  # type: ignore[list-item]
    listen(stream, pacer)
    stream.steps.clear()
    stream.fullest = 0.0
    return pacer


def test_a_steady_stream_wakes_the_thread_seldom(stream: Stream) -> None:
    brought = listen(stream, make_pacer(stream))
    assert min(brought) > 50
    assert len(stream.steps) < 2.0 * 130


def test_a_fast_stream_is_read_when_the_buffer_is_half_full(stream: Stream) -> None:
    stream.rate = 20_000
    brought = listen(stream, make_pacer(stream))
    assert 130 < min(brought) <= max(brought) < 145
    assert len(stream.steps) <= len(brought) + 2, "one nap a read"


def test_a_large_buffer_lets_it_sleep_through(stream: Stream) -> None:
    brought = listen(stream, make_pacer(stream, 4 * 1024 * 1024))
    assert min(brought) > 240
    assert len(stream.steps) <= (2.0 + MAX_SLEEP) / MAX_STEP


def test_a_large_buffer_takes_a_burst_of_ten_times_what_the_stock_one_takes(stream: Stream) -> None:
    large = 4 * 1024 * 1024
    pacer = make_pacer(stream, large)
    for quiet in range(1, 12):
        listen(stream, pacer, 0.007 * quiet)
        stream.rate = 200_000
        listen(stream, pacer, 0.05)
        stream.rate = 2_500
    assert stream.fullest < large


@pytest.mark.parametrize("late", [0.0, 0.001, 0.004, 0.006])
@pytest.mark.parametrize("rate", [0, 50, 2_500, 8_000])
def test_a_burst_that_begins_during_any_step_finds_room(stream: Stream, rate: float, late: float) -> None:
    stream.rate, stream.late = rate, late
    pacer = make_pacer(stream)
    for quiet in range(1, 12):
        listen(stream, pacer, 0.007 * quiet)
        stream.rate = 20_000
        listen(stream, pacer, 0.05)
        stream.rate = rate
    assert stream.fullest < STOCK


@pytest.mark.parametrize("rate", [20_000, 60_000, 120_000, 200_000])
def test_a_burst_out_of_silence_finds_room_whatever_its_speed(stream: Stream, rate: float) -> None:
    pacer = make_pacer(stream)
    pacer.reset()
    stream.rate = rate
    listen(stream, pacer, 0.1)
    assert stream.fullest < STOCK


def test_a_sender_that_hesitates_before_its_burst_is_trusted_step_by_step(stream: Stream) -> None:
    pacer = make_pacer(stream)
    pacer.reset()
    stream.rate = 0
    pacer.sleep(1)
    pacer.sleep(1)
    stream.rate = 60_000
    listen(stream, pacer, 0.1)
    assert stream.fullest < STOCK


def test_sockets_that_share_a_port_sleep_by_what_all_of_them_hold() -> None:
    with ExitStack() as stack:
        socks = [stack.enter_context(socket.socket(type=socket.SOCK_DGRAM)) for _ in range(16)]
        there = stack.enter_context(socket.socket(type=socket.SOCK_DGRAM))
        for sock in socks:
            sock.bind(("127.0.0.1", 0))
        pacer = ReadPacer(socks)
        assert pacer.room == sum(sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) for sock in socks)
        for _ in range(5):
            measure(pacer)
        for place in range(MAX_DATAGRAMS_PER_READ):
            there.sendto(b"airflow.ti.start.sales.load:1|c", socks[place % 16].getsockname())
        assert measure(pacer) < MAX_SLEEP / 2 + SLACK, "64 in each are enough, though none is half full"


def test_after_late_wakings_steps_are_shorter_and_then_as_long_as_before(stream: Stream) -> None:
    pacer = make_pacer(stream)
    listen(stream, pacer)
    usual = max(stream.steps)
    stream.late = 0.005
    listen(stream, pacer, 0.2)
    stream.steps.clear()
    stream.late = 0.0
    pacer.sleep(1)
    assert stream.steps[0] == pytest.approx(usual - 0.005, abs=0.0005)
    listen(stream, pacer)
    assert max(stream.steps) == pytest.approx(usual, abs=0.0005)


def test_with_little_traffic_a_sleep_is_as_long_as_allowed(stream: Stream) -> None:
    stream.rate = 10
    pacer = make_pacer(stream)
    began = stream.now
    pacer.sleep(1)
    assert stream.now - began == pytest.approx(MAX_SLEEP, abs=MIN_USEFUL_STEP)


class Ring:
    """An alarm on the stream's clock: every 128th datagram rings, after which the thread wakes `late`."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.waits: list[float] = []
        self.rings = 0

    def wait(self, seconds: float) -> bool:
        gap = ALARM_SHARE / self._stream.rate if self._stream.rate else seconds + 1
        self.waits.append(seconds)
        self._stream.sleep(min(seconds, gap))
        self.rings += gap < seconds
        return gap < seconds


def make_alarmed(stream: Stream, rate: float) -> tuple[ReadPacer, Ring]:
    ring = Ring(stream)
    stream.room = SHARED
    pacer = ReadPacer([stream], ring)  # type: ignore[list-item]
    stream.rate = rate
    listen(stream, pacer, 3.0)
    ring.waits.clear()
    ring.rings = 0
    stream.steps.clear()
    return pacer, ring


@pytest.mark.parametrize("rate", [50, 100, 400])
def test_an_alarm_lets_the_thread_sleep_for_half_a_second_at_real_rates(stream: Stream, rate: float) -> None:
    pacer, ring = make_alarmed(stream, rate)
    assert min(listen(stream, pacer, 5.0)) >= min(rate * MAX_ALARM_SLEEP * 0.9, 200)
    assert len(stream.steps) == len(ring.waits) <= 5.0 / MAX_ALARM_SLEEP + 5.0 * rate / ALARM_SHARE + 1


@pytest.mark.parametrize("late", [0.0, 0.006])
@pytest.mark.parametrize("burst", [20_000, 60_000, 200_000])
@pytest.mark.parametrize("rate", [0, 50, 2_500])
def test_an_alarm_ends_the_sleep_of_a_slow_stream_for_a_burst_of_any_speed(
    stream: Stream, rate: float, burst: float, late: float
) -> None:
    stream.late = late
    pacer, ring = make_alarmed(stream, rate)
    stream.fullest, stream.waits, stream.rate = 0.0, 0.0, burst
    pacer.sleep(round(rate / 5))
    assert ring.rings
    stream.read()
    listen(stream, pacer, 0.05)
    assert stream.fullest < SHARED


def test_an_alarm_is_not_used_where_it_would_ring_more_often_than_steps_end(stream: Stream) -> None:
    pacer, ring = make_alarmed(stream, 20_000)
    pacer.sleep(1_000)
    ring.waits.clear()
    for _ in range(20):
        pacer.sleep(round(stream.read()))
    assert not ring.waits
    assert max(stream.steps) <= MAX_STEP


def test_with_other_senders_to_serve_a_sleep_is_as_short_as_without_an_alarm(stream: Stream) -> None:
    pacer, ring = make_alarmed(stream, 50)
    began = stream.now
    pacer.sleep(25, brief=True)
    assert stream.now - began < MAX_SLEEP + MIN_USEFUL_STEP
    assert not ring.waits


class Silent(Stream):
    """A socket of a system without SO_MEMINFO, which does not report what waits."""

    def getsockopt(self, _: int, option: int) -> int:
        if option == socket.SO_RCVBUF:
            return STOCK
        raise OSError(92, "Protocol not available")


def test_without_meminfo_a_sleep_depends_on_what_arrived_before(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Silent(10)
    monkeypatch.setattr("exporter.sources.statsd.receive.pacing.time", stream)
    pacer = ReadPacer([stream])  # type: ignore[list-item]
    lengths = []
    for pause, arrived in ((0.1, 1), (0.1, 1), (0.1, 1), (0.01, 2_000), (0.1, 1)):
        stream.now += pause
        began = stream.now
        pacer.sleep(arrived)
        lengths.append(stream.now - began)
    assert lengths[3] < MAX_SLEEP / 10
    assert lengths[4] > MAX_SLEEP * 0.9

"""The receiving thread rests until a read is worth it, and never so long that a burst is lost."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from exporter.sources.statsd.rest import COUNTED, LONGEST, SHARE, Rest

SLACK = 0.05
"""Seconds that a busy machine may add."""


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
    rest = Rest(pair.here, pair.room)
    measure(rest)
    pair.send(int(pair.room / SHARE / COUNTED) + 1)
    assert measure(rest) < LONGEST / 2 + SLACK


def test_a_rest_is_as_long_as_may_be_where_little_comes(pair: Pair) -> None:
    rest = Rest(pair.here, pair.room)
    pair.send(1)
    assert LONGEST * 0.9 < measure(rest) < LONGEST + SLACK


def test_no_nap_is_longer_than_a_burst_needs_to_fill_what_is_left(pair: Pair) -> None:
    rest = Rest(pair.here, pair.room)
    measure(rest)
    assert rest._choose_nap(0, LONGEST) == pytest.approx(pair.room / COUNTED / 33_000)
    assert rest._choose_nap(pair.room * 0.2, LONGEST) == pytest.approx(0.8 * pair.room / COUNTED / 33_000)


class Silent:
    """A socket of a system that does not tell what waits."""

    def getsockopt(self, *_: int) -> bytes:
        raise OSError(92, "Protocol not available")


def test_where_the_kernel_does_not_tell_a_rest_goes_by_what_came(pair: Pair) -> None:
    rest = Rest(Silent(), pair.room)  # type: ignore[arg-type]
    measure(rest)
    assert measure(rest, arrived=2_000) < LONGEST / 2 + SLACK
    time.sleep(0.1)
    assert measure(rest, arrived=1) > LONGEST * 0.9

"""How tests talk to the server: whole requests, and bare sockets for what a well-behaved client never does."""

from __future__ import annotations

import http.client
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

PATIENCE = 10.0
"""Seconds after which a test gives up waiting."""


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes


def ask(
    address: str,
    path: str = "/metrics",
    *,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
) -> Reply:
    """Send one request on a connection of its own."""
    secure = partial(http.client.HTTPSConnection, context=tls) if tls else http.client.HTTPConnection
    connection = secure(address, timeout=PATIENCE)
    try:
        connection.request(method, path, headers=dict(headers or {}))
        response = connection.getresponse()
        return Reply(response.status, response.headers, response.read())
    finally:
        connection.close()


@contextmanager
def connect(address: str, *, receive_buffer: int = 0) -> Iterator[socket.socket]:
    """A bare connection; a small `receive_buffer` makes a reader that takes little ahead."""
    host, port = address.rsplit(":", 1)
    with socket.socket() as client:
        client.settimeout(PATIENCE)
        if receive_buffer:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.connect((host, int(port)))
        yield client


def request(path: str = "/metrics", method: str = "GET", *headers: str) -> bytes:
    """The bytes of a request."""
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: test", *headers, "", ""]).encode()


def read_all(client: socket.socket) -> bytes:
    """What comes until the server closes or resets the connection."""
    received = b""
    try:
        while piece := client.recv(65536):
            received += piece
    except ConnectionError:
        pass
    return received


def read_until(client: socket.socket, ending: bytes) -> bytes:
    """What comes until it ends like this."""
    received = b""
    while not received.endswith(ending):
        piece = client.recv(65536)
        assert piece, f"closed after {received!r}"
        received += piece
    return received


def wait_until(condition: Callable[[], object]) -> None:
    """Look until something is true."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.005)


def time_scrape(address: str, tls: ssl.SSLContext | None = None) -> float:
    """Seconds that a whole scrape takes, connection included."""
    start = time.perf_counter()
    assert ask(address, tls=tls).status == 200
    return time.perf_counter() - start

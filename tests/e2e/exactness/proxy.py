"""A small HTTP proxy between the exporter and Airflow's API that delays, cuts off and fails requests on command.

It records every request, so that a test knows afterwards which polls were undisturbed.
"""

from __future__ import annotations

import http.client
import random
import select
import socket
import threading
import time
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import urlsplit

HOST = "127.0.0.1"
UPSTREAM_TIMEOUT = 120.0
HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host"})
PAGE = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Please sign in</body></html>"


class Exchange(NamedTuple):
    """One request and its result. Times are Unix seconds, `fault` is empty if there was none."""

    began: float
    ended: float
    method: str
    target: str
    status: int
    fault: str
    date: float = 0.0
    """The `Date` header of the reply, in whole Unix seconds."""

    @property
    def sound(self) -> bool:
        """Whether the client got the server's own answer, perhaps late; HTTP 404 is an answer too."""
        return self.fault in ("", "delay", "hold") and (200 <= self.status < 300 or self.status == HTTPStatus.NOT_FOUND)


class Reply(NamedTuple):
    """A reply to the client."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(frozen=True)
class Faults:
    """The share of all requests that are delayed, cut off or failed, and what is changed in all replies."""

    delayed: float = 0.0
    delay_seconds: float = 3.0
    held: float = 0.0
    """The share whose reply is kept back for `delay_seconds`, so that it arrives with what was true before."""
    cut: float = 0.0
    failed: float = 0.0
    date_offset: int = 0
    """Seconds that are added to the `Date` header of every reply."""


FAILURES = {
    "500": Reply(500, [("Content-Type", "application/json")], b'{"detail":"Internal Server Error"}'),
    "503": Reply(503, [("Content-Type", "text/plain")], b"upstream connect error"),
    "429": Reply(429, [("Content-Type", "text/plain"), ("Retry-After", "1")], b"Too many requests"),
    "html": Reply(200, [("Content-Type", "text/html; charset=utf-8")], PAGE),
}
BAD_GATEWAY = Reply(502, [("Content-Type", "text/html")], b"<html><body>502 Bad Gateway</body></html>")


class Proxy:
    """Listens on a loopback port and forwards every request to one server."""

    def __init__(self, upstream: str, seed: int = 1) -> None:
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or HOST, parts.port or 80)
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        self._exchanges: list[Exchange] = []
        self._running = 0
        self.faults = Faults()
        self._server = _Server((HOST, 0), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, name="proxy", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """The URL of the proxy."""
        return f"http://{HOST}:{self._server.server_address[1]}"

    def is_busy(self) -> bool:
        """Whether a request is in progress."""
        return self._running > 0

    def exchanges(self) -> list[Exchange]:
        """All completed requests, in the order of their ends."""
        with self._lock:
            return list(self._exchanges)

    def close(self) -> None:
        """Stop listening and close all connections."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)

    def choose(self) -> str:
        """The fault of the next request; empty for none."""
        with self._lock:
            chance = self._random.random()
            failure = self._random.choice(sorted(FAILURES))
        faults = self.faults
        chances = ((faults.delayed, "delay"), (faults.held, "hold"), (faults.cut, "cut"), (faults.failed, failure))
        for share, name in chances:
            if chance < share:
                return name
            chance -= share
        return ""

    def enter(self) -> None:
        """Record that a request began."""
        with self._lock:
            self._running += 1

    def leave(self, exchange: Exchange) -> None:
        """Record that a request has ended."""
        with self._lock:
            self._running -= 1
            self._exchanges.append(exchange)

    def answer(self, fault: str, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> Reply:
        """The reply to a request with this fault, at its time."""
        if fault == "delay":
            time.sleep(self.faults.delay_seconds)
        reply = FAILURES.get(fault) or self.forward(method, target, headers, body)
        if fault == "hold":
            time.sleep(self.faults.delay_seconds)
        return reply

    def forward(self, method: str, target: str, headers: list[tuple[str, str]], body: bytes) -> Reply:
        """Send a request to the server; a failure becomes HTTP 502."""
        connection = http.client.HTTPConnection(*self._upstream, timeout=UPSTREAM_TIMEOUT)
        try:
            connection.request(method, target, body or None, dict(headers))
            reply = connection.getresponse()
            content = reply.read()
        except (OSError, http.client.HTTPException):
            return BAD_GATEWAY
        finally:
            connection.close()
        return Reply(reply.status, _end_to_end(reply.getheaders()), content)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that is killed resets its connections: that is what some tests are about."""


def _end_to_end(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in HOP_BY_HOP]


def _handler(proxy: Proxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = UPSTREAM_TIMEOUT

        def _pass_on(self) -> None:
            began = time.time()
            proxy.enter()
            fault, status, date = proxy.choose(), 0, 0.0
            try:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else b""
                status, date = self._answer(fault, body)
            except OSError:
                fault = fault or "client left"
                self.close_connection = True
            finally:
                proxy.leave(Exchange(began, time.time(), self.command, self.path, status, fault, date))

        do_GET = do_POST = do_PATCH = do_DELETE = do_HEAD = _pass_on  # noqa: N815 - the names are the base class's

        def _answer(self, fault: str, body: bytes) -> tuple[int, float]:
            headers = _end_to_end(self.headers.items())
            reply = proxy.answer(fault, self.command, self.path, headers, body)
            if _has_left(self.connection):
                raise ConnectionResetError
            self._send(_shift_date(reply, proxy.faults.date_offset), cut=fault == "cut")
            return reply.status, _date(reply)

        def _send(self, reply: Reply, *, cut: bool) -> None:
            self.send_response_only(reply.status, _phrase(reply.status))
            for name, value in reply.headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            if self.command == "HEAD":
                return
            self.wfile.write(reply.body[: len(reply.body) // 2] if cut else reply.body)
            if cut:
                self.wfile.flush()
                self.connection.shutdown(socket.SHUT_RDWR)
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            """Log nothing: the exchanges are recorded instead."""

    return Handler


def _date(reply: Reply) -> float:
    header = next((value for name, value in reply.headers if name.lower() == "date"), None)
    return parsedate_to_datetime(header).timestamp() if header else 0.0


def _shift_date(reply: Reply, offset: int) -> Reply:
    """The reply of a server whose clock differs by this many seconds."""
    if not offset or not _date(reply):
        return reply
    others = [(name, value) for name, value in reply.headers if name.lower() != "date"]
    return reply._replace(headers=[*others, ("Date", formatdate(_date(reply) + offset, usegmt=True))])


def _has_left(connection: socket.socket) -> bool:
    """Whether the client closed its connection: what is sent to it then is lost, although sending succeeds."""
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable) and not connection.recv(1, socket.MSG_PEEK)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"

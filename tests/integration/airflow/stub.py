"""A server that answers as a test tells it, and remembers what it was asked; it can be a proxy, too."""

from __future__ import annotations

import gzip
import json
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from requests.structures import CaseInsensitiveDict


class Asked(NamedTuple):
    """One request as it arrived; `path` is still percent-encoded."""

    method: str
    target: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What to send: `body` of anything but bytes as JSON, cut off after `cut` bytes, in pieces with pauses."""

    body: Any = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cookies: tuple[str, ...] = ()
    cut: int | None = None
    pause: float = 0.0
    compress: bool = False
    hang_up: bool = False
    chunked: bool = False

    def encode(self) -> bytes:
        body = self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()
        return gzip.compress(body) if self.compress else body


class Stub(ThreadingHTTPServer):
    """The server; `answer` may be replaced while it runs."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, answer: Callable[[Asked], Answer], tls: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = answer
        self.asked: list[Asked] = []
        self.tunnels: list[str] = []
        self.tls = tls

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.server_port}"

    @property
    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]

    def finish_request(self, request: Any, client_address: Any) -> None:
        if not self.tls:
            super().finish_request(request, client_address)
            return
        # A client that does not like our certificate hangs up in the middle.
        with suppress(OSError), self.tls.wrap_socket(request, server_side=True) as wrapped:
            super().finish_request(wrapped, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle is what some tests are about."""


class Handler(BaseHTTPRequestHandler):
    disable_nagle_algorithm = True  # headers and body are two writes: the second would wait 40 ms
    protocol_version = "HTTP/1.1"
    server: Stub

    def handle_any(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        query = parse_qs(parts.query, keep_blank_values=True)
        asked = Asked(self.command, self.path, parts.path, query, CaseInsensitiveDict(dict(self.headers.items())), body)
        self.server.asked.append(asked)
        answer = self.server.answer(asked)
        if answer.hang_up:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        self.send(answer)

    do_GET = do_POST = handle_any  # noqa: N815

    def send(self, answer: Answer) -> None:
        body = answer.encode()
        self.send_response_only(answer.status)
        headers = {"Content-Type": "application/json", "Date": self.date_time_string(), **answer.headers}
        for name, value in headers.items():
            if value:
                self.send_header(name, value)
        for cookie in answer.cookies:
            self.send_header("Set-Cookie", cookie)
        if answer.compress:
            self.send_header("Content-Encoding", "gzip")
        if answer.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.send_body(body, answer)

    def send_body(self, body: bytes, answer: Answer) -> None:
        if answer.chunked:
            self.wfile.write(f"{len(body):x}\r\n".encode())
        for piece in pieces(body[: answer.cut], answer.pause):
            self.wfile.write(piece)
            self.wfile.flush()
            time.sleep(answer.pause)
        if answer.cut is not None:
            self.close_connection = True
        elif answer.chunked:
            self.wfile.write(b"\r\n0\r\n\r\n")

    def do_CONNECT(self) -> None:
        host, _, port = self.path.partition(":")
        self.server.tunnels.append(self.path)
        with socket.create_connection((host, int(port))) as upstream:
            self.send_response_only(200)
            self.end_headers()
            with suppress(OSError):
                pump(self.connection, upstream)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Tests are silent."""


def pieces(body: bytes, pause: float) -> Iterator[bytes]:
    size = 1 if pause else max(1, len(body))
    for start in range(0, len(body), size):
        yield body[start : start + size]


def pump(one: socket.socket, other: socket.socket) -> None:
    """Carry bytes both ways until one side ends."""
    while True:
        ready, _, _ = select.select([one, other], [], [], 10)
        for source in ready:
            data = source.recv(1 << 16)
            if not data:
                return
            (other if source is one else one).sendall(data)


@contextmanager
def serve(answer: Callable[[Asked], Answer], tls: ssl.SSLContext | None = None) -> Iterator[Stub]:
    with Stub(answer, tls) as stub:
        thread = threading.Thread(target=stub.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield stub
        finally:
            stub.shutdown()
            thread.join()


def script(*answers: Answer) -> Callable[[Asked], Answer]:
    """Answer in this order, the last one again and again."""
    left = list(answers)

    def take(asked: Asked) -> Answer:
        return left.pop(0) if len(left) > 1 else left[0]

    return take

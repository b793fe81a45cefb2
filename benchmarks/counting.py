"""A loopback proxy between the exporter and Airflow that notes each request: what the wire saw, not what we believe."""

from __future__ import annotations

import http.client
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "content-length"}


class Request(NamedTuple):
    """One request as the wire saw it; `size` is the body's, compressed if it was."""

    method: str
    target: str
    status: int
    size: int
    seconds: float

    @property
    def endpoint(self) -> str:
        """The path, with a star for each id."""
        path = urlsplit(self.target).path
        return re.sub(r"/(dags|dagRuns|taskInstances)/(?!~|list)[^/]+", r"/\1/*", path)

    @property
    def begins_poll(self) -> bool:
        """Whether it is the first page of the task instances that run: each poll has exactly one."""
        query = parse_qs(urlsplit(self.target).query)
        first = not any(query.get("cursor", [])) and query.get("offset", ["0"]) == ["0"]
        return self.endpoint.endswith("/taskInstances") and "running" in query.get("state", []) and first


class Handler(BaseHTTPRequestHandler):
    """Passes one connection's requests on, over one connection of its own."""

    protocol_version = "HTTP/1.1"
    server: CountingProxy
    upstream: http.client.HTTPConnection | None = None

    def pass_on(self) -> None:
        """Send the request on, the answer back, and note both."""
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        began = time.perf_counter()
        answer = self._ask(body)
        content = answer.read()
        self.server.note(Request(self.command, self.path, answer.status, len(content), time.perf_counter() - began))
        try:
            self._answer(answer, content)
        except OSError:  # the exporter has lost its patience, which its own metrics tell
            self.close_connection = True

    do_GET = do_POST = pass_on  # noqa: N815 - http.server names its methods so

    def _ask(self, body: bytes) -> http.client.HTTPResponse:
        """A server may close an idle connection at any moment, so an old one gets a second chance."""
        headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
        for attempt in (1, 2):
            if self.upstream is None:
                self.upstream = http.client.HTTPConnection(*self.server.target, timeout=300)
            try:
                self.upstream.request(self.command, self.path, body or None, headers)
                return self.upstream.getresponse()
            except (http.client.HTTPException, OSError):
                self.upstream = None
                if attempt == 2:
                    raise
        raise AssertionError

    def _answer(self, answer: http.client.HTTPResponse, content: bytes) -> None:
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
        """Say nothing: the requests are counted."""


class CountingProxy(ThreadingHTTPServer):
    """Listens on a port of loopback until the block is left."""

    daemon_threads = True

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.target = (parts.hostname or "", parts.port or 80)
        self._requests: list[Request] = []
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)

    @property
    def url(self) -> str:
        """Where the exporter shall look for Airflow."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def note(self, request: Request) -> None:
        """Count one."""
        with self._lock:
            self._requests.append(request)

    def take(self) -> list[Request]:
        """What came since the last call."""
        with self._lock:
            taken, self._requests = self._requests, []
        return taken

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *reason: object) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join()

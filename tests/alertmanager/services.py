"""Stand-ins for the services that are notified: they take what a real Alertmanager sends, and keep it."""

from __future__ import annotations

import json
import socketserver
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, NamedTuple, Self


class Message(NamedTuple):
    """One request over HTTP."""

    path: str
    authorization: str | None
    body: dict[str, Any]


class Service:
    """A server on a free port of loopback, in a thread."""

    def __init__(self, server: socketserver.TCPServer) -> None:
        self._server = server
        self._thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def address(self) -> str:
        return "{}:{}".format(*self._server.socket.getsockname())

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class HttpService(Service):
    """Answers as Slack, PagerDuty and Teams do when all is well."""

    def __init__(self) -> None:
        messages: list[Message] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                messages.append(Message(self.path, self.headers.get("Authorization"), json.loads(body)))
                answer = b'{"ok": true, "status": "success"}'
                self.send_response(202 if self.path.startswith("/v2/enqueue") else 200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *words: object) -> None:
                pass

        self.messages = messages
        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), Handler))


class MailService(Service):
    """Takes mail without asking who sends it."""

    def __init__(self) -> None:
        mails: list[str] = []

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.say("220 ready")
                for line in self.rfile:
                    verb = line.split()[0].upper() if line.split() else b""
                    if verb == b"DATA":
                        self.say("354 go on")
                        mails.append(self.read_mail())
                    self.say("221 bye" if verb == b"QUIT" else "250 fine")
                    if verb == b"QUIT":
                        return

            def read_mail(self) -> str:
                lines = []
                for line in self.rfile:
                    if line == b".\r\n":
                        break
                    lines.append(line)
                return b"".join(lines).decode()

            def say(self, text: str) -> None:
                self.wfile.write(f"{text}\r\n".encode())

        self.mails = mails
        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        super().__init__(server)

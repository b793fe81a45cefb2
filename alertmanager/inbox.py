"""Alertmanager's local receiver: prints what is notified, before anybody is set up to be told.

    python alertmanager/inbox.py [--listen 127.0.0.1:9095] [--record FILE]

Needs nothing but Python. With --record each notification is also written as a line of JSON, with when it came.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

LARGEST = 16 * 2**20
"""Bytes of a notification that are accepted."""


class Inbox(ThreadingHTTPServer):
    """Listens for notifications; the path of the address tells for whom they are."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], record: Path | None) -> None:
        super().__init__(address, Handler)
        self._record = record
        self._lock = Lock()

    def take(self, receiver: str, notification: Mapping[str, Any]) -> None:
        """Print one notification, and record it where that is wanted."""
        line = json.dumps({"received": time.time(), "receiver": receiver, "notification": notification})
        with self._lock:
            if self._record:
                with self._record.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
            for told in describe(receiver, notification):
                print(told, flush=True)


class Handler(BaseHTTPRequestHandler):
    """One request of Alertmanager's."""

    server: Inbox

    def do_POST(self) -> None:
        """Take a notification."""
        size = int(self.headers.get("Content-Length") or 0)
        if not 0 < size <= LARGEST:
            self.send_error(413)
            return
        try:
            notification = json.loads(self.rfile.read(size))
        except ValueError:
            self.send_error(400)
            return
        self.server.take(self.path.strip("/"), notification)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Say nothing of requests: notifications are what is printed."""


def describe(receiver: str, notification: Mapping[str, Any]) -> Iterator[str]:
    """A line an alert: for whom, what, about what, and what to do."""
    for alert in notification.get("alerts", []):
        labels, notes = alert.get("labels", {}), alert.get("annotations", {})
        about = " ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name != "alertname")
        yield f"{receiver}: {alert.get('status')} {labels.get('alertname')} [{about}] {notes.get('description', '')}"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Prints what Alertmanager notifies.")
    parser.add_argument("--listen", default="127.0.0.1:9095", help="address and port (default: %(default)s)")
    parser.add_argument("--record", type=Path, help="a file to which each notification is added as a line of JSON")
    given = parser.parse_args()
    host, _, port = given.listen.rpartition(":")
    with Inbox((host, int(port)), given.record) as inbox:
        print(f"waiting for notifications on {host}:{port}", file=sys.stderr, flush=True)
        try:
            inbox.serve_forever()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())

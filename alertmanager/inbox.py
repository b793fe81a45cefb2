"""A local receiver for Alertmanager that prints the notifications, for use until a real receiver is configured.

    python alertmanager/inbox.py [--listen 127.0.0.1:9095] [--record FILE]

Needs only Python. With --record each notification is also written as a line of JSON, with the time of its arrival.
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

MAX_NOTIFICATION_BYTES = 16 * 2**20
"""Larger notifications are rejected with 413."""


class Inbox(ThreadingHTTPServer):
    """HTTP server for notifications; the URL's path is the name of the receiver."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], record: Path | None) -> None:
        super().__init__(address, Handler)
        self._record = record
        self._lock = Lock()

    def take(self, receiver: str, notification: Mapping[str, Any]) -> None:
        """Print one notification, and append it to the record if one is configured."""
        entry = json.dumps({"received": time.time(), "receiver": receiver, "notification": notification})
        with self._lock:
            if self._record:
                with self._record.open("a", encoding="utf-8") as file:
                    file.write(entry + "\n")
            for line in format_alerts(receiver, notification):
                print(line, flush=True)


class Handler(BaseHTTPRequestHandler):
    """One HTTP request of Alertmanager."""

    server: Inbox

    def do_POST(self) -> None:
        """Accept a notification; 413 if it is too large or has no length, 400 if it is not a JSON object."""
        length = self.headers.get("Content-Length", "")
        size = int(length) if length.isdecimal() else 0
        if not 0 < size <= MAX_NOTIFICATION_BYTES:
            self.send_error(413)
            return
        try:
            notification = json.loads(self.rfile.read(size))
        except (ValueError, RecursionError):
            notification = None
        if not isinstance(notification, dict):
            self.send_error(400)
            return
        self.server.take(self.path.strip("/"), notification)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words: object) -> None:
        """Do not log requests: only notifications are printed."""


def format_alerts(receiver: str, notification: Mapping[str, Any]) -> Iterator[str]:
    """Yield one line per alert: receiver, status, name, labels, description."""
    for alert in notification.get("alerts", []):
        labels, notes = alert.get("labels", {}), alert.get("annotations", {})
        about = " ".join(f"{name}={value}" for name, value in sorted(labels.items()) if name != "alertname")
        yield f"{receiver}: {alert.get('status')} {labels.get('alertname')} [{about}] {notes.get('description', '')}"


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description="Prints the notifications that Alertmanager sends.")
    parser.add_argument("--listen", default="127.0.0.1:9095", help="address and port (default: %(default)s)")
    parser.add_argument("--record", type=Path, help="file to which each notification is appended as a line of JSON")
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

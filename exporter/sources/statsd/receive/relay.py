"""Forwards received lines to another StatsD server over UDP, packed into datagrams; never delays reception."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Sequence

log = logging.getLogger(__name__)

BACKOFF = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds before the next DNS lookup, after one failure, two failures and so on."""
LOOKUP_INTERVAL = 60.0
"""Seconds between DNS lookups of a host name that resolves: its address may change."""


class Relay:
    """Sends datagrams from the receiving thread; what cannot be sent at once is counted as lost.

    A separate thread looks the host name up, again and again, so a slow or broken DNS server never delays reception.
    """

    def __init__(self, address: str, size: int = 1_432) -> None:
        host, _, port = address.rpartition(":")
        self.address = address
        self._host, self._port = host.removeprefix("[").removesuffix("]") or "localhost", int(port)
        self._size = size
        self._socket: socket.socket | None = None
        self._retired: socket.socket | None = None
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self.problem = ""
        """Why nothing can be sent, or why the address may be outdated; empty if the last lookup succeeded."""
        self.packets = 0
        self.lost = 0

    @property
    def ready(self) -> bool:
        """Whether the host name is resolved."""
        return self._socket is not None

    def open(self) -> None:
        """Start, unless started: an IP address is used at once, a host name after its first lookup."""
        if self._thread is not None or self._socket is not None:
            return
        self._closed = threading.Event()
        try:
            self._connect(flags=socket.AI_NUMERICHOST)
        except OSError:
            arguments = (self._closed,)
            self._thread = threading.Thread(
                target=self._resolve_repeatedly, args=arguments, name="statsd-relay", daemon=True
            )
            self._thread.start()

    def __call__(self, datagrams: Sequence[bytes]) -> None:
        """Send lines or whole datagrams, joined into larger datagrams where they fit."""
        held: list[bytes] = []
        size = 0
        for datagram in datagrams:
            line = datagram.rstrip(b"\n")
            if held and size + len(line) > self._size:
                self._send(b"\n".join(held))
                held, size = [], 0
            held.append(line)
            size += len(line) + 1
        if held:
            self._send(b"\n".join(held))

    def close(self) -> None:
        """Close the sockets and stop the lookups."""
        self._closed.set()
        for sock in (self._socket, self._retired):
            if sock is not None:
                sock.close()
        self._socket = self._retired = self._thread = None

    def _send(self, packet: bytes) -> None:
        sock = self._socket
        if sock is None:
            self.lost += 1
            return
        try:
            sock.send(packet)
            self.packets += 1
        except OSError:
            # The send buffer is full, or no process listens there. StatsD never retries.
            self.lost += 1

    def _resolve_repeatedly(self, closed: threading.Event) -> None:
        """Look the host name up until `closed` is set: with a backoff after failures, every minute after a success."""
        failures = 0
        while not closed.is_set():
            try:
                self._connect()
                failures = 0
            except OSError as error:
                failures += 1
                self._report(f"cannot relay StatsD to {self.address}: {error.strerror or error}; check the address")
            else:
                self._report("")
            closed.wait(BACKOFF[min(failures, len(BACKOFF)) - 1] if failures else LOOKUP_INTERVAL)

    def _connect(self, flags: int = 0) -> None:
        """Look the address up, which may take seconds, and send there from now on. Raises OSError."""
        try:
            family, kind, _, _, address = socket.getaddrinfo(
                self._host, self._port, type=socket.SOCK_DGRAM, flags=socket.AddressInfo(flags)
            )[0]
        except UnicodeError as error:
            raise OSError(0, "the host name is not valid") from error
        current = self._socket
        if current is not None and current.getpeername() == address:
            return
        sock = socket.socket(family, kind)
        try:
            sock.setblocking(False)
            sock.connect(address)
        except OSError:
            sock.close()
            raise
        if self._closed.is_set():
            sock.close()
            return
        # The receiving thread may be using the old socket, so it is closed at the next change.
        if self._retired is not None:
            self._retired.close()
        self._retired, self._socket = current, sock

    def _report(self, problem: str) -> None:
        """Log once when the lookup starts to fail, and once when it works again."""
        if problem and not self.problem:
            log.warning("%s; lines for it are lost until then, reception continues", problem)
        elif self.problem and not problem:
            log.info("StatsD is relayed to %s again", self.address)
        self.problem = problem

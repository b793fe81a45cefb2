"""Raw lines passed on to another StatsD over UDP, packed, and never at the cost of reception."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Sequence

log = logging.getLogger(__name__)

BACKOFF = (1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds to wait before a name is looked up again, after one failure, two, and so on."""
RENEW = 60.0
"""Seconds after which a name that was found is looked up again, because its address may change."""


class Relay:
    """Sends what it is given, from the receiving thread; what cannot be sent at once is counted as lost.

    A name is looked up in a thread of its own, again and again: no resolver, slow or broken, holds up reception.
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
        """Why nothing can be sent or the address may be out of date; empty where all is well."""
        self.packets = 0
        self.lost = 0

    @property
    def ready(self) -> bool:
        """Whether there is an address to send to."""
        return self._socket is not None

    def open(self) -> None:
        """Begin, unless it did already: an IP address is used at once, a name once it was looked up."""
        if self._thread is not None or self._socket is not None:
            return
        self._closed = threading.Event()
        try:
            self._connect(flags=socket.AI_NUMERICHOST)
        except OSError:
            arguments = (self._closed,)
            self._thread = threading.Thread(target=self._keep_up, args=arguments, name="statsd-relay", daemon=True)
            self._thread.start()

    def __call__(self, datagrams: Sequence[bytes]) -> None:
        """Send lines or whole datagrams, several in one where they fit."""
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
        """Let go of the sockets, and look nothing up any more."""
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
            # The buffer is full, or nothing listens there: StatsD has no second try.
            self.lost += 1

    def _keep_up(self, closed: threading.Event) -> None:
        """Look the name up until `closed`: soon again after a failure, now and then after a success."""
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
            closed.wait(BACKOFF[min(failures, len(BACKOFF)) - 1] if failures else RENEW)

    def _connect(self, flags: int = 0) -> None:
        """Look the address up, which may take time, and send there from now on. Raises OSError."""
        family, kind, _, _, address = socket.getaddrinfo(
            self._host, self._port, type=socket.SOCK_DGRAM, flags=socket.AddressInfo(flags)
        )[0]
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
        # The receiving thread may be sending by the old one, so that is closed a turn later.
        if self._retired is not None:
            self._retired.close()
        self._retired, self._socket = current, sock

    def _report(self, problem: str) -> None:
        """Log once when it turns bad, and once when it works again."""
        if problem and not self.problem:
            log.warning("%s; lines are lost to it until then, reception goes on", problem)
        elif self.problem and not problem:
            log.info("StatsD is relayed to %s again", self.address)
        self.problem = problem

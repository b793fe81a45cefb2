"""Raw lines passed on to another StatsD over UDP, packed, and never at the cost of reception."""

from __future__ import annotations

import socket
from collections.abc import Sequence


class Relay:
    """Sends what it is given, from the receiving thread; what the kernel does not take at once is counted as lost."""

    def __init__(self, address: str, size: int = 1_432) -> None:
        host, _, port = address.rpartition(":")
        self._host, self._port = host.removeprefix("[").removesuffix("]") or "localhost", int(port)
        self._size = size
        self._socket: socket.socket | None = None
        self.packets = 0
        self.lost = 0

    def open(self) -> None:
        """Look the address up, which may take time. Raises OSError."""
        family, kind, _, _, address = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_DGRAM)[0]
        sock = socket.socket(family, kind)
        sock.setblocking(False)
        sock.connect(address)
        self._socket = sock

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

    def _send(self, packet: bytes) -> None:
        if self._socket is None:
            self.lost += 1
            return
        try:
            self._socket.send(packet)
            self.packets += 1
        except OSError:
            # Full, or nobody listens there: StatsD has no second try.
            self.lost += 1

    def close(self) -> None:
        """Let go of the socket."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

"""StatsD over connections (TCP, Unix streams): cut into lines, bounded in number and in the length of a line."""

from __future__ import annotations

import selectors
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from exporter.sources.statsd.batches import pack_address

CONNECTIONS = 512
"""Open at once; one more is closed at once."""
LINE = 65_536
"""Bytes of the longest line; of a longer one nothing is used."""
CHUNK = 65_536

Take = Callable[[str, list[bytes], bytes], None]
"""Takes a transport, lines, and the sender's address."""


class Connection:
    """One sender's stream."""

    __slots__ = ("rest", "sender", "skipping", "sock", "transport")

    def __init__(self, sock: socket.socket, transport: str, sender: bytes) -> None:
        self.sock = sock
        self.transport = transport
        self.sender = sender
        self.rest = b""
        self.skipping = False


class Streams:
    """All listeners and their connections, looked at without waiting."""

    def __init__(self, selector: selectors.BaseSelector, take: Take) -> None:
        self._selector = selector
        self._take = take
        self._open: set[Connection] = set()
        self.refused = 0
        """Connections that were closed because there are too many."""
        self.rejected: Counter[str] = Counter()

    @property
    def busy(self) -> bool:
        """Whether a connection is open."""
        return bool(self._open)

    def listen(self, sock: socket.socket, transport: str) -> None:
        """Accept connections on a listening socket from now on."""
        self._selector.register(sock, selectors.EVENT_READ, lambda: self._accept(sock, transport))

    def close(self) -> None:
        """Take what has arrived, and end every connection."""
        for connection in list(self._open):
            while connection in self._open and self._read(connection):
                pass
            self._end(connection)

    def _accept(self, listener: socket.socket, transport: str) -> None:
        try:
            sock, address = listener.accept()
        except OSError:
            return
        if len(self._open) >= CONNECTIONS:
            self.refused += 1
            sock.close()
            return
        sock.setblocking(False)
        connection = Connection(sock, transport, pack_address(address))
        self._open.add(connection)
        self._selector.register(sock, selectors.EVENT_READ, lambda: self._read(connection))

    def _read(self, connection: Connection) -> bool:
        """Take what is there; says whether there was anything."""
        try:
            data = connection.sock.recv(CHUNK)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            self._end(connection)
            return False
        *lines, rest = (connection.rest + data).split(b"\n")
        if lines and connection.skipping:
            connection.skipping = False
            del lines[0]
        if connection.skipping or len(rest) > LINE:
            self.rejected["too_long"] += not connection.skipping
            connection.skipping, rest = True, b""
        connection.rest = rest
        if lines:
            self._take(connection.transport, lines, connection.sender)
        return True

    def _end(self, connection: Connection) -> None:
        """Close; a line without an end counts as one."""
        if connection not in self._open:
            return
        self._open.discard(connection)
        with suppress(KeyError, ValueError):
            self._selector.unregister(connection.sock)
        connection.sock.close()
        if connection.rest and not connection.skipping:
            self._take(connection.transport, [connection.rest], connection.sender)

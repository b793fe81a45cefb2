"""StatsD over TCP and Unix stream sockets: connections with limits on number, idle time and line length."""

from __future__ import annotations

import logging
import math
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from exporter.sources.statsd.receive.recvmmsg import pack_address

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 512
"""Open connections. For one more, the one that was idle for longest is closed, or the new one is refused."""
MAX_LINE_BYTES = 65_536
"""Longer lines are rejected as a whole."""
CHUNK_BYTES = 65_536
MIN_IDLE = 60.0
"""Seconds for which a connection must have been idle to be closed for a new one."""
ACCEPT_RETRY_DELAY = 0.2
"""Seconds to wait after a failed accept, for example if the process has no free file descriptors."""
SWEEP_INTERVAL = 1.0
"""Seconds between searches for idle connections."""
MAX_DRAIN_READS = 64
"""Chunks read from a connection at shutdown: a sender that never pauses must not delay it."""
KEEPALIVE = {socket.TCP_KEEPIDLE: 60, socket.TCP_KEEPINTVL: 15, socket.TCP_KEEPCNT: 4}
"""Seconds of silence before the first keepalive probe, seconds between probes, and the number of probes."""
CLOSE_REASONS = ("idle", "room")
"""Why the exporter closed a connection: idle for too long, or closed to make room for a new one."""

OnLines = Callable[[str, list[bytes], bytes], None]
"""Called with the transport, complete lines, and the sender's address."""


@dataclass(slots=True)
class ConnectionCounts:
    """Counters of connections; they continue when reception is restarted."""

    refused: int = 0
    """Closed at once because too many were open."""
    closed: Counter[str] = field(default_factory=Counter)
    """Closed by the exporter, by one of CLOSE_REASONS."""
    accept_failures: int = 0
    """Failed calls of accept, for example without a free file descriptor."""
    too_long: int = 0
    """Rejected lines, longer than MAX_LINE_BYTES."""


class StreamConnection:
    """One open connection, with the start of a line that is not complete yet."""

    __slots__ = ("active", "rest", "sender", "skipping", "sock", "transport")

    def __init__(self, sock: socket.socket, transport: str, sender: bytes, now: float) -> None:
        self.sock = sock
        self.transport = transport
        self.sender = sender
        self.active = now
        """Time of the last data, in monotonic seconds."""
        self.rest = b""
        self.skipping = False


class StreamListeners:
    """Listening stream sockets and their connections; never blocks.

    A connection without data for `idle` seconds is closed (0: never).
    """

    def __init__(
        self,
        selector: selectors.BaseSelector,
        on_lines: OnLines,
        counts: ConnectionCounts | None = None,
        *,
        idle: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._selector = selector
        self._on_lines = on_lines
        self.counts = counts or ConnectionCounts()
        self._idle = idle or math.inf
        self._clock = clock
        self._open: set[StreamConnection] = set()
        self._paused: list[tuple[socket.socket, str]] = []
        self._failing = False
        self.due = math.inf
        """When the next `sweep` is due, in monotonic seconds."""

    @property
    def busy(self) -> bool:
        """Whether any connection is open."""
        return bool(self._open)

    @property
    def connections(self) -> int:
        """The number of open connections."""
        return len(self._open)

    def listen(self, sock: socket.socket, transport: str) -> None:
        """Accept connections on a listening socket."""
        self._selector.register(sock, selectors.EVENT_READ, lambda: self._accept(sock, transport))

    def sweep(self, now: float) -> None:
        """Listen again after failed accepts, and close idle connections."""
        paused, self._paused = self._paused, []
        for sock, transport in paused:
            self.listen(sock, transport)
        for connection in [one for one in self._open if now - one.active > self._idle]:
            self.counts.closed["idle"] += 1
            self._end(connection)
        self.due = now + SWEEP_INTERVAL if self._open else math.inf

    def close(self) -> None:
        """Read what has arrived, then close every connection."""
        for connection in list(self._open):
            for _ in range(MAX_DRAIN_READS):
                if not self._read(connection):
                    break
            self._end(connection)

    def _accept(self, listener: socket.socket, transport: str) -> None:
        try:
            sock, address = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            self._pause(listener, transport, error)
            return
        self._failing = False
        now = self._clock()
        if len(self._open) >= MAX_CONNECTIONS and not self._make_room(now):
            self.counts.refused += 1
            sock.close()
            return
        self._admit(StreamConnection(sock, transport, pack_address(address), now))
        self.due = min(self.due, now + SWEEP_INTERVAL)

    def _admit(self, connection: StreamConnection) -> None:
        sock = connection.sock
        sock.setblocking(False)
        if connection.transport == "tcp":
            # Without keepalive a connection stays open for ever if the sender's machine is switched off.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in KEEPALIVE.items():
                sock.setsockopt(socket.IPPROTO_TCP, option, value)
        self._open.add(connection)
        self._selector.register(sock, selectors.EVENT_READ, lambda: self._read(connection))

    def _pause(self, listener: socket.socket, transport: str, error: OSError) -> None:
        """Stop listening for a moment: the waiting connection would wake the selector again and again."""
        self.counts.accept_failures += 1
        if not self._failing:
            log.warning("StatsD: cannot accept connections: %s; will keep trying", error.strerror)
        self._failing = True
        self._selector.unregister(listener)
        self._paused.append((listener, transport))
        self.due = min(self.due, self._clock() + ACCEPT_RETRY_DELAY)

    def _make_room(self, now: float) -> bool:
        """Close the connection that was idle for longest; False if all were active within MIN_IDLE seconds."""
        oldest = min(self._open, key=lambda one: one.active)
        if now - oldest.active < MIN_IDLE:
            return False
        self.counts.closed["room"] += 1
        self._end(oldest)
        return True

    def _read(self, connection: StreamConnection) -> bool:
        """Read what has arrived; returns whether there was anything."""
        try:
            data = connection.sock.recv(CHUNK_BYTES)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            data = b""
        if not data:
            self._end(connection)
            return False
        connection.active = self._clock()
        *lines, rest = (connection.rest + data).split(b"\n")
        if lines and connection.skipping:
            connection.skipping = False
            del lines[0]
        if connection.skipping or len(rest) > MAX_LINE_BYTES:
            self.counts.too_long += not connection.skipping
            connection.skipping, rest = True, b""
        connection.rest = rest
        if lines:
            self._on_lines(connection.transport, lines, connection.sender)
        return True

    def _end(self, connection: StreamConnection) -> None:
        """Close a connection. A last line without a line end counts as a line."""
        if connection not in self._open:
            return
        self._open.discard(connection)
        with suppress(KeyError, ValueError):
            self._selector.unregister(connection.sock)
        connection.sock.close()
        if connection.rest and not connection.skipping:
            self._on_lines(connection.transport, [connection.rest], connection.sender)

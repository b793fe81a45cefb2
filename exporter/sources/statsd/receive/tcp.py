"""StatsD over connections (TCP, Unix streams): cut into lines, bounded in number, time and length."""

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
"""Open at once; for one more the one that was silent for longest goes, or the new one."""
MAX_LINE_BYTES = 65_536
"""Bytes of the longest line; of a longer one nothing is used."""
CHUNK_BYTES = 65_536
MIN_SILENCE = 60.0
"""Seconds for which a connection must have been silent to make room for another."""
ACCEPT_RETRY_DELAY = 0.2
"""Seconds to wait where no connection can be accepted, as when file descriptors ran out."""
SWEEP_INTERVAL = 1.0
"""Seconds between searches for connections that are idle for too long."""
MAX_DRAIN_READS = 64
"""Chunks that are taken of a connection when reception ends: a sender that never pauses must not hold it up."""
KEEPALIVE = {socket.TCP_KEEPIDLE: 60, socket.TCP_KEEPINTVL: 15, socket.TCP_KEEPCNT: 4}
"""After how many seconds of silence the kernel asks the other side whether it is there, how often, how many times."""
CLOSE_REASONS = ("idle", "room")
"""Why connections are closed from here: silent for too long, or silent for longest when there was no room."""

OnLines = Callable[[str, list[bytes], bytes], None]
"""Takes a transport, lines, and the sender's address."""


@dataclass(slots=True)
class ConnectionCounts:
    """What happened to connections. They go on when reception starts again."""

    refused: int = 0
    """Closed at once, because too many are open."""
    closed: Counter[str] = field(default_factory=Counter)
    """By one of CLOSE_REASONS."""
    accept_failures: int = 0
    """Times that no connection could be accepted, as where file descriptors ran out."""
    too_long: int = 0
    """Lines that were too long."""


class StreamConnection:
    """One sender's stream."""

    __slots__ = ("active", "rest", "sender", "skipping", "sock", "transport")

    def __init__(self, sock: socket.socket, transport: str, sender: bytes, now: float) -> None:
        self.sock = sock
        self.transport = transport
        self.sender = sender
        self.active = now
        """When something came, in monotonic seconds."""
        self.rest = b""
        self.skipping = False


class StreamListeners:
    """All listeners and their connections, looked at without waiting. `idle` seconds of silence end one (0: never)."""

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
        """When to sweep, in monotonic seconds."""

    @property
    def busy(self) -> bool:
        """Whether a connection is open."""
        return bool(self._open)

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._open)

    def listen(self, sock: socket.socket, transport: str) -> None:
        """Accept connections on a listening socket from now on."""
        self._selector.register(sock, selectors.EVENT_READ, lambda: self._accept(sock, transport))

    def sweep(self, now: float) -> None:
        """What is due: listen again after a setback, close what is idle for too long."""
        paused, self._paused = self._paused, []
        for sock, transport in paused:
            self.listen(sock, transport)
        for connection in [one for one in self._open if now - one.active > self._idle]:
            self.counts.closed["idle"] += 1
            self._end(connection)
        self.due = now + SWEEP_INTERVAL if self._open else math.inf

    def close(self) -> None:
        """Take what has arrived, and end every connection."""
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
            # Otherwise a sender whose machine went away keeps its place for ever.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in KEEPALIVE.items():
                sock.setsockopt(socket.IPPROTO_TCP, option, value)
        self._open.add(connection)
        self._selector.register(sock, selectors.EVENT_READ, lambda: self._read(connection))

    def _pause(self, listener: socket.socket, transport: str, error: OSError) -> None:
        """Stop listening for a moment: the connection that waits would wake the selector at once, again and again."""
        self.counts.accept_failures += 1
        if not self._failing:
            log.warning("StatsD: cannot accept a connection: %s; trying again until it works", error.strerror)
        self._failing = True
        self._selector.unregister(listener)
        self._paused.append((listener, transport))
        self.due = min(self.due, self._clock() + ACCEPT_RETRY_DELAY)

    def _make_room(self, now: float) -> bool:
        """Close the connection that was silent for longest; False if all sent something a moment ago."""
        oldest = min(self._open, key=lambda one: one.active)
        if now - oldest.active < MIN_SILENCE:
            return False
        self.counts.closed["room"] += 1
        self._end(oldest)
        return True

    def _read(self, connection: StreamConnection) -> bool:
        """Take what is there; says whether there was anything."""
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
        """Close; a line without an end counts as one."""
        if connection not in self._open:
            return
        self._open.discard(connection)
        with suppress(KeyError, ValueError):
            self._selector.unregister(connection.sock)
        connection.sock.close()
        if connection.rest and not connection.skipping:
            self._on_lines(connection.transport, [connection.rest], connection.sender)

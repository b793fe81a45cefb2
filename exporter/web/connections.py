"""HTTP connections: who may come in, and how long each may take over what it does."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from traceback import clear_frames

from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from exporter.web.security.reloader import Rules
from exporter.web.security.tls import is_allowed

log = logging.getLogger(__name__)

WRITE_BUFFER = 64 * 1024
"""Bytes that may wait for a slow reader before rendering pauses."""
TWINKLE = 0.01
"""Seconds between two looks at who is overdue, at least."""
SETBACK = 0.2
"""Seconds to wait when no connection can be accepted, as where file descriptors ran out."""
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 22\r\nConnection: close\r\n\r\ntoo many connections.\n"
)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds after which a client that does not go on is cut off."""

    handshake: float = 10.0
    head: float = 10.0
    """From a connection, or the first byte of a request, to the end of its headers."""
    response: float = 60.0
    """From the first byte of a request to the last of its answer."""
    idle: float = 120.0
    """Between two requests; above any usual scrape interval, so that Prometheus need not connect anew."""


@dataclass(slots=True)
class Counts:
    """What happened to connections and requests since the start."""

    refused: int = 0
    """Connections that there was no room for."""
    failed_handshakes: int = 0
    overdue: int = 0
    """Connections cut off in the middle of a request or an answer."""
    unauthorized: int = 0
    """Requests without valid credentials."""
    limited: int = 0
    """Requests over the rate limit, or too many at once."""


class Connection(H11Protocol):
    """One client's connection. Times are the event loop's."""

    def __init__(self, config: Config, state: ServerState, rules: Rules, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(config, state, {}, loop)
        self.rules = rules
        self.begun = loop.time()
        """When the connection was made or the current request began."""
        self.answered = -1.0
        """When the last answer was complete."""
        self.retiring = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=WRITE_BUFFER)
        tls = self.rules.config.tls
        if tls and not is_allowed(transport.get_extra_info("peercert"), tls.client_allowed_sans):
            log.warning("refused a client: its certificate has none of the client_allowed_sans")
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        # TLS has a buffer of 256 KB a connection: it must go now, not when cycles are collected.
        self.cycle = self.flow = self.transport = None  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self.begun <= self.answered:
            self.begun = self.loop.time()
        super().data_received(data)

    def on_response_complete(self) -> None:
        self.answered = self.loop.time()
        super().on_response_complete()
        if self.is_answering():  # a request that was waiting in the pipeline
            self.begun = self.answered
        elif self.retiring:
            self.transport.close()

    def retire(self) -> None:
        """End the connection once it is idle."""
        self.retiring = True
        if self.is_idle():
            self.transport.close()

    def is_made(self) -> bool:
        """Whether the handshake is done."""
        return self.transport is not None

    def is_busy(self) -> bool:
        """Whether an answer is under way, be it only in the buffer."""
        return self.is_answering() or self.transport.get_write_buffer_size() > 0

    def is_answering(self) -> bool:
        """Whether a request is there whose answer is not complete."""
        return not getattr(self.cycle, "response_complete", True)  # there is no cycle before the first request

    def is_idle(self) -> bool:
        """Whether the client waits between two requests."""
        return self.begun <= self.answered and not self.is_busy()

    def find_deadline(self, timeouts: Timeouts) -> float:
        """Until when the client may take over what it does."""
        if self.is_idle():
            return self.answered + timeouts.idle
        return self.begun + (timeouts.response if self.is_busy() else timeouts.head)


class Reception:
    """Accepts connections, shakes hands, and shows out whoever takes too long. Lives in the event loop."""

    def __init__(
        self,
        config: Config,
        state: ServerState,
        rules: Callable[[], Rules],
        *,
        counts: Counts,
        limit: int,
        timeouts: Timeouts,
    ) -> None:
        self._config = config
        self._state = state
        self._rules = rules
        self._counts = counts
        self._limit = limit
        self._timeouts = timeouts
        self._greetings: dict[asyncio.Task[None], Connection] = {}

    def open(self, listener: socket.socket) -> None:
        """Take connections from now on."""
        if listener.fileno() != -1:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def close(self, listener: socket.socket) -> None:
        """Take no more connections."""
        asyncio.get_running_loop().remove_reader(listener)
        listener.close()

    async def watch(self) -> None:
        """Cut off what is overdue until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(self._find_pause(clock()))
            self._sweep(clock())

    async def leave(self) -> None:
        """Give up the handshakes under way."""
        waiting = list(self._greetings)
        for greeting in waiting:
            greeting.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    def renew(self) -> None:
        """Let every client come again under new rules: now if it is idle, else after its next answer."""
        for connection in self.connections():
            connection.retire()

    def dismiss(self) -> None:
        """Let everybody go: now, or after the answer under way."""
        for connection in self.connections():
            connection.shutdown()

    def abort(self) -> None:
        """Cut off everybody."""
        for connection in self.connections():
            connection.transport.abort()

    def connections(self) -> list[Connection]:
        """Those whose handshake is done."""
        return [known for known in self._state.connections if isinstance(known, Connection)]

    def _accept(self, listener: socket.socket) -> None:
        """Take one connection, so that a queue of them does not hold up those that are being served."""
        try:
            client, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            log.warning("cannot accept a connection: %s", error.strerror)
            loop = asyncio.get_running_loop()
            loop.remove_reader(listener)
            loop.call_later(SETBACK, self.open, listener)
            return
        client.setblocking(False)
        # Else the end of an answer waits for the client to acknowledge its beginning: 40 ms.
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._admit(client)

    def _admit(self, client: socket.socket) -> None:
        present = len(self._state.connections) + len(self._find_handshakes())
        if present >= self._limit and not self._make_room():
            self._refuse(client)
            return
        connection = Connection(self._config, self._state, self._rules(), asyncio.get_running_loop())
        greeting = asyncio.create_task(self._greet(client, connection))
        self._greetings[greeting] = connection
        greeting.add_done_callback(partial(self._forget, client))

    async def _greet(self, client: socket.socket, connection: Connection) -> None:
        context = connection.rules.context
        patience = self._timeouts.handshake if context else None
        try:
            await connection.loop.connect_accepted_socket(
                lambda: connection,
                client,
                ssl=context,
                ssl_handshake_timeout=patience,
                ssl_shutdown_timeout=patience,
            )
        except OSError as error:
            self._counts.failed_handshakes += 1
            log.debug("a TLS handshake failed: %s", error)
            # As in connection_lost: the traceback would keep the buffer.
            clear_frames(error.__traceback__)

    def _forget(self, client: socket.socket, greeting: asyncio.Task[None]) -> None:
        del self._greetings[greeting]
        if greeting.cancelled():  # perhaps before a transport took the socket
            client.close()

    def _find_handshakes(self) -> list[asyncio.Task[None]]:
        """Those that are still under way, the oldest first."""
        return [
            task for task, connection in self._greetings.items() if not connection.is_made() and not task.cancelling()
        ]

    def _make_room(self) -> bool:
        """Let go whoever has done nothing for the longest; False if everybody is being served."""
        waiting = [known for known in self.connections() if not known.is_busy() and not known.transport.is_closing()]
        handshakes = self._find_handshakes()
        if waiting:
            min(waiting, key=lambda known: max(known.begun, known.answered)).transport.abort()
        elif handshakes:
            handshakes[0].cancel()
        return bool(waiting or handshakes)

    def _refuse(self, client: socket.socket) -> None:
        self._counts.refused += 1
        log.warning("refused a connection: %d are open already", self._limit)
        with client, suppress(OSError):
            if self._rules().context is None:
                client.send(FULL)

    def _find_pause(self, now: float) -> float:
        """Seconds until somebody may be overdue: whoever begins something meanwhile is not so before the shortest."""
        first = min((each.find_deadline(self._timeouts) for each in self.connections()), default=math.inf)
        shortest = min(self._timeouts.head, self._timeouts.response, self._timeouts.idle)
        return max(TWINKLE, min(shortest, first - now))

    def _sweep(self, now: float) -> None:
        for connection in self.connections():
            if now > connection.find_deadline(self._timeouts):
                self._counts.overdue += not connection.is_idle()
                connection.transport.abort()

"""HTTP connections: the connection limit, TLS handshakes, and timeouts for slow clients."""

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

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from exporter.web.security.reloader import ActiveWebConfig
from exporter.web.security.tls import has_allowed_san

log = logging.getLogger(__name__)

MAX_WRITE_BUFFER = 64 * 1024
"""Bytes that may wait for a slow client before rendering pauses."""
MIN_SWEEP_PAUSE = 0.01
"""Seconds between two checks for overdue connections, at least."""
ACCEPT_RETRY_DELAY = 0.2
"""Seconds to wait after a connection could not be accepted, for example for lack of file descriptors."""
TOO_MANY_CONNECTIONS = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 22\r\nConnection: close\r\n\r\ntoo many connections.\n"
)


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds after which a connection that makes no progress is closed."""

    handshake: float = 10.0
    """Of a TLS handshake."""
    head: float = 10.0
    """From the start of the connection, or the first byte of a request, to the end of the request headers."""
    response: float = 60.0
    """From the first byte of a request to the last byte of the response."""
    idle: float = 120.0
    """Between two requests; longer than any usual scrape interval, so that Prometheus keeps its connection."""


@dataclass(slots=True)
class ServerCounts:
    """Counts of refused or aborted connections and requests, from the start of the server."""

    refused: int = 0
    """Connections over the limit."""
    failed_handshakes: int = 0
    overdue: int = 0
    """Connections aborted by a timeout during a request or a response."""
    unauthorized: int = 0
    """Requests without valid credentials."""
    limited: int = 0
    """Requests over the rate limit, or logins over the length of the queue."""


class ClientConnection(H11Protocol):
    """One HTTP connection. Times are those of the event loop."""

    def __init__(
        self, config: Config, state: ServerState, web_config: ActiveWebConfig, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(config, state, {}, loop)
        self.web_config = web_config
        self.started_at = loop.time()
        """When the connection was established, or the current request began."""
        self.responded_at = -1.0
        """When the last response was complete."""
        self.closing = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=MAX_WRITE_BUFFER)
        tls = self.web_config.config.tls
        if tls and not has_allowed_san(transport.get_extra_info("peercert"), tls.client_allowed_sans):
            log.warning("a client was refused: its certificate has none of the client_allowed_sans")
            transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._unset_keepalive_if_required()
        # A TLS buffer has 256 KB: free it now, not at the next garbage collection.
        self.cycle = self.flow = self.transport = None  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        if self.started_at <= self.responded_at:
            self.started_at = self.loop.time()
        super().data_received(data)

    def send_400_response(self, msg: str) -> None:
        """Refuse an invalid request. If it turns out to be invalid in its body, the application may be responding."""
        if self.conn.our_state is not h11.SEND_RESPONSE and self.conn.our_state is not h11.IDLE:
            self.transport.close()
            return
        is_head = self.has_open_response() and self.cycle.scope["method"] == "HEAD"
        super().send_400_response("" if is_head else msg)
        if self.has_open_response():
            # The application has not begun its response: what it sends now would be a second one.
            self.cycle.disconnected = True
            self.cycle.message_event.set()

    def on_response_complete(self) -> None:
        self.responded_at = self.loop.time()
        super().on_response_complete()
        if self.has_open_response():  # a pipelined request
            self.started_at = self.responded_at
        elif self.closing:
            self.transport.close()

    def close_when_idle(self) -> None:
        """Close the connection as soon as it is idle."""
        self.closing = True
        if self.is_idle():
            self.transport.close()

    def is_established(self) -> bool:
        """Whether the handshake is done."""
        return self.transport is not None

    def is_busy(self) -> bool:
        """Whether a response is not sent completely yet."""
        return self.has_open_response() or self.transport.get_write_buffer_size() > 0

    def has_open_response(self) -> bool:
        """Whether the application has not completed the response to a request."""
        return not getattr(self.cycle, "response_complete", True)  # `cycle` is None before the first request

    def is_idle(self) -> bool:
        """Whether the client waits between two requests."""
        return self.started_at <= self.responded_at and not self.is_busy()

    def compute_deadline(self, timeouts: Timeouts) -> float:
        """When the current timeout of the connection expires."""
        if self.is_idle():
            return self.responded_at + timeouts.idle
        return self.started_at + (timeouts.response if self.is_busy() else timeouts.head)


class ConnectionManager:
    """Accepts connections, does TLS handshakes, and aborts overdue connections. Belongs to the event loop."""

    def __init__(
        self,
        config: Config,
        state: ServerState,
        web_config: Callable[[], ActiveWebConfig],
        *,
        counts: ServerCounts,
        limit: int,
        timeouts: Timeouts,
    ) -> None:
        self._config = config
        self._state = state
        self._get_web_config = web_config
        self._counts = counts
        self._limit = limit
        self._timeouts = timeouts
        self._handshakes: dict[asyncio.Task[None], ClientConnection] = {}

    def start_accepting(self, listener: socket.socket) -> None:
        """Accept connections of this listener from now on."""
        if listener.fileno() != -1:
            asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def stop_accepting(self, listener: socket.socket) -> None:
        """Accept no more connections, and close the listener."""
        asyncio.get_running_loop().remove_reader(listener)
        listener.close()

    async def enforce_timeouts(self) -> None:
        """Abort overdue connections until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(self._compute_sweep_pause(clock()))
            self._abort_overdue(clock())

    async def cancel_handshakes(self) -> None:
        """Cancel the TLS handshakes in progress."""
        handshakes = list(self._handshakes)
        for handshake in handshakes:
            handshake.cancel()
        await asyncio.gather(*handshakes, return_exceptions=True)

    def close_all_when_idle(self) -> None:
        """Close every connection, busy ones after their response, so that clients reconnect with new TLS settings."""
        for connection in self.connections():
            connection.close_when_idle()

    def close_all(self) -> None:
        """Close every connection, busy ones after their response."""
        for connection in self.connections():
            connection.shutdown()

    def abort_all(self) -> None:
        """Abort every connection."""
        for connection in self.connections():
            connection.transport.abort()

    def connections(self) -> list[ClientConnection]:
        """Connections whose handshake is complete."""
        return [known for known in self._state.connections if isinstance(known, ClientConnection)]

    def _accept(self, listener: socket.socket) -> None:
        """Accept one connection only, so that a full backlog does not delay the others."""
        try:
            client, _ = listener.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            log.warning("cannot accept a connection: %s", error.strerror)
            loop = asyncio.get_running_loop()
            loop.remove_reader(listener)
            loop.call_later(ACCEPT_RETRY_DELAY, self.start_accepting, listener)
            return
        client.setblocking(False)
        # Otherwise the last packet of a response waits up to 40 ms for an acknowledgement.
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._admit(client)

    def _admit(self, client: socket.socket) -> None:
        present = len(self._state.connections) + len(self._get_pending_handshakes())
        if present >= self._limit and not self._close_longest_idle():
            self._reject(client)
            return
        connection = ClientConnection(self._config, self._state, self._get_web_config(), asyncio.get_running_loop())
        handshake = asyncio.create_task(self._accept_tls(client, connection))
        self._handshakes[handshake] = connection
        handshake.add_done_callback(partial(self._end_handshake, client))

    async def _accept_tls(self, client: socket.socket, connection: ClientConnection) -> None:
        context = connection.web_config.ssl_context
        timeout = self._timeouts.handshake if context else None
        try:
            await connection.loop.connect_accepted_socket(
                lambda: connection,
                client,
                ssl=context,
                ssl_handshake_timeout=timeout,
                ssl_shutdown_timeout=timeout,
            )
        except OSError as error:
            self._counts.failed_handshakes += 1
            # Text, not the error: a log record that is kept would keep the TLS buffer too.
            log.debug("a TLS handshake failed: %s", str(error) or "the client closed the connection")
            # As in connection_lost: the traceback would keep the TLS buffer.
            clear_frames(error.__traceback__)

    def _end_handshake(self, client: socket.socket, handshake: asyncio.Task[None]) -> None:
        del self._handshakes[handshake]
        if handshake.cancelled():  # a transport may not have taken the socket yet
            client.close()

    def _get_pending_handshakes(self) -> list[asyncio.Task[None]]:
        """Handshakes in progress, the oldest first."""
        return [
            task
            for task, connection in self._handshakes.items()
            if not connection.is_established() and not task.cancelling()
        ]

    def _close_longest_idle(self) -> bool:
        """Close the connection that is idle for the longest; False if all are busy."""
        idle = [known for known in self.connections() if not known.is_busy() and not known.transport.is_closing()]
        handshakes = self._get_pending_handshakes()
        if idle:
            min(idle, key=lambda known: max(known.started_at, known.responded_at)).transport.abort()
        elif handshakes:
            handshakes[0].cancel()
        return bool(idle or handshakes)

    def _reject(self, client: socket.socket) -> None:
        self._counts.refused += 1
        log.warning("a connection was refused: %d are open, the limit of --web.max-connections", self._limit)
        with client, suppress(OSError):
            if self._get_web_config().ssl_context is None:
                client.send(TOO_MANY_CONNECTIONS)

    def _compute_sweep_pause(self, now: float) -> float:
        """Seconds until the next timeout can expire; new connections cannot expire before the shortest timeout."""
        first = min((each.compute_deadline(self._timeouts) for each in self.connections()), default=math.inf)
        shortest = min(self._timeouts.head, self._timeouts.response, self._timeouts.idle)
        return max(MIN_SWEEP_PAUSE, min(shortest, first - now))

    def _abort_overdue(self, now: float) -> None:
        for connection in self.connections():
            if now > connection.compute_deadline(self._timeouts):
                self._counts.overdue += not connection.is_idle()
                connection.transport.abort()

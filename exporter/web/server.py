"""The web server: Starlette on uvicorn's HTTP protocol, with its event loop in a separate thread."""

from __future__ import annotations

import asyncio
import logging
import math
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

from starlette.types import ASGIApp
from uvicorn.config import Config
from uvicorn.server import ServerState

from exporter.config.settings import WebSettings
from exporter.web.app import DEFAULT_HEADERS, MAX_CONCURRENT_SCRAPES, AppContext, build_app
from exporter.web.connections import ClientConnection, ConnectionManager, ServerCounts, Timeouts
from exporter.web.middleware import AuthMiddleware
from exporter.web.security.reloader import ActiveWebConfig, WebConfigReloader
from exporter.web.security.settings import WebConfigError
from exporter.web.sockets import AddressError, bind_all, format_address

__all__ = ["AddressError", "AppContext", "Server", "ServerCounts", "Timeouts", "WebConfigError"]

log = logging.getLogger(__name__)

POLL_INTERVAL = 0.02
"""Seconds between checks whether all connections are closed."""
ABORT_GRACE = 2.0
"""Seconds that aborted connections have to end."""


class Server:
    """Serves the pages from `start` to `stop`, once."""

    def __init__(
        self,
        context: AppContext,
        settings: WebSettings,
        *,
        timeouts: Timeouts | None = None,
        watch_interval: float = 1.0,
        max_scrapes: int = MAX_CONCURRENT_SCRAPES,
    ) -> None:
        """`watch_interval` is the time in seconds between checks whether the web configuration file changed.

        Raises ValueError for an invalid telemetry path.
        """
        self.counts = ServerCounts()
        self._settings = settings
        self._timeouts = timeouts or Timeouts()
        self._watch_interval = watch_interval
        self._app = build_app(context, settings.telemetry_path, max_scrapes)
        self._state = ServerState()
        self._reloader = WebConfigReloader()
        self._listeners: list[socket.socket] = []
        self._addresses: tuple[str, ...] = ()
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._started = threading.Event()
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop_timeout = 0.0

    @property
    def addresses(self) -> tuple[str, ...]:
        """The listen addresses, as `HOST:PORT`, in the order of the settings."""
        return self._addresses

    @property
    def alive(self) -> bool:
        """Whether the server thread runs. It ends before `stop` only because of a bug."""
        return self._thread.is_alive()

    @property
    def open_connections(self) -> int:
        """Number of connected clients."""
        return len(self._state.connections)

    @property
    def config_failures(self) -> int:
        """Number of changes of the web configuration file that could not be used."""
        return self._reloader.failures

    def start(self) -> None:
        """Listen, and return when requests are served. Raises AddressError and WebConfigError."""
        self._reloader = WebConfigReloader(self._settings.config_file)
        self._listeners = bind_all(self._settings.listen_addresses)
        self._addresses = tuple(map(format_address, self._listeners))
        self._thread.start()
        while not self._started.wait(0.1):
            if not self.alive:
                raise RuntimeError("the web server ended while it was starting")
        for address in self._addresses:
            log.info("listening", extra={"address": address, "tls": self._reloader.active.ssl_context is not None})

    def stop(self, timeout: float = 30.0) -> None:
        """Accept no more connections, finish open responses within `timeout` seconds, and end."""
        self._stop_timeout = timeout
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop has ended already
                self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(timeout + 2 * ABORT_GRACE)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        checks = ThreadPoolExecutor(1, "bcrypt")
        connections = self._build_connection_manager(checks)
        for listener in self._listeners:
            connections.start_accepting(listener)
        try:
            await self._run_until_stopped(connections)
        finally:
            for listener in self._listeners:
                connections.stop_accepting(listener)
            await self._close_connections(connections)
            checks.shutdown(wait=False, cancel_futures=True)

    async def _run_until_stopped(self, connections: ConnectionManager) -> None:
        """Run the background tasks of the server until `stop` is called."""
        coroutines = [connections.enforce_timeouts()]
        if self._settings.config_file:
            coroutines.append(self._watch_web_config(connections))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(coroutine) for coroutine in coroutines]
            self._started.set()
            await self._stopping.wait()
            for task in tasks:
                task.cancel()

    async def _watch_web_config(self, connections: ConnectionManager) -> None:
        while True:
            await asyncio.sleep(self._watch_interval)
            if await asyncio.to_thread(self._reloader.reload_if_changed):
                connections.close_all_when_idle()

    async def _close_connections(self, connections: ConnectionManager) -> None:
        """Let open responses finish until the stop timeout, then abort the rest."""
        await connections.cancel_handshakes()
        connections.close_all()
        await self._wait_until_empty(self._stop_timeout)
        if self._state.connections:
            log.warning("aborted %d connections that did not end in time", len(self._state.connections))
            connections.abort_all()
            await self._wait_until_empty(ABORT_GRACE)

    async def _wait_until_empty(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (self._state.connections or self._state.tasks) and time.monotonic() < deadline:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(POLL_INTERVAL)

    def _build_connection_manager(self, checks: ThreadPoolExecutor) -> ConnectionManager:
        middleware = AuthMiddleware(
            self._app, self._get_web_config, counts=self.counts, checks=checks, headers=DEFAULT_HEADERS
        )
        return ConnectionManager(
            build_uvicorn_config(middleware, self._timeouts),
            self._state,
            self._get_web_config,
            counts=self.counts,
            limit=self._settings.max_connections,
            timeouts=self._timeouts,
        )

    def _get_web_config(self) -> ActiveWebConfig:
        return self._reloader.active


def build_uvicorn_config(app: ASGIApp, timeouts: Timeouts) -> Config:
    """The configuration of uvicorn: no WebSockets, no access log, and the headers of proxies are not trusted."""
    config = Config(
        app,
        http=ClientConnection,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=math.ceil(timeouts.idle),
    )
    config.load()
    return config

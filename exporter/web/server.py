"""The web server: Starlette behind uvicorn's HTTP, in a thread and an event loop of its own."""

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
from exporter.web.app import HEADERS, MAX_SCRAPES, Site, build_app
from exporter.web.connections import Connection, Counts, Reception, Timeouts
from exporter.web.middleware import Gate
from exporter.web.security.reloader import Protection, Rules
from exporter.web.security.settings import WebConfigError
from exporter.web.sockets import AddressError, bind_all, describe

__all__ = ["AddressError", "Counts", "Server", "Site", "Timeouts", "WebConfigError"]

log = logging.getLogger(__name__)

LOOK = 0.02
"""Seconds between looks at whether the last client has gone."""
FAREWELL = 2.0
"""Seconds for connections that were cut off to be cleared away."""


class Server:
    """Serves a site from `start` to `stop`, once."""

    def __init__(
        self,
        site: Site,
        settings: WebSettings,
        *,
        timeouts: Timeouts | None = None,
        watch_interval: float = 1.0,
        max_scrapes: int = MAX_SCRAPES,
    ) -> None:
        """`watch_interval` is the pause in seconds between looks at the web configuration file.

        Raises ValueError for a telemetry path that cannot be used.
        """
        self.counts = Counts()
        self._settings = settings
        self._timeouts = timeouts or Timeouts()
        self._watch_interval = watch_interval
        self._app = build_app(site, settings.telemetry_path, max_scrapes)
        self._state = ServerState()
        self._protection = Protection()
        self._listeners: list[socket.socket] = []
        self._addresses: tuple[str, ...] = ()
        self._thread = threading.Thread(target=self._run, name="web", daemon=True)
        self._started = threading.Event()
        self._stopping = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._patience = 0.0

    @property
    def addresses(self) -> tuple[str, ...]:
        """What is listened on, as `HOST:PORT`, in the order of the settings."""
        return self._addresses

    @property
    def alive(self) -> bool:
        """Whether the server's thread runs; it ends before `stop` only through a fault of ours."""
        return self._thread.is_alive()

    @property
    def open_connections(self) -> int:
        """How many clients are connected now."""
        return len(self._state.connections)

    @property
    def config_failures(self) -> int:
        """How many changes of the web configuration file could not be used."""
        return self._protection.failures

    def start(self) -> None:
        """Listen, and return once clients are served. Raises AddressError and WebConfigError."""
        self._protection = Protection(self._settings.config_file)
        self._listeners = bind_all(self._settings.listen_addresses)
        self._addresses = tuple(map(describe, self._listeners))
        self._thread.start()
        while not self._started.wait(0.1):
            if not self.alive:
                raise RuntimeError("the web server ended while it was starting")
        for address in self._addresses:
            log.info("listening", extra={"address": address, "tls": self._protection.rules.context is not None})

    def stop(self, timeout: float = 30.0) -> None:
        """Take no more connections, finish the answers under way within `timeout` seconds, and end."""
        self._patience = timeout
        if self._loop is not None:
            with suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._stopping.set)
            self._thread.join(timeout + 2 * FAREWELL)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        checks = ThreadPoolExecutor(1, "bcrypt")
        reception = self._build_reception(checks)
        for listener in self._listeners:
            reception.open(listener)
        try:
            await self._work(reception)
        finally:
            for listener in self._listeners:
                reception.close(listener)
            await self._see_off(reception)
            checks.shutdown(wait=False, cancel_futures=True)

    async def _work(self, reception: Reception) -> None:
        """Do what is to be done beside serving, until it is time to stop."""
        duties = [reception.watch()]
        if self._settings.config_file:
            duties.append(self._follow_config(reception))
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(duty) for duty in duties]
            self._started.set()
            await self._stopping.wait()
            for task in tasks:
                task.cancel()

    async def _follow_config(self, reception: Reception) -> None:
        while True:
            await asyncio.sleep(self._watch_interval)
            if await asyncio.to_thread(self._protection.refresh):
                reception.renew()

    async def _see_off(self, reception: Reception) -> None:
        """Let answers under way be finished while there is patience, then cut off the rest."""
        await reception.leave()
        reception.dismiss()
        await self._wait_until_empty(self._patience)
        if self._state.connections:
            log.warning("cut off %d connections that did not end in time", len(self._state.connections))
            reception.abort()
            await self._wait_until_empty(FAREWELL)

    async def _wait_until_empty(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while (self._state.connections or self._state.tasks) and time.monotonic() < deadline:  # noqa: ASYNC110 - uvicorn tells nobody
            await asyncio.sleep(LOOK)

    def _build_reception(self, checks: ThreadPoolExecutor) -> Reception:
        gate = Gate(self._app, self._find_rules, counts=self.counts, checks=checks, headers=HEADERS)
        return Reception(
            build_config(gate, self._timeouts),
            self._state,
            self._find_rules,
            counts=self.counts,
            limit=self._settings.max_connections,
            timeouts=self._timeouts,
        )

    def _find_rules(self) -> Rules:
        return self._protection.rules


def build_config(app: ASGIApp, timeouts: Timeouts) -> Config:
    """How uvicorn speaks HTTP: nothing that we do ourselves, no WebSockets, no trust in proxies' headers."""
    config = Config(
        app,
        http=Connection,
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

"""The exporter process: starts engine and web server, handles signals, reloads the configuration, stops."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from queue import Empty, SimpleQueue
from typing import Any

from exporter import __version__, logs
from exporter.collect.telemetry import WebCounts
from exporter.config.loader import ConfigError, Configuration
from exporter.config.settings import Settings
from exporter.engine import Engine, SourceError
from exporter.store.exposition import Format, render
from exporter.store.persistence.state_store import StateError
from exporter.web.server import AddressError, AppContext, Server, WebConfigError

log = logging.getLogger(__name__)

GIL_SWITCH_INTERVAL = 0.0005
"""Python's thread switch interval in seconds; short, so that decoding a page does not delay a scrape."""
STOP_TIMEOUT = 8.0
"""Seconds that open scrapes and running reads have to end together: Docker kills a process 10 s after SIGTERM."""
LAST_SAVE_TIMEOUT = 1.0
"""Seconds that StatsD has at least to drain its sockets and to save its counters."""
WATCH_INTERVAL = 5.0
"""Seconds between checks whether the web server runs."""
SWITCHED_ON_BY_URL = ("celery", "database")
"""Collectors, and the sections of the configuration whose URL switches them on."""
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StartError(Exception):
    """The exporter cannot start; `problems` has one line per reason."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Application:
    """The command `serve`. Raises StartError if the state file, the web configuration or an address cannot be used."""

    def __init__(self, configuration: Configuration, load: Callable[[], Configuration]) -> None:
        self._configuration = configuration
        self._load = load
        self._reloading = threading.Lock()
        self._signals: SimpleQueue[signal.Signals] = SimpleQueue()
        self._failure = ""
        settings = configuration.settings
        logs.configure(settings.log_level, settings.log_format)
        try:
            self.engine = Engine(settings)
            self._server = Server(self._build_context(), settings.web)
            self.engine.telemetry.served = self._get_served
        except (StateError, ValueError) as error:
            raise StartError(str(error)) from error

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; SIGHUP reloads the configuration. Raises StartError."""
        sys.setswitchinterval(GIL_SWITCH_INTERVAL)
        for number in (*STOP_SIGNALS, signal.SIGHUP):
            signal.signal(number, self._queue_signal)
        self._start()
        while self._wait_for_signal() not in STOP_SIGNALS:
            self._reload_by_signal()
        self._stop()
        if self._failure:
            raise StartError(self._failure)

    def reload(self) -> None:
        """Reload the configuration. Raises ConfigError if it is invalid; the old one stays in use."""
        with self._reloading:
            try:
                self._apply(self._load())
            except ConfigError as error:
                self._refuse(error)
                raise
            except SourceError as error:
                refusal = ConfigError([str(error)])
                self._refuse(refusal)
                raise refusal from error
            except StateError as error:
                # The sources have stopped and cannot continue without their counters: exit.
                self._failure = str(error)
                self._signals.put(signal.SIGTERM)
                raise ConfigError([str(error)]) from error
            self.engine.telemetry.record_reload(succeeded=True)
            log.info("the configuration was reloaded")

    def _refuse(self, error: ConfigError) -> None:
        self.engine.telemetry.record_reload(succeeded=False)
        for problem in error.problems:
            log.error("the configuration was not reloaded: %s", problem)

    def _get_served(self) -> WebCounts:
        counts = asdict(self._server.counts)
        return WebCounts(counts, self._server.open_connections, self._server.config_failures)

    def _build_context(self) -> AppContext:
        return AppContext(
            store=self.engine.store,
            ready=self.engine.ready,
            sources=self.engine.status,
            configuration=lambda: self._configuration.entries,
            diagnosis=lambda: self.engine.directory.diagnosis,
            sizing=self.engine.directory.measure_slots,
            find_failed_log=self.engine.directory.find_failed_log,
            grafana_url=self._configuration.settings.web.grafana_url,
            refresh=self.engine.refresh,
            find_try=self.engine.directory.find_try if self._configuration.settings.collectors["airflow"] else None,
            count_polls=lambda: self.engine.directory.polls,
            reload=self.reload if self._configuration.settings.web.enable_lifecycle else None,
        )

    def _start(self) -> None:
        log.info("starting", extra={"version": __version__})
        try:
            self._server.start()
        except AddressError as error:
            raise StartError(str(error)) from error
        except WebConfigError as error:
            raise StartError(*error.problems) from error
        for notice in self._configuration.notices:
            log.warning("%s", notice)
        if self._configuration.settings.state_file is None:
            log.warning("no state file is configured: counters restart at 0 with the exporter; see --state.file")
        self.engine.start()

    def _stop(self) -> None:
        for number in STOP_SIGNALS:
            # A second signal ends the process at once.
            signal.signal(number, signal.SIG_DFL)
        log.info("stopping")
        deadline = time.monotonic() + STOP_TIMEOUT
        self.engine.begin_stop()
        self._server.stop(STOP_TIMEOUT)
        with self._reloading:
            ended = self.engine.stop(max(LAST_SAVE_TIMEOUT, deadline - time.monotonic()))
        if not ended:
            log.warning("a read did not end in time; its data is read again after the next start")
        log.info("stopped")

    def _wait_for_signal(self) -> signal.Signals:
        while True:
            try:
                return self._signals.get(timeout=WATCH_INTERVAL)
            except Empty:
                if not self._server.alive:
                    self._failure = "the web server ended unexpectedly; see the log"
                    return signal.SIGTERM

    def _queue_signal(self, number: int, _frame: object) -> None:
        self._signals.put(signal.Signals(number))

    def _reload_by_signal(self) -> None:
        try:
            self.reload()
        except ConfigError:
            # Already logged and counted.
            return

    def _apply(self, configuration: Configuration) -> None:
        for name in list_restart_options(self._configuration.settings, configuration.settings):
            log.warning("the change of %s takes effect after a restart", name)
        for notice in configuration.notices:
            log.warning("%s", notice)
        # Also what the next reload compares with: otherwise it would apply what has to wait for a restart.
        applied = keep_restart_options(self._configuration, configuration)
        self.engine.replace(applied.settings)
        logs.configure(applied.settings.log_level, applied.settings.log_format)
        self._configuration = applied


def keep_restart_options(old: Configuration, new: Configuration) -> Configuration:
    """The new configuration, with the old settings and values of the sections that changed but need a restart."""
    before = old.settings
    changed = tuple(list_restart_options(before, new.settings))
    sections: dict[str, Any] = {name: getattr(before, name) for name in SWITCHED_ON_BY_URL if name in changed}
    settings = replace(
        new.settings, web=before.web, state_file=before.state_file, collectors=before.collectors, **sections
    )
    prefixes = tuple(f"{name}." for name in changed)
    in_use = {entry.name: entry for entry in old.entries if f"{entry.name}.".startswith(prefixes)}
    return new._replace(settings=settings, entries=tuple(in_use.get(entry.name, entry) for entry in new.entries))


def list_restart_options(old: Settings, new: Settings) -> Iterator[str]:
    """Yield the sections that changed but need a restart."""
    if old.web != new.web:
        yield "web"
    if old.state_file != new.state_file:
        yield "state.file"
    switched = {name for name, _ in old.collectors.items() ^ new.collectors.items()}
    yield from sorted(switched.intersection(SWITCHED_ON_BY_URL))
    if switched.difference(SWITCHED_ON_BY_URL):
        yield "collector"


def scrape_once(settings: Settings) -> tuple[str, list[str]]:
    """Read everything once. Returns the exposition with the actual values, and an error line per failed reader.

    No file is written, and StatsD is not received, because a running exporter may do so.
    """
    logs.configure("error", settings.log_format)
    engine = Engine(settings.for_one_reading())
    engine.read_once()
    engine.refresh()
    text = b"".join(render(engine.store, Format.TEXT, reveal_all=True)).decode()
    failures = [
        f"{source.name}/{reader.name}: {reader.outcome}: {reader.message}"
        for source in engine.status()
        for reader in source.readers
        if reader.outcome not in ("ok", "")
    ]
    engine.stop(STOP_TIMEOUT)
    return text, failures

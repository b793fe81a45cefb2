"""The exporter as a process: engine and web server, signals, reloading, and an orderly end."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from queue import Empty, SimpleQueue

from exporter import __version__, logs
from exporter.collect.telemetry import WebCounts
from exporter.config.loader import ConfigError, Configuration
from exporter.config.settings import Settings
from exporter.engine import Engine
from exporter.store.exposition import Format, render
from exporter.store.persistence.state_store import StateError
from exporter.web.server import AddressError, AppContext, Server, WebConfigError

log = logging.getLogger(__name__)

SWITCH_INTERVAL = 0.0005
"""Seconds for which one thread may keep the others waiting: decoding a page must not delay a scrape."""
GRACE = 10.0
"""Seconds that a scrape and a read under way have to end."""
WATCH = 5.0
"""Seconds between looks at whether the web server lives."""
END = (signal.SIGTERM, signal.SIGINT)


class StartError(Exception):
    """The exporter cannot start; `problems` has a line for each reason."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Application:
    """What `serve` runs. Raises StartError where the state file, the web configuration or an address is unusable."""

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
            self.engine.telemetry.served = self._count_served
        except (StateError, ValueError) as error:
            raise StartError(str(error)) from error

    def run(self) -> None:
        """Serve until SIGTERM or SIGINT; SIGHUP reads the configuration anew. Raises StartError."""
        sys.setswitchinterval(SWITCH_INTERVAL)
        for number in (*END, signal.SIGHUP):
            signal.signal(number, self._note)
        self._start()
        while self._wait_for_signal() not in END:
            self._reload_by_signal()
        self._stop()
        if self._failure:
            raise StartError(self._failure)

    def reload(self) -> None:
        """Read the configuration anew; one that is wrong leaves the old in force. Raises ConfigError."""
        with self._reloading:
            try:
                configuration = self._load()
            except ConfigError as error:
                self.engine.telemetry.record_reload(succeeded=False)
                for problem in error.problems:
                    log.error("the configuration was not reloaded: %s", problem)  # noqa: TRY400 - the line says it all
                raise
            try:
                self._apply(configuration)
            except StateError as error:
                # The sources have stopped and cannot go on without their counters: start over.
                self._failure = str(error)
                self._signals.put(signal.SIGTERM)
                raise ConfigError([str(error)]) from error
            self.engine.telemetry.record_reload(succeeded=True)
            log.info("the configuration was reloaded")

    def _count_served(self) -> WebCounts:
        counts = asdict(self._server.counts)
        return WebCounts(counts, self._server.open_connections, self._server.config_failures)

    def _build_context(self) -> AppContext:
        return AppContext(
            store=self.engine.store,
            ready=self.engine.ready,
            sources=self.engine.status,
            configuration=lambda: self._configuration.entries,
            diagnosis=lambda: self.engine.directory.diagnosis,
            refresh=self.engine.refresh,
            find_try=self.engine.directory.find_try if self._configuration.settings.collectors["airflow"] else None,
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
            log.warning("no state file is configured: counters start at zero; see --state.file")
        self.engine.start()

    def _stop(self) -> None:
        for number in END:
            # Whoever asks twice does not want to wait.
            signal.signal(number, signal.SIG_DFL)
        log.info("stopping")
        self._server.stop(GRACE)
        with self._reloading:
            ended = self.engine.stop(GRACE)
        if not ended:
            log.warning("a read did not end in time; what it found will be read again")
        log.info("stopped")

    def _wait_for_signal(self) -> signal.Signals:
        while True:
            try:
                return self._signals.get(timeout=WATCH)
            except Empty:
                if not self._server.alive:
                    self._failure = "the web server ended; see the log"
                    return signal.SIGTERM

    def _note(self, number: int, _frame: object) -> None:
        self._signals.put(signal.Signals(number))

    def _reload_by_signal(self) -> None:
        try:
            self.reload()
        except ConfigError:
            # It is logged and counted; there is nobody to tell.
            return

    def _apply(self, configuration: Configuration) -> None:
        old, new = self._configuration.settings, configuration.settings
        for name in find_fixed(old, new):
            log.warning("a change of %s takes effect with the next start", name)
        for notice in configuration.notices:
            log.warning("%s", notice)
        logs.configure(new.log_level, new.log_format)
        kept = replace(new, web=old.web, state_file=old.state_file, collectors=old.collectors)
        self.engine.replace(kept)
        self._configuration = configuration


def find_fixed(old: Settings, new: Settings) -> Iterator[str]:
    """What differs and cannot change while the exporter runs."""
    if old.web != new.web:
        yield "web"
    if old.state_file != new.state_file:
        yield "state.file"
    if old.collectors != new.collectors:
        yield "collector"


def scrape_once(settings: Settings) -> tuple[str, list[str]]:
    """Read everything once; returns the exposition with the values as they are, and what could not be read.

    The state file and StatsD are left alone: an exporter that runs may be using them.
    """
    logs.configure("error", settings.log_format)
    collectors = {**settings.collectors, "statsd": False}
    engine = Engine(replace(settings, state_file=None, collectors=collectors))
    engine.read_once()
    engine.refresh()
    text = b"".join(render(engine.store, Format.TEXT, reveal_all=True)).decode()
    failures = [
        f"{source.name}/{reader.name}: {reader.outcome}: {reader.message}"
        for source in engine.status()
        for reader in source.readers
        if reader.outcome not in ("ok", "")
    ]
    engine.stop(GRACE)
    return text, failures

"""Builds and runs everything that reads and stores data: store, state file, and a supervisor for each source."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from exporter.collect.garbage import free_frozen
from exporter.collect.histograms import get_buckets, get_caps, get_forms, list_ledger_families, mark_native_only
from exporter.collect.status import SourceStatus
from exporter.collect.supervisor import MAX_BUSY_RATIO, SourcePolicy, Supervisor, all_attempted
from exporter.collect.telemetry import CapCounters, OwnFamilies, Telemetry
from exporter.config.settings import Settings
from exporter.metrics.catalogue.families import FAMILIES
from exporter.metrics.family import Family
from exporter.metrics.reading import Memories, Source
from exporter.sources.context import Previous, SourceContext, SourceFactory
from exporter.sources.directory import Directory
from exporter.store.ledger import Ledger, LedgerRow
from exporter.store.live_tables import LiveTables
from exporter.store.persistence.state_store import NullStateStore, StateStore
from exporter.store.store import Store

if TYPE_CHECKING:
    from exporter.store.persistence.live_saver import LiveSaver

log = logging.getLogger(__name__)

MAX_PASSES = 20
"""Rounds of `read_once` for readers that have more to read."""
VOLATILE = frozenset({"host"})
"""Sources whose counters start at 0 with the process, because what they count goes on while the exporter is down."""
STATELESS = VOLATILE | {"statsd", "task_names", "celery", "database"}
"""Sources that save nothing in the state file, except the live tables of StatsD."""
UNINTERRUPTED = frozenset({"statsd"})
"""Sources that run on during a reload, unless their factory returns a new one."""
WAITING = frozenset({"celery", "database"})
"""Sources whose reads mostly wait for answers, and keep nothing busy meanwhile."""
LOCAL_BUSY_RATIO = 0.8
"""The part of the time that the reads of this machine, and those that only wait, may take."""
STOP_WARNING_AFTER = 30.0
"""Seconds after which the log says which source a reload waits for."""


class SourceError(Exception):
    """The sources cannot be built with other settings. The message says why."""


@dataclass(frozen=True, slots=True)
class RunningSource:
    """A source with its ledger and the supervisor that runs it."""

    source: Source
    ledger: Ledger
    supervisor: Supervisor


class Engine:
    """Everything between the settings and the store. Raises StateError if the state file cannot be used."""

    def __init__(self, settings: Settings) -> None:
        self.store = Store(FAMILIES)
        self.settings = settings
        self._state = open_state(settings)
        self.directory = Directory()
        self._ledgers: list[CapCounters] = []
        persistent = settings.state_file is not None
        self._tables = LiveTables(
            self.store, birth_hold=settings.birth_hold, buckets=get_buckets(settings), persistent=persistent
        )
        self._saver = build_saver(self._tables, self._state) if persistent else None
        self.telemetry = Telemetry(self.store, persistent=persistent, ledgers=self._ledgers, state=self._state)
        self.telemetry.seed(list_sources(settings))
        self._context = SourceContext(
            memory=self._state,
            directory=self.directory,
            count_request=self.telemetry.count_request,
            tables=self._tables,
            saver=self._saver,
            read_gauges=self.store.read,
            configure_tables=self._configure_tables,
        )
        self._running: tuple[RunningSource, ...] = ()
        self._carried_rows: dict[str, list[LedgerRow]] = {}
        self._set_caps(settings)
        self._run(settings, self._build_sources(settings))

    @property
    def sources(self) -> dict[str, Source]:
        """The sources that run, by name."""
        return {one.source.name: one.source for one in self._running}

    def start(self) -> None:
        """Start to read."""
        for one in self._running:
            one.supervisor.start()

    def begin_stop(self) -> None:
        """Let the current reads be the last ones, except StatsD's: it receives until `stop`."""
        for one in self._running:
            if one.source.name not in UNINTERRUPTED:
                one.supervisor.stop(0)

    def stop(self, timeout: float) -> bool:
        """Stop after the current reads and close the state file; False if one did not end within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        for one in self._running:
            # A source that hangs must not keep the others from ending, and from saving what they counted.
            one.supervisor.stop(0)
        stopped = [one.supervisor.stop(max(0.0, deadline - time.monotonic())) for one in self._running]
        if all(stopped):
            self._state.close()
        return all(stopped)

    def replace(self, settings: Settings) -> None:
        """Apply other settings: counters continue, Airflow's state is read again.

        Raises SourceError; then the old settings stay. Raises StateError; then nothing is read any more.
        """
        try:
            sources = self._build_sources(settings)
        except (ValueError, OSError) as error:
            # A file that was checked a moment ago may have changed since.
            raise SourceError(str(error)) from error
        self._set_caps(settings)
        for one in self._running:
            if one.source.name in UNINTERRUPTED and one.source in sources:
                continue
            while not one.supervisor.stop(STOP_WARNING_AFTER):
                log.warning("%s is still reading; the new configuration is applied after that", one.source.name)
        self._carried_rows = {one.source.name: one.ledger.dump() for one in self._running}
        running = self._running
        self._run(settings, sources)
        for one in self._running:
            if one not in running:
                one.supervisor.start()
        del running
        free_frozen()

    def remember(self, memories: Memories) -> None:
        """Write memories before the first read, as if an earlier process had. Raises StateError."""
        self._state.commit((), memories)

    def read_once(self) -> None:
        """Read all sources in this thread, in at most MAX_PASSES rounds each."""
        # What the workers and the database say is part of the diagnosis that Airflow's source makes.
        for one in sorted(self._running, key=lambda one: one.source.name not in WAITING):
            for _ in range(MAX_PASSES):
                if one.supervisor.run_due() > 0:
                    break
            one.source.close()

    def status(self) -> Sequence[SourceStatus]:
        """The status of each source. Any thread may call it."""
        return [one.supervisor.status() for one in self._running]

    def ready(self) -> bool:
        """Whether each source made its first attempt."""
        return all_attempted(self.status())

    def refresh(self) -> None:
        """Update the exporter's own families. Only one thread may call it."""
        for one in self._running:
            skew = getattr(one.source, "clock_skew", None)
            if skew is not None:
                self.telemetry.clock_skew[one.source.name] = skew
        # Only some sources have families of their own.
        tables = [one.source.tables() for one in self._running if isinstance(one.source, OwnFamilies)]
        self.telemetry.refresh(self.status(), {family: values for one in tables for family, values in one.items()})

    def _set_caps(self, settings: Settings) -> None:
        self.store.set_caps(get_caps(settings))

    def _run(self, settings: Settings, sources: Iterable[Source]) -> None:
        self.settings = settings
        self.telemetry.ui_url = get_ui_url(settings)
        self.telemetry.exporter_url = get_exporter_url(settings)
        running = {id(one.source): one for one in self._running if one.source.name in UNINTERRUPTED}
        self._running = tuple(running.get(id(source)) or self._build_running(source) for source in sources)
        self._ledgers[:] = [*(one.ledger for one in self._running), self._tables]

    def _build_running(self, source: Source) -> RunningSource:
        ledger = self._build_ledger(source)
        return RunningSource(source, ledger, self._supervise(source, ledger))

    def _build_sources(self, settings: Settings) -> list[Source]:
        previous = Previous(self.settings, self.sources)
        built = [build(settings, self._context, previous) for build in load_factories(settings)]
        return [source for sources in built for source in sources]

    def _configure_tables(self, settings: Settings) -> None:
        """Apply the settings to the live tables; a mapping file may use the names of families that nothing feeds."""
        self._tables.configure(settings.birth_hold, get_buckets(settings))
        self._tables.budget.max_mapped = settings.statsd.mapping_max_series
        if settings.statsd.mapping_config and settings.statsd.mapping_replaces:
            self.store.release(list_unfed_families(settings))

    def _build_ledger(self, source: Source) -> Ledger:
        """The ledger of a source, with its saved series."""
        ledger = Ledger(
            list_ledger_families(source.name),
            cap=self.store.cap,
            birth_hold=self.settings.birth_hold,
            buckets=get_buckets(self.settings),
            forms=get_forms(self.settings),
        )
        mark_native_only(ledger.tables.values(), self.settings)
        names = {family.name for family in list_ledger_families(source.name)}
        foreign = {family.name for family in FAMILIES} - names
        rows = self._carried_rows.get(source.name, []) if source.name in STATELESS else self._state.ledger()
        unfit = ledger.restore(row for row in rows if row.family not in foreign)
        if unfit:
            log.warning("%d saved series do not fit their family any more and start at zero", unfit)
        ledger.seed_closed()
        for table in ledger.tables.values():
            self.store.attach(table)
        return ledger

    def _supervise(self, source: Source, ledger: Ledger) -> Supervisor:
        # A local read keeps no other system busy: on a loaded machine it only takes longer.
        is_local = source.name in VOLATILE or source.name in WAITING
        ratio = LOCAL_BUSY_RATIO if is_local else MAX_BUSY_RATIO
        policy = SourcePolicy(persists=source.name not in STATELESS, max_busy_ratio=ratio)
        return Supervisor(source, self.store, ledger, self._state, policy=policy, on_error=self.telemetry.count_error)


def load_factories(settings: Settings) -> Iterator[SourceFactory]:
    """The factory of each source that is switched on; the modules of the others are not imported."""
    if settings.collectors.get("airflow"):
        from exporter.sources.airflow.source import build as build_airflow  # noqa: PLC0415

        yield build_airflow
    if settings.collectors.get("statsd"):
        from exporter.sources.statsd.source import build as build_statsd  # noqa: PLC0415

        yield build_statsd
    if settings.collectors.get("host"):
        from exporter.sources.host.source import build as build_host  # noqa: PLC0415

        yield build_host
    for name in ("celery", "database"):
        if settings.collectors.get(name):
            yield load_extra_factory(name)


def load_extra_factory(name: str) -> SourceFactory:
    """The factory of a source that needs an extra with its name. Raises ValueError if that is not installed."""
    try:
        factory: SourceFactory = import_module(f"exporter.sources.{name}.source").build
    except ModuleNotFoundError as error:
        raise ValueError(f"{name}: {error.name} is not installed; install airflow-metrics-exporter[{name}]") from error
    return factory


def open_state(settings: Settings) -> StateStore:
    """The state file, or a database in memory if none is configured. Raises StateError if the file cannot be used."""
    if settings.state_file is None and not set(list_sources(settings)) - STATELESS:
        return NullStateStore()
    # An exporter on a worker must not load SQLite.
    from exporter.store.persistence.state_file import StateFile  # noqa: PLC0415

    return StateFile(settings.state_file)


def build_saver(tables: LiveTables, state: StateStore) -> LiveSaver:
    """The writer of StatsD's counters to the state file."""
    from exporter.store.persistence.live_saver import LiveSaver  # noqa: PLC0415

    return LiveSaver(tables, state)


def get_ui_url(settings: Settings) -> str:
    """The URL of Airflow's user interface; empty if no Airflow is read."""
    airflow = settings.airflow
    return (airflow.public_url or airflow.url) if settings.collectors.get("airflow") else ""


def get_exporter_url(settings: Settings) -> str:
    """The URL of this exporter for browsers; empty if no Airflow is read, so that its links would lead nowhere."""
    if not settings.collectors.get("airflow"):
        return ""
    _, _, port = settings.web.listen_addresses[0].rpartition(":")
    return settings.web.external_url or f"http://localhost:{port}"


def list_sources(settings: Settings) -> list[str]:
    """The names of the sources that are switched on."""
    names = [name for name, chosen in settings.collectors.items() if chosen]
    return [*names, "task_names"] if "host" in names and settings.host.task_names_from else names


def list_unfed_families(settings: Settings) -> list[Family]:
    """Families that no source feeds if StatsD uses a mapping file; the file may use their names."""
    feeding = {"exporter", *list_sources(settings)} - {"statsd"}
    return [family for family in FAMILIES if family.source not in feeding]

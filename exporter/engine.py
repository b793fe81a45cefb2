"""What reads and keeps: store, state file, ledgers, telemetry and one supervisor a source, made from the settings."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exporter.collect.status import SourceStatus
from exporter.collect.supervisor import Manner, Supervisor, all_attempted
from exporter.collect.telemetry import Accounting, Counting, Telemetry
from exporter.config.settings import Settings
from exporter.metrics.catalogue.families import COARSE, FAMILIES
from exporter.metrics.family import Family, Kind
from exporter.metrics.reading import Source
from exporter.sources.context import Previous, SourceContext, SourceFactory
from exporter.sources.directory import Directory
from exporter.store.ledger import Ledger, Row
from exporter.store.live_tables import Events
from exporter.store.persistence.state_store import Keeper, Nothing
from exporter.store.store import Store

if TYPE_CHECKING:
    from exporter.store.persistence.live_saver import LiveSaver

log = logging.getLogger(__name__)

BY_NAME = {family.name: family for family in FAMILIES}
PASSES = 20
"""How often `read_once` goes on with readers that have more to read."""
VOLATILE = frozenset({"host"})
"""Sources whose counters start at zero with the process: what they measure goes on, seen or not, while it is away."""
STATELESS = VOLATILE | {"statsd", "task_names"}
"""Sources that keep nothing in the state file."""
UNBROKEN = frozenset({"statsd"})
"""Sources that go on through a change of the configuration, unless it is theirs."""
OWN_SHARE = 0.8
"""The part of the time that a source may take that reads this machine."""
WAIT = 30.0
"""Seconds after which a source that is slow to stop is mentioned."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A source and what drives it."""

    source: Source
    ledger: Ledger
    supervisor: Supervisor


class Engine:
    """Everything between the settings and the store. Raises StateError where the state file cannot be used."""

    def __init__(self, settings: Settings) -> None:
        self.store = Store(FAMILIES)
        self.settings = settings
        self._state = open_state(settings)
        self.directory = Directory()
        self._ledgers: list[Counting] = []
        persistent = settings.state_file is not None
        self._events = Events(
            self.store, hold=settings.birth_hold, buckets=find_buckets(settings), persistent=persistent
        )
        self._saver = build_saver(self._events, self._state) if persistent else None
        self.telemetry = Telemetry(self.store, persistent=persistent, ledgers=self._ledgers, state=self._state)
        self.telemetry.seed(list_sources(settings))
        self._context = SourceContext(
            memory=self._state,
            directory=self.directory,
            count_request=self.telemetry.count_request,
            tables=self._events,
            saver=self._saver,
            configure_tables=self._configure_tables,
        )
        self._units: tuple[Unit, ...] = ()
        self._carried: dict[str, list[Row]] = {}
        self._limit(settings)
        self._adopt(settings, self._build_sources(settings))

    @property
    def sources(self) -> dict[str, Source]:
        """The sources that run, by name."""
        return {unit.source.name: unit.source for unit in self._units}

    def start(self) -> None:
        """Begin to read."""
        for unit in self._units:
            unit.supervisor.start()

    def stop(self, timeout: float) -> bool:
        """Stop after the reads under way, and close the state file; says whether they ended in time (seconds)."""
        stopped = [unit.supervisor.stop(timeout) for unit in self._units]
        if all(stopped):
            self._state.close()
        return all(stopped)

    def replace(self, settings: Settings) -> None:
        """Go on with other settings: counters are taken over, what Airflow has is read anew.

        Raises StateError, after which nothing is read any more.
        """
        self._limit(settings)
        sources = self._build_sources(settings)
        for unit in self._units:
            if unit.source.name in UNBROKEN and unit.source in sources:
                continue
            while not unit.supervisor.stop(WAIT):
                log.warning("%s is still reading; the new configuration waits for it", unit.source.name)
        self._carried = {unit.source.name: unit.ledger.dump() for unit in self._units}
        running = self._units
        self._adopt(settings, sources)
        for unit in self._units:
            if unit not in running:
                unit.supervisor.start()

    def read_once(self) -> None:
        """Read everything that there is, in this thread, with at most PASSES attempts."""
        for unit in self._units:
            for _ in range(PASSES):
                if unit.supervisor.run_due() > 0:
                    break
            unit.source.close()

    def status(self) -> Sequence[SourceStatus]:
        """How the sources fare; any thread may ask."""
        return [unit.supervisor.status() for unit in self._units]

    def ready(self) -> bool:
        """Whether each source was tried once."""
        return all_attempted(self.status())

    def refresh(self) -> None:
        """Bring the exporter's own families up to date. Only one thread may call it."""
        for unit in self._units:
            skew = getattr(unit.source, "clock_skew", None)
            if skew is not None:
                self.telemetry.clock_skew[unit.source.name] = skew
        # Only some sources have families of their own.
        tables = [unit.source.tables() for unit in self._units if isinstance(unit.source, Accounting)]
        self.telemetry.refresh(self.status(), {family: values for one in tables for family, values in one.items()})

    def _limit(self, settings: Settings) -> None:
        self.store.limit({BY_NAME[name]: cap for name, cap in settings.caps.items()})

    def _adopt(self, settings: Settings, sources: Iterable[Source]) -> None:
        self.settings = settings
        self.telemetry.ui_url = find_ui(settings)
        running = {id(unit.source): unit for unit in self._units if unit.source.name in UNBROKEN}
        self._units = tuple(running.get(id(source)) or self._build_unit(source) for source in sources)
        self._ledgers[:] = [*(unit.ledger for unit in self._units), self._events]

    def _build_unit(self, source: Source) -> Unit:
        ledger = self._build_ledger(source)
        return Unit(source, ledger, self._supervise(source, ledger))

    def _build_sources(self, settings: Settings) -> list[Source]:
        previous = Previous(self.settings, self.sources)
        built = [build(settings, self._context, previous) for build in load_factories(settings)]
        return [source for sources in built for source in sources]

    def _configure_tables(self, settings: Settings) -> None:
        """Apply the settings to the live tables; a mapping file may use the names of families that nothing feeds."""
        self._events.configure(settings.birth_hold, find_buckets(settings))
        if settings.statsd.mapping_config:
            self.store.release(list_unfed(settings))

    def _build_ledger(self, source: Source) -> Ledger:
        """The ledger of a source, with what the state file kept of it."""
        ledger = Ledger(
            list_growing(source.name),
            cap=self.store.cap,
            hold=self.settings.birth_hold,
            buckets=find_buckets(self.settings),
        )
        names = {family.name for family in list_growing(source.name)}
        foreign = {family.name for family in FAMILIES} - names
        rows = self._carried.get(source.name, []) if source.name in VOLATILE else self._state.ledger()
        unfit = ledger.restore(row for row in rows if row.family not in foreign)
        if unfit:
            log.warning("%d series of the state file fit no family any more and start at zero", unfit)
        ledger.seed_closed()
        for table in ledger.tables.values():
            self.store.attach(table)
        return ledger

    def _supervise(self, source: Source, ledger: Ledger) -> Supervisor:
        # Where there is no other side to spare, a busy machine only makes a look longer, not dearer.
        manner = Manner(persists=False, share=OWN_SHARE) if source.name in VOLATILE else Manner()
        return Supervisor(source, self.store, ledger, self._state, manner=manner, on_error=self.telemetry.count_error)


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


def open_state(settings: Settings) -> Keeper:
    """The state file, or a database in memory. Raises StateError where the file cannot be used."""
    if settings.state_file is None and not set(list_sources(settings)) - STATELESS:
        return Nothing()
    # An exporter on a worker must not pay for what it imports.
    from exporter.store.persistence.state_file import State  # noqa: PLC0415

    return State(settings.state_file)


def build_saver(events: Events, state: Keeper) -> LiveSaver:
    """What keeps StatsD's counters in the state file."""
    from exporter.store.persistence.live_saver import LiveSaver  # noqa: PLC0415

    return LiveSaver(events, state)


def find_ui(settings: Settings) -> str:
    """Where people find the Airflow that is read; empty where none is."""
    airflow = settings.airflow
    return (airflow.public_url or airflow.url) if settings.collectors.get("airflow") else ""


def list_sources(settings: Settings) -> list[str]:
    names = [name for name, chosen in settings.collectors.items() if chosen]
    return [*names, "task_names"] if "host" in names and settings.host.task_names_from else names


def list_unfed(settings: Settings) -> list[Family]:
    """What no source feeds where StatsD's names come from a user's mapping file, which may use the same names."""
    feeding = {"exporter", *list_sources(settings)} - {"statsd"}
    return [family for family in FAMILIES if family.source not in feeding]


def list_growing(source: str) -> list[Family]:
    """The families of a source that only grow.

    Those of StatsD live in tables of their own; what the kernel counts is shown as it is.
    """
    own = {"host": "machine"}
    return [
        family
        for family in FAMILIES
        if family.source == source != "statsd" and family.kind is not Kind.GAUGE and family.reader != own.get(source)
    ]


def find_buckets(settings: Settings) -> dict[Family, tuple[float, ...]]:
    """The buckets that are not those of the catalogue; where tasks are not told apart, coarse ones by default."""
    coarse = {} if settings.airflow.task_labels else dict.fromkeys(COARSE, ())
    return coarse | {BY_NAME[name]: bounds for name, bounds in settings.buckets.items()}

"""What reads and keeps: store, state file, ledgers, telemetry and one supervisor a source, made from the settings."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, cast

from exporter.collect.status import SourceStatus
from exporter.collect.supervisor import Manner, Supervisor, all_attempted
from exporter.collect.telemetry import Accounting, Counting, Telemetry
from exporter.config.settings import Settings
from exporter.metrics.catalogue.families import COARSE, FAMILIES
from exporter.metrics.family import Family, Kind
from exporter.metrics.family_spec import FamilySpec
from exporter.metrics.reading import Source
from exporter.sources.directory import Directory
from exporter.store.ledger import Ledger, Row
from exporter.store.live_tables import Events
from exporter.store.persistence.state_store import Keeper, Nothing
from exporter.store.store import Store

if TYPE_CHECKING:
    from exporter.sources.statsd.model import Resolver
    from exporter.sources.statsd.source import StatsdSource
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


class Previous(NamedTuple):
    """What was in use before a reload; at the start there are no sources."""

    settings: Settings
    sources: Mapping[str, Source]


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
        self._units: tuple[Unit, ...] = ()
        self._carried: dict[str, list[Row]] = {}
        self._limit(settings)
        self._adopt(settings, self._build_sources(settings))

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
        return [*self._build_airflow(settings), *self._build_statsd(settings), *self._build_host(settings)]

    # An exporter without a source must not pay for what it imports.

    def _build_airflow(self, settings: Settings) -> list[Source]:
        if not settings.collectors.get("airflow"):
            return []
        from exporter.sources.airflow.source import AirflowSource  # noqa: PLC0415

        return [AirflowSource(settings.airflow, self._state, self.directory, self.telemetry.count_request)]

    def _build_statsd(self, settings: Settings) -> list[Source]:
        """The source that runs already, where it listens as before: it goes on without losing a packet."""
        if not settings.collectors.get("statsd"):
            return []
        from exporter.sources.statsd.aggregator import Absorber  # noqa: PLC0415
        from exporter.sources.statsd.resolvers import describe_feeding, make_resolver  # noqa: PLC0415
        from exporter.sources.statsd.source import StatsdSource, find_listeners  # noqa: PLC0415

        old = find_statsd(unit.source for unit in self._units)
        resolver = make_resolver(settings, self.directory, old.absorber.resolver if old else None)
        wanted, relay = find_listeners(settings.reception), settings.reception.relay_address
        if old is None:
            self._prepare(settings)
            self._restore(settings, resolver)
            return [StatsdSource(wanted, Absorber(self._events, resolver), relay, self._saver)]
        if self._saver:
            self._saver.configuration = describe_feeding(settings)
        anew = type(resolver) is not type(old.absorber.resolver)
        old.change(resolver, lambda: self._prepare(settings, anew=anew))
        unchanged = (old.listeners, old.relay_address) == (wanted, relay)
        return [old if unchanged else StatsdSource(wanted, old.absorber, relay, self._saver)]

    def _restore(self, settings: Settings, resolver: Resolver) -> None:
        """Let StatsD's counters go on where an earlier process stopped, before the first datagram is taken."""
        from exporter.sources.statsd.resolvers import describe_feeding  # noqa: PLC0415

        if self._saver is None:
            return
        restore = getattr(resolver, "restore_family", lambda _: None)
        by_api = settings.collectors.get("airflow", False)

        def find_family(spec: FamilySpec) -> Family | None:
            if not spec.declared:
                found: Family | None = restore(spec)
                return found
            family = BY_NAME.get(spec.name)
            fed_by_api = family is not None and family.source != "statsd" and by_api
            return None if family is None or fed_by_api or family.labels != spec.labels else family

        self._saver.restore(describe_feeding(settings), find_family)

    def _prepare(self, settings: Settings, *, anew: bool = False) -> None:
        """Get the tables of events ready for a resolver; `anew` where the same names now mean other things."""
        if anew:
            self._events.clear()
        self._events.configure(settings.birth_hold, find_buckets(settings))
        if settings.statsd.mapping_config:
            self.store.release(list_unfed(settings))

    def _build_host(self, settings: Settings) -> list[Source]:
        if not settings.collectors.get("host"):
            return []
        from exporter.sources.host.source import build  # noqa: PLC0415

        previous = Previous(self.settings, {unit.source.name: unit.source for unit in self._units})
        return build(settings, self, previous)

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


def find_statsd(sources: Iterable[Source]) -> StatsdSource | None:
    """The source of StatsD, where there is one."""
    return next((cast("StatsdSource", source) for source in sources if source.name == "statsd"), None)


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

"""The StatsD source: built from the settings, it receives from `connect` to `close` and reports what arrived."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial

from exporter.config.settings import ReceptionSettings, Settings
from exporter.metrics.catalogue import exporter
from exporter.metrics.catalogue.families import FAMILIES
from exporter.metrics.catalogue.statsd import dag_processor
from exporter.metrics.family import MAPPED, Family, Labels
from exporter.metrics.family_spec import FamilySpec
from exporter.metrics.reading import Reader, ReaderError, Reading, Source
from exporter.sources.context import EventSaver, Previous, SourceContext
from exporter.sources.directory import Directory
from exporter.sources.statsd.aggregator import Aggregator
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.beside import find_names, load_beside
from exporter.sources.statsd.mapping.mapper import Mapper, load_mapping
from exporter.sources.statsd.model import DROP_REASONS, REJECT_REASONS, MetricType, Resolver
from exporter.sources.statsd.receive.receiver import TRANSPORTS, Receiver, ReceptionCounts
from exporter.sources.statsd.receive.relay import Relay
from exporter.sources.statsd.receive.tcp import CLOSE_REASONS

INTERVAL = 10.0
MAX_LISTED_NAMES = 20
"""Unmapped names that the page of sources lists."""
BY_NAME = {family.name: family for family in FAMILIES}


class StatsdSource:
    """Receives StatsD from `connect` to `close`."""

    name = "statsd"
    vital = ""
    refused = False

    def __init__(self, settings: ReceptionSettings, aggregator: Aggregator, saver: EventSaver | None = None) -> None:
        self.settings = settings
        self.aggregator = aggregator
        self.receiver: Receiver | None = None
        self.counts = ReceptionCounts()
        self.relay = Relay(settings.relay_address) if settings.relay_address else None
        self.saver = saver
        self.readers: Sequence[Reader] = (ReceptionReader(self), saver) if saver else (ReceptionReader(self),)

    def __str__(self) -> str:
        wanted = self.settings
        addresses = (wanted.listen_udp, wanted.listen_tcp, wanted.listen_unixgram, wanted.listen_unix)
        named = zip(TRANSPORTS, addresses, strict=True)
        return ", ".join(f"{transport} {where}" for transport, where in named if where) or "nowhere"

    def connect(self) -> None:
        """Bind the sockets and start to receive, unless it runs. Raises ReaderError."""
        if self.receiver and self.receiver.alive:
            return
        if self.relay:
            self.relay.open()
        receiver = Receiver(self.settings, self.aggregator, self.relay, self.counts)
        receiver.start()
        self.receiver = receiver

    def begin(self, deadline: float) -> None:
        """Does nothing: no read of this source takes long."""

    def close(self) -> None:
        """Process what has arrived, close the sockets, and write the counters to the state file."""
        if self.receiver:
            self.receiver.stop()
        if self.saver:
            self.saver.finish()
        if self.relay:
            self.relay.close()

    def set_resolver(self, resolver: Resolver, configure: Callable[[], None] = lambda: None) -> None:
        """Use another resolver without a gap in reception. `configure` is called just before, in the same thread."""

        def apply() -> None:
            configure()
            self.aggregator.set_resolver(resolver)

        if not (self.receiver and self.receiver.call(apply)):
            apply()

    def tables(self) -> dict[Family, dict[Labels, float]]:
        """The exporter's own metrics about StatsD, with their current values. Any thread may call it."""
        aggregator, receiver = self.aggregator, self.receiver
        rejected, dropped = self.count_rejected(), aggregator.dropped
        tables: dict[Family, dict[Labels, float]] = {
            exporter.STATSD_LINES: {(): aggregator.lines},
            exporter.STATSD_EVENTS: {(exporter.STATSD_TYPES[one.value],): aggregator.events[one] for one in MetricType},
            exporter.STATSD_REJECTED: {(reason,): rejected[reason] for reason in REJECT_REASONS},
            exporter.STATSD_DROPPED: {(reason,): dropped[reason] for reason in DROP_REASONS},
            exporter.STATSD_AMBIGUOUS: {(): aggregator.ambiguous},
            exporter.STATSD_UNMAPPED: {(): len(aggregator.unmapped)},
        }
        if receiver:
            tables[exporter.STATSD_PACKETS] = {(one,): receiver.packets[one] for one in TRANSPORTS}
            tables[exporter.STATSD_LOST] = {(): receiver.lost}
            tables[exporter.STATSD_BUFFER] = {(): receiver.granted}
            tables |= self._list_connections(receiver)
        if self.relay:
            tables[exporter.STATSD_RELAY_UP] = {(): int(self.relay.ready)}
            tables[exporter.STATSD_RELAYED] = {(): self.relay.packets}
            tables[exporter.STATSD_RELAY_LOST] = {(): self.relay.lost}
        return tables

    def _list_connections(self, receiver: Receiver) -> dict[Family, dict[Labels, float]]:
        counts = self.counts.connections
        return {
            exporter.STATSD_CONNECTIONS: {(): receiver.connections},
            exporter.STATSD_REFUSED: {(): counts.refused},
            exporter.STATSD_CLOSED: {(reason,): counts.closed[reason] for reason in CLOSE_REASONS},
            exporter.STATSD_ACCEPT_FAILURES: {(): counts.accept_failures},
        }

    def count_rejected(self) -> Counter[str]:
        """Rejected lines by reason, including those that a connection cut off because they were too long."""
        # The receiving thread may add a reason meanwhile, which must not end the loop: dict() copies in one step.
        rejected = Counter(dict(self.aggregator.rejected))
        rejected["too_long"] += self.counts.connections.too_long
        return +rejected


class ReceptionReader:
    """Checks that the receiving thread runs, and reports what arrived."""

    name = "reception"
    help = "StatsD as it arrives"
    interval = INTERVAL
    families: Sequence[Family] = ()

    def __init__(self, source: StatsdSource) -> None:
        self._source = source

    def read(self) -> Reading:
        """Notes about what arrived, for the page of sources. Raises ReaderError if the receiving thread ended."""
        receiver = self._source.receiver
        if receiver is None or not receiver.alive:
            why = f" ({receiver.failure})" if receiver and receiver.failure else ""
            raise ReaderError("unreachable", f"the receiving thread ended{why}; it is restarted, see the log")
        return Reading(notes=tuple(self._format_notes(receiver)))

    def _format_notes(self, receiver: Receiver) -> Iterator[str]:
        aggregator = self._source.aggregator
        packets = sum(receiver.packets.values())
        yield f"{packets} packets, {aggregator.lines} lines, {receiver.lost} dropped by the kernel"
        for what, counts in (("rejected", self._source.count_rejected()), ("dropped", aggregator.dropped)):
            if counts:
                yield f"{what}: " + ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))
        relay = self._source.relay
        if relay:
            sent = f"relayed to {relay.address}: {relay.packets} packets, {relay.lost} lost"
            yield f"{sent}; {relay.problem}" if relay.problem else sent
        airflow_names = find_names(aggregator.resolver)
        if airflow_names:
            yield from airflow_names.remarks
        if aggregator.unmapped:
            names = list(aggregator.unmapped)[:MAX_LISTED_NAMES]
            yield f"unmapped names ({len(aggregator.unmapped)}): " + ", ".join(names)


def build(settings: Settings, context: SourceContext, previous: Previous, /) -> list[Source]:
    """The StatsD source; the running one if its addresses are unchanged, so that no packet is lost.

    Raises MappingError if the mapping file is invalid, and StateError if saved counters cannot be read.
    """
    context.directory.read_parse_durations = partial(read_parse_durations, context.read_gauges)
    running = previous.sources.get(StatsdSource.name)
    if isinstance(running, StatsdSource):
        return [rebuild(running, settings, context)]
    resolver = build_resolver(settings, context.directory)
    context.configure_tables(settings)
    if context.saver:
        context.saver.restore(compute_binding_digest(settings), build_family_finder(settings, resolver))
    return [StatsdSource(settings.reception, Aggregator(context.tables, resolver), context.saver)]


def read_parse_durations(read: Callable[[Family], Mapping[Labels, float]]) -> dict[tuple[str, str], float]:
    """The seconds that the last parse of each DAG file took, by bundle and path."""
    return {(labels[0], labels[1]): seconds for labels, seconds in read(dag_processor.FILE_DURATION).items()}


def rebuild(running: StatsdSource, settings: Settings, context: SourceContext) -> StatsdSource:
    """The running source with another resolver, or a new one on other addresses that feeds the same series."""
    before = running.aggregator.resolver
    resolver = build_resolver(settings, context.directory, before)
    if context.saver:
        context.saver.configuration = compute_binding_digest(settings)

    def configure() -> None:
        if type(resolver) is not type(before):
            # With Airflow's names before and after, only the metrics of a mapping file beside them come or go.
            # Otherwise the same StatsD names mean other metrics from now on.
            has_names = find_names(before) is not None and find_names(resolver) is not None
            context.tables.clear(MAPPED if has_names else None)
        context.configure_tables(settings)

    running.set_resolver(resolver, configure)
    if running.settings == settings.reception:
        return running
    return StatsdSource(settings.reception, running.aggregator, context.saver)


def build_resolver(settings: Settings, directory: Directory, before: Resolver | None = None) -> Resolver:
    """The resolver for Airflow's names, for a user's mapping file, or for both.

    It takes over the families that `before` made. Raises MappingError if the mapping file is invalid.
    """
    statsd = settings.statsd
    if statsd.mapping_config and statsd.mapping_replaces:
        return load_mapping(statsd.mapping_config, before.families if isinstance(before, Mapper) else None)
    reads_api = settings.collectors.get("airflow", False)
    api_feeds = frozenset(family for family in FAMILIES if reads_api and family.source == "airflow")
    names = AirflowNameResolver(directory, statsd, api_feeds, find_names(before))
    return load_beside(statsd.mapping_config, names, before) if statsd.mapping_config else names


def compute_binding_digest(settings: Settings) -> bytes:
    """A digest of the settings that decide which line feeds which family: it changes if a line may feed others."""
    statsd = settings.statsd
    mapping = statsd.mapping_config.read_bytes() if statsd.mapping_config else b""
    if mapping and statsd.mapping_replaces:
        return hashlib.sha256(mapping).digest()
    chosen = (statsd.prefix, statsd.allow, statsd.deny, statsd.task_labels, settings.collectors.get("airflow", False))
    return hashlib.sha256(repr(chosen).encode() + mapping).digest()


def build_family_finder(settings: Settings, resolver: Resolver) -> Callable[[FamilySpec], Family | None]:
    """A function that returns the family of saved series, or None if StatsD no longer feeds it."""
    by_api = settings.collectors.get("airflow", False)

    def find_family(spec: FamilySpec) -> Family | None:
        if not spec.declared:
            return resolver.restore_family(spec)
        family = BY_NAME.get(spec.name)
        if family is None or family.labels != spec.labels or (by_api and family.source != "statsd"):
            return None
        return family

    return find_family

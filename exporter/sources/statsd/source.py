"""StatsD as a source under the supervisor: connecting binds the sockets, reading reports what came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from exporter.config.settings import ReceptionSettings
from exporter.metrics.catalogue import exporter
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Reader, ReaderError, Reading
from exporter.sources.statsd.aggregator import Aggregator
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.model import DROP_REASONS, REJECT_REASONS, MetricType, Resolver
from exporter.sources.statsd.receive.receiver import TRANSPORTS, Listeners, Receiver, ReceptionCounts
from exporter.sources.statsd.receive.relay import Relay
from exporter.sources.statsd.receive.tcp import CLOSE_REASONS

INTERVAL = 10.0
SHOWN = 20
"""How many unmapped names are told."""


class Saver(Reader, Protocol):
    """Keeps what was received in the state file."""

    def finish(self) -> None:
        """Write the rest, once nothing is received any more."""


class StatsdSource:
    """Receives StatsD from `connect` to `close`."""

    name = "statsd"
    vital = ""
    refused = False

    def __init__(
        self, listeners: Listeners, aggregator: Aggregator, relay_address: str = "", saver: Saver | None = None
    ) -> None:
        self.listeners = listeners
        self.relay_address = relay_address
        self.aggregator = aggregator
        self.receiver: Receiver | None = None
        self.counts = ReceptionCounts()
        self.relay = Relay(relay_address) if relay_address else None
        self.saver = saver
        self.readers: Sequence[Reader] = (Reception(self), saver) if saver else (Reception(self),)

    def __str__(self) -> str:
        wanted = self.listeners
        named = zip(TRANSPORTS, (wanted.udp, wanted.tcp, wanted.unixgram, wanted.unix), strict=True)
        return ", ".join(f"{transport} {where}" for transport, where in named if where) or "nowhere"

    def connect(self) -> None:
        """Bind and begin to receive, unless it does already. Raises ReaderError."""
        if self.receiver and self.receiver.alive:
            return
        if self.relay:
            self.relay.open()
        receiver = Receiver(self.listeners, self.aggregator, self.relay, self.counts)
        receiver.start()
        self.receiver = receiver

    def begin(self, deadline: float) -> None:
        """Nothing here takes long."""

    def close(self) -> None:
        """Take what has arrived, close the sockets, and write what is to be kept."""
        if self.receiver:
            self.receiver.stop()
        if self.saver:
            self.saver.finish()
        if self.relay:
            self.relay.close()

    def change(self, resolver: Resolver, configure: Callable[[], None] = lambda: None) -> None:
        """Resolve by another resolver from now on, without a gap in reception; `configure` is called just before."""

        def apply() -> None:
            configure()
            self.aggregator.set_resolver(resolver)

        if not (self.receiver and self.receiver.call(apply)):
            apply()

    def tables(self) -> dict[Family, dict[Labels, float]]:
        """The exporter's own families of StatsD, as they are now. Any thread may ask."""
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
        """Lines that were refused, by reason: those that were read, and those that a connection cut off."""
        return self.aggregator.rejected + Counter(too_long=self.counts.connections.too_long)


def get_remarks(resolver: Resolver) -> list[str]:
    """What a resolver has to say of how Airflow sends; nothing where it is a user's mapping."""
    return resolver.remarks if isinstance(resolver, AirflowNameResolver) else []


def find_listeners(settings: ReceptionSettings) -> Listeners:
    """Where to listen by the settings."""
    return Listeners(
        udp=settings.listen_udp,
        tcp=settings.listen_tcp,
        unixgram=settings.listen_unixgram,
        unix=settings.listen_unix,
        mode=settings.unix_socket_mode,
        buffer=settings.receive_buffer,
        idle=settings.idle_timeout,
    )


class Reception:
    """Looks whether the receiving thread lives, and tells what came."""

    name = "reception"
    help = "StatsD as it arrives"
    interval = INTERVAL
    families: Sequence[Family] = ()

    def __init__(self, source: StatsdSource) -> None:
        self._source = source

    def read(self) -> Reading:
        """Tell what came. Raises ReaderError where nothing is received any more."""
        receiver = self._source.receiver
        if receiver is None or not receiver.alive:
            why = f" ({receiver.failure})" if receiver and receiver.failure else ""
            raise ReaderError("unreachable", f"the receiving thread ended{why}; it is started again, see the log")
        return Reading(notes=tuple(self._tell(receiver)))

    def _tell(self, receiver: Receiver) -> Iterator[str]:
        aggregator = self._source.aggregator
        yield f"{sum(receiver.packets.values())} packets, {aggregator.lines} lines, {receiver.lost} lost by the kernel"
        # The receiving thread goes on counting: what it may add a reason to is copied first, in one step.
        for what, counts in (("rejected", dict(self._source.count_rejected())), ("dropped", aggregator.dropped)):
            if counts:
                yield f"{what}: " + ", ".join(f"{reason} {count}" for reason, count in sorted(counts.items()))
        relay = self._source.relay
        if relay:
            yield f"relayed to {relay.address}: {relay.packets} packets, {relay.lost} lost; {relay.problem}".rstrip(
                "; "
            )
        yield from get_remarks(aggregator.resolver)
        if aggregator.unmapped:
            names = list(aggregator.unmapped)[:SHOWN]
            yield f"names that nothing knows ({len(aggregator.unmapped)}): " + ", ".join(names)

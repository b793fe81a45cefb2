"""The exporter's own families: what its sources, its requests, its series and its process are like."""

from __future__ import annotations

import platform
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from exporter import __version__
from exporter.collect import own_process
from exporter.collect.status import SourceStatus
from exporter.metrics.catalogue import exporter
from exporter.metrics.family import Family, Kind, Labels
from exporter.metrics.reading import REASONS, Change
from exporter.store.ledger import Ledger
from exporter.store.persistence.state_store import Keeper
from exporter.store.store import Store

Values = dict[Labels, float]
PENDING = 200_000
"""How many events are kept until the next scrape counts them."""


class Counting(Protocol):
    """Ledgers and live tables count what their caps leave no room for."""

    folded: Counter[Family]
    refused: Counter[Family]


class Served(NamedTuple):
    """What the web server counted: what it turned away by reason, open connections, unusable configuration files."""

    rejected: Mapping[str, int]
    connections: int
    config_failures: int


@runtime_checkable
class Accounting(Protocol):
    """A source that has families of the exporter's own."""

    def tables(self) -> Mapping[Family, dict[Labels, float]]:
        """Their whole state; any thread may ask."""


class Telemetry:
    """Collects events from any thread; `refresh`, called before a scrape, turns them into series."""

    def __init__(
        self, store: Store, *, persistent: bool, ledgers: Sequence[Counting] = (), state: Keeper | None = None
    ) -> None:
        self._store = store
        self._persistent = persistent
        self._state = state
        self._ledgers = ledgers
        growing = [family for family in exporter.FAMILIES if family.kind is not Kind.GAUGE]
        counted = (exporter.SOURCE_ERRORS, exporter.API_REQUESTS, exporter.API_REQUEST_DURATION)
        self._ledger = Ledger([family for family in growing if family in counted], cap=store.cap, hold=0.0)
        for table in self._ledger.tables.values():
            store.attach(table)
        self._events: deque[Change] = deque(maxlen=PENDING)
        self.clock_skew: dict[str, float] = {}
        """By source, in seconds: how far the other side's clock is ahead."""
        self.ui_url = ""
        """Where people find Airflow; empty where the exporter reads none."""
        self.served: Callable[[], Served] | None = None
        """How the web server fares, where there is one."""
        self.reloaded: bool = True
        self.reloaded_at: float = time.time()

    def seed(self, sources: Iterable[str]) -> None:
        """Expose what is known beforehand at 0."""
        for source in sources:
            for reason in REASONS:
                self._ledger.seed(exporter.SOURCE_ERRORS, (source, reason))

    def count_error(self, source: str, reason: str) -> None:
        """A read failed."""
        self._events.append(Change(exporter.SOURCE_ERRORS, (source, reason)))

    def count_request(self, endpoint: str, code: str, seconds: float) -> None:
        """A request was answered, or was not (code `error`)."""
        self._events.append(Change(exporter.API_REQUESTS, (endpoint, code)))
        self._events.append(Change(exporter.API_REQUEST_DURATION, (endpoint,), seconds))

    def record_reload(self, *, succeeded: bool) -> None:
        """The configuration was read anew, or could not be."""
        self.reloaded = succeeded
        if succeeded:
            self.reloaded_at = time.time()

    def refresh(self, statuses: Sequence[SourceStatus], more: Mapping[Family, Values] | None = None) -> None:
        """Bring the families up to date, with `more` that a source tells of itself. Only one thread may call it."""
        events = [self._events.popleft() for _ in range(len(self._events))]
        self._ledger.adopt(self._ledger.stage(events))
        tables: dict[Family, Values] = {**source_tables(statuses), **reader_tables(statuses)}
        tables[exporter.BUILD_INFO] = {(__version__, platform.python_version()): 1}
        tables[exporter.UI_INFO] = {(self.ui_url,): 1} if self.ui_url else {}
        tables[exporter.CLOCK_SKEW] = {(source,): skew for source, skew in self.clock_skew.items()}
        tables[exporter.STATE_PERSISTENT] = {(): int(self._persistent)}
        if self._persistent and self._state:
            tables |= state_tables(self._state)
        tables[exporter.CONFIG_RELOAD_SUCCESSFUL] = {(): int(self.reloaded)}
        tables[exporter.CONFIG_RELOAD_TIMESTAMP] = {(): self.reloaded_at}
        tables |= own_process.collect() | dict(more or {})
        if self.served:
            tables |= served_tables(self.served())
        counts = self._store.count()
        tables[exporter.SERIES] = {(family.name,): count for family, count in counts.items()}
        tables[exporter.SERIES_DROPPED] = self._count_dropped(counts)
        self._store.publish(tables)

    def _count_dropped(self, families: Iterable[Family]) -> Values:
        dropped: Values = {(family.name,): 0 for family in families}
        ledgers: tuple[Counting, ...] = (self._ledger, *self._ledgers)
        for counts in (self._store.dropped, *(one.folded for one in ledgers), *(one.refused for one in ledgers)):
            # Other threads count meanwhile; a family that is new to them must not end the walk: one step copies all.
            for family, count in dict(counts).items():
                labels = (family.name,)
                dropped[labels] = dropped.get(labels, 0) + count
        return dropped


def source_tables(statuses: Iterable[SourceStatus]) -> dict[Family, Values]:
    """The families by source."""
    up: Values = {}
    success: Values = {}
    for status in statuses:
        up[(status.name,)] = int(status.up)
        moments = [one.last_success for one in status.readers if one.last_success and one.name != "connection"]
        if moments:
            success[(status.name,)] = max(moments)
    return {exporter.SOURCE_UP: up, exporter.SOURCE_LAST_SUCCESS: success}


def reader_tables(statuses: Iterable[SourceStatus]) -> dict[Family, Values]:
    """The families by reader; a reader that was never tried is absent."""
    tables: dict[Family, Values] = {
        family: {}
        for family in (
            exporter.READER_SUCCESS,
            exporter.READER_LAST_SUCCESS,
            exporter.READER_DURATION,
            exporter.READER_INTERVAL,
            exporter.READER_UNANSWERED,
        )
    }
    for status in statuses:
        for one in status.readers:
            labels = (status.name, one.name)
            if one.last_attempt is None:
                continue
            tables[exporter.READER_SUCCESS][labels] = int(one.outcome == "ok")
            tables[exporter.READER_DURATION][labels] = one.duration
            tables[exporter.READER_INTERVAL][labels] = one.pause
            tables[exporter.READER_UNANSWERED][labels] = one.unanswered
            if one.last_success is not None:
                tables[exporter.READER_LAST_SUCCESS][labels] = one.last_success
    return tables


def state_tables(state: Keeper) -> dict[Family, Values]:
    """The families of the state file."""
    return {
        exporter.STATE_LAST_WRITE: {(): state.last_write} if state.last_write else {},
        exporter.STATE_RECOVERIES: {(): state.recoveries},
        exporter.STATE_LOST_ROWS: {(): state.lost_rows},
    }


def served_tables(served: Served) -> dict[Family, Values]:
    """The families of the web server."""
    return {
        exporter.HTTP_REJECTED: {(reason,): served.rejected[reason] for reason in exporter.HTTP_REASONS},
        exporter.HTTP_CONNECTIONS: {(): served.connections},
        exporter.WEB_CONFIG_FAILURES: {(): served.config_failures},
    }

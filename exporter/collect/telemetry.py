"""The exporter's own metrics: its sources, requests to Airflow, series, web server, state file and process."""

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
from exporter.revision import REVISION
from exporter.store.ledger import Ledger
from exporter.store.persistence.state_store import StateStore
from exporter.store.store import Store

Values = dict[Labels, float]
MAX_PENDING_EVENTS = 200_000
"""Events that are kept until the next scrape counts them."""


class CapCounters(Protocol):
    """Ledgers and live tables, which count what exceeds the caps of families."""

    folded: Counter[Family]
    refused: Counter[Family]


class WebCounts(NamedTuple):
    """Counts of the web server: rejected requests by reason, open connections, failed reloads of its configuration."""

    rejected: Mapping[str, int]
    connections: int
    config_failures: int


@runtime_checkable
class OwnFamilies(Protocol):
    """A source that has some of the exporter's own families."""

    def tables(self) -> Mapping[Family, dict[Labels, float]]:
        """The state of these families. Any thread may call it."""


class Telemetry:
    """Collects events from any thread. `refresh` is called before a scrape and updates the series."""

    def __init__(
        self, store: Store, *, persistent: bool, ledgers: Sequence[CapCounters] = (), state: StateStore | None = None
    ) -> None:
        self._store = store
        self._persistent = persistent
        self._state = state
        self._ledgers = ledgers
        growing = [family for family in exporter.FAMILIES if family.kind is not Kind.GAUGE]
        counted = (exporter.SOURCE_ERRORS, exporter.API_REQUESTS, exporter.API_REQUEST_DURATION)
        self._ledger = Ledger([family for family in growing if family in counted], cap=store.cap, birth_hold=0.0)
        for table in self._ledger.tables.values():
            store.attach(table)
        self._events: deque[Change] = deque(maxlen=MAX_PENDING_EVENTS)
        self.clock_skew: dict[str, float] = {}
        """By source: seconds that the other side's clock is ahead of ours."""
        self.ui_url = ""
        """The URL of Airflow's user interface; empty if no Airflow is read."""
        self.exporter_url = ""
        """The URL of this exporter for browsers; empty if no Airflow is read."""
        self.served: Callable[[], WebCounts] | None = None
        """Returns the counts of the web server, if there is one."""
        self.reloaded: bool = True
        self.reloaded_at: float = time.time()

    def seed(self, sources: Iterable[str]) -> None:
        """Create the series of errors by reason with the value 0."""
        for source in sources:
            for reason in REASONS:
                self._ledger.seed(exporter.SOURCE_ERRORS, (source, reason))

    def count_error(self, source: str, reason: str) -> None:
        """Count a failed read, by source and reason."""
        self._events.append(Change(exporter.SOURCE_ERRORS, (source, reason)))

    def count_request(self, endpoint: str, code: str, seconds: float) -> None:
        """Count a request to Airflow's API; `code` is the HTTP status, or `error` without a reply."""
        self._events.append(Change(exporter.API_REQUESTS, (endpoint, code)))
        self._events.append(Change(exporter.API_REQUEST_DURATION, (endpoint,), seconds))

    def record_reload(self, *, succeeded: bool) -> None:
        """Record that the configuration was reloaded, or that it could not be."""
        self.reloaded = succeeded
        if succeeded:
            self.reloaded_at = time.time()

    def refresh(self, statuses: Sequence[SourceStatus], more: Mapping[Family, Values] | None = None) -> None:
        """Update all families, with `more` from the sources. Only one thread may call it."""
        events = [self._events.popleft() for _ in range(len(self._events))]
        self._ledger.publish(self._ledger.stage(events))
        tables: dict[Family, Values] = {**source_tables(statuses), **reader_tables(statuses)}
        tables[exporter.BUILD_INFO] = {(__version__, REVISION, platform.python_version()): 1}
        tables[exporter.UI_INFO] = {(self.ui_url,): 1} if self.ui_url else {}
        tables[exporter.EXPORTER_UI_INFO] = {(self.exporter_url,): 1} if self.exporter_url else {}
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
        ledgers: tuple[CapCounters, ...] = (self._ledger, *self._ledgers)
        for counts in (self._store.dropped, *(one.folded for one in ledgers), *(one.refused for one in ledgers)):
            # Other threads may add a family meanwhile, which must not end the loop: dict() copies in one step.
            for family, count in dict(counts).items():
                labels = (family.name,)
                dropped[labels] = dropped.get(labels, 0) + count
        return dropped


def source_tables(statuses: Iterable[SourceStatus]) -> dict[Family, Values]:
    """The families with the label `source`."""
    up: Values = {}
    success: Values = {}
    for status in statuses:
        up[(status.name,)] = int(status.up)
        moments = [one.last_success for one in status.readers if one.last_success and one.name != "connection"]
        if moments:
            success[(status.name,)] = max(moments)
    return {exporter.SOURCE_UP: up, exporter.SOURCE_LAST_SUCCESS: success}


def reader_tables(statuses: Iterable[SourceStatus]) -> dict[Family, Values]:
    """The families by reader; a reader without an attempt has no series."""
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


def state_tables(state: StateStore) -> dict[Family, Values]:
    """The families of the state file."""
    return {
        exporter.STATE_LAST_WRITE: {(): state.last_write} if state.last_write else {},
        exporter.STATE_RECOVERIES: {(): state.recoveries},
        exporter.STATE_LOST_ROWS: {(): state.lost_rows},
    }


def served_tables(served: WebCounts) -> dict[Family, Values]:
    """The families of the web server."""
    return {
        exporter.HTTP_REJECTED: {(reason,): served.rejected[reason] for reason in exporter.HTTP_REASONS},
        exporter.HTTP_CONNECTIONS: {(): served.connections},
        exporter.WEB_CONFIG_FAILURES: {(): served.config_failures},
    }

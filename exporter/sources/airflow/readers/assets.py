"""The reader of assets (2.x: datasets): when each was updated, and which events are queued for the DAGs they schedule.

Airflow lists queued events for one DAG at a time. A DAG is asked for when one of its assets was updated, and as long as
events are queued for it, in a small share of the time: the requests follow what happens, not how many DAGs there are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from exporter.config.dag_filter import DagFilter
from exporter.diagnosis.waits.assets import AssetState
from exporter.metrics.catalogue.api import dags
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import ReaderError, Reading
from exporter.sources.airflow.api.base import ApiBase
from exporter.sources.airflow.api.objects import assets as api
from exporter.sources.airflow.api.objects.assets import CHECKS, Asset, AssetEvent
from exporter.sources.airflow.counting.retry_later import RetryLater
from exporter.sources.airflow.reader import RARE_INTERVAL, SLOW_INTERVAL, ApiReader, ReaderContext
from exporter.sources.airflow.shared import AirflowState

MANY_ASSETS = 500
"""With more assets than this they are read every RARE_INTERVAL: each hundred costs Airflow a request."""
MAX_EVENTS = 100
"""Newest events that are read at once where the list of assets does not have them (2.x, 3.0): one page."""
MAX_TIME_SHARE = 0.03
"""The share of its interval in which one read asks for single DAGs and assets."""


class Questions(NamedTuple):
    """How the API is asked."""

    assets: Callable[[], Sequence[Asset]]
    newest_events: Callable[[], Sequence[AssetEvent]]
    last_event: Callable[[int], float | None]
    queued_since: Callable[[str], Sequence[float | None]]


class Queue(NamedTuple):
    """The events that were queued for a DAG when its assets had these last events (Unix seconds)."""

    last_events: tuple[float | None, ...]
    queued_since: Sequence[float | None]


class AssetsReader(ApiReader):
    """Reads assets, their last events, and the queued events of the DAGs that they schedule."""

    name = "assets"
    help = "Assets (2.x: datasets): last event of each, events queued for the DAGs that they schedule"
    families = (
        dags.ASSET_LAST_EVENT,
        dags.DAG_SCHEDULE_ASSET_INFO,
        dags.QUEUED_ASSET_EVENTS,
        dags.OLDEST_QUEUED_ASSET_EVENT,
    )
    min_interval = SLOW_INTERVAL
    checks = CHECKS

    def __init__(
        self,
        questions: Questions,
        shared: AirflowState,
        dag_filter: DagFilter,
        interval: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.interval = interval
        self._short_interval = interval
        self._questions = questions
        self._shared = shared
        self._dag_filter = dag_filter
        self._clock = clock
        self._later = RetryLater(clock)
        self._last_events: dict[int, float | None] = {}
        """By asset, as far as they are known; None where an asset was never updated."""
        self._queues: dict[str, Queue] = {}

    @classmethod
    def build(cls, context: ReaderContext, interval: float) -> AssetsReader:
        """A reader for the Airflow that is connected now."""
        return cls(make_questions(context.airflow), context.shared, context.dag_filter, interval)

    def read(self) -> Reading:
        """Read the assets, and ask for as many DAGs as there is time for. Raises ReaderError."""
        found = [asset for asset in self._questions.assets() if self._is_covered(asset)]
        self.interval = max(self._short_interval, RARE_INTERVAL) if len(found) > MANY_ASSETS else self._short_interval
        self._take_last_events(found)
        consumers = {
            dag_id: used for dag_id, used in api.list_consumers(found).items() if self._dag_filter.includes(dag_id)
        }
        self._queues = {dag_id: queue for dag_id, queue in self._queues.items() if dag_id in consumers}
        pending = {
            dag_id: self._last_events_of(used) for dag_id, used in consumers.items() if self._is_due(dag_id, used)
        }
        unknown = {f"asset {asset.name}": asset.id for asset in found if asset.id not in self._last_events}
        self._later.keep({*pending, *unknown})
        asked = self._ask_in_time(pending, unknown)
        self._shared.assets = [self._describe(asset) for asset in found if asset.id in self._last_events]
        remaining = len(pending) + len(unknown) - asked
        return Reading(
            asset_tables(found, self._last_events, consumers, self._queues),
            notes=[f"{len(found)} assets, {len(consumers)} DAGs; {asked} asked for, {remaining} remain"],
            unanswered=self._later.messages(),
        )

    def _describe(self, asset: Asset) -> AssetState:
        """An asset, for the diagnosis."""
        return AssetState(
            asset.name,
            asset.consumers,
            asset.producers,
            self._last_events[asset.id],
            asset.is_watched,
            [dag_id for dag_id in asset.consumers if dag_id in self._queues and self._queues[dag_id].queued_since],
        )

    def _is_covered(self, asset: Asset) -> bool:
        """Whether an asset schedules a DAG that is read, or none at all."""
        return not asset.consumers or any(map(self._dag_filter.includes, asset.consumers))

    def _take_last_events(self, found: Sequence[Asset]) -> None:
        """Learn what the list says of last events, or else the newest events."""
        self._last_events = {asset.id: self._last_events[asset.id] for asset in found if asset.id in self._last_events}
        self._last_events |= {asset.id: asset.last_event for asset in found if asset.knows_last_event}
        if all(asset.knows_last_event for asset in found):
            return
        ids = {asset.id for asset in found}
        for event in self._questions.newest_events():
            if event.asset_id in ids:
                before = self._last_events.get(event.asset_id)
                self._last_events[event.asset_id] = max(event.timestamp, before or 0.0)

    def _last_events_of(self, used: Iterable[Asset]) -> tuple[float | None, ...]:
        return tuple(self._last_events.get(asset.id) for asset in used)

    def _is_due(self, dag_id: str, used: Iterable[Asset]) -> bool:
        """Whether events may be queued for a DAG that were not when it was asked for last, or no longer."""
        queue = self._queues.get(dag_id)
        return queue is None or bool(queue.queued_since) or queue.last_events != self._last_events_of(used)

    def _ask_in_time(self, pending: Mapping[str, tuple[float | None, ...]], unknown: Mapping[str, int]) -> int:
        """Ask for DAGs and then for assets, one at least; returns for how many. Raises ReaderError."""
        end = self._clock() + self.interval * MAX_TIME_SHARE
        asked = 0
        # A DAG that was asked for goes to the end of the dictionary of queues: the next read begins with others.
        order = {dag_id: place for place, dag_id in enumerate(self._queues)}
        for key in (*sorted(pending, key=lambda dag_id: order.get(dag_id, -1)), *unknown):
            if not self._later.is_due(key):
                continue
            if asked and self._clock() >= end:
                break
            asked += 1
            try:
                if key in unknown:
                    self._last_events[unknown[key]] = self._questions.last_event(unknown[key])
                else:
                    queued_since = self._questions.queued_since(key)
                    self._queues.pop(key, None)
                    self._queues[key] = Queue(pending[key], queued_since)
            except ReaderError as error:
                if not self._later.pass_over(key, error):
                    if asked == 1:
                        raise
                    break
            else:
                self._later.succeed(key)
        return asked


def make_questions(airflow: ApiBase) -> Questions:
    """The questions, put to an Airflow."""
    return Questions(
        partial(api.read_assets, airflow),
        partial(api.read_newest_events, airflow, MAX_EVENTS),
        partial(api.read_last_event, airflow),
        partial(api.read_queued_since, airflow),
    )


def asset_tables(
    found: Iterable[Asset],
    last_events: Mapping[int, float | None],
    consumers: Mapping[str, Iterable[Asset]],
    queues: Mapping[str, Queue],
) -> dict[Family, dict[Labels, float]]:
    """The families of assets; what is not known yet is absent, never 0."""
    updated: dict[Labels, float] = {}
    for asset in found:
        moment = last_events.get(asset.id)
        if moment is not None:
            updated[(asset.name,)] = max(moment, updated.get((asset.name,), moment))
    oldest = {dag_id: min(filter(None, queue.queued_since), default=None) for dag_id, queue in queues.items()}
    return {
        dags.ASSET_LAST_EVENT: updated,
        dags.DAG_SCHEDULE_ASSET_INFO: {(dag_id, asset.name): 1 for dag_id, used in consumers.items() for asset in used},
        dags.QUEUED_ASSET_EVENTS: {(dag_id,): len(queue.queued_since) for dag_id, queue in queues.items()},
        dags.OLDEST_QUEUED_ASSET_EVENT: {(dag_id,): moment for dag_id, moment in oldest.items() if moment is not None},
    }

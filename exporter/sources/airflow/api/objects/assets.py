"""Assets (2.x: datasets), their newest events, and the events that are queued for a DAG until its others come.

Each list has other names in the two releases, so each is declared twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from exporter.sources.airflow.api.base import ApiBase, ListSpec
from exporter.sources.airflow.api.check_step import CheckStep, count
from exporter.sources.airflow.api.decode import Moment, RowDecoder, Text, to_seconds
from exporter.sources.airflow.api.paging import Query, Rows, read_one_page
from exporter.sources.airflow.http.endpoints import Resource
from exporter.sources.airflow.http.errors import AnswerError

ON_3, ON_2 = "Assets", "Datasets"
ASSETS = Resource("assets", f"{ON_3} and Asset Aliases", "/datasets", "/assets", "AssetApi.get_assets", ON_2)
EVENTS = Resource("assetEvents", ON_3, "/datasets/events", "/assets/events", "AssetApi.get_asset_events", ON_2)
QUEUED = Resource(
    "queuedAssetEvents",
    ON_3,
    "/dags/{dag_id}/datasets/queuedEvent",
    "/dags/{dag_id}/assets/queuedEvents",
    "AssetApi.get_dag_asset_queued_events",
    ON_2,
)


class ConsumerRow(msgspec.Struct, gc=False):
    """A DAG that an asset schedules."""

    dag_id: Text = None


class ProducerRow(msgspec.Struct, gc=False):
    """A task that updates an asset."""

    dag_id: Text = None
    task_id: Text = None


class LastEventRow(msgspec.Struct, gc=False):
    """The newest event of an asset, both fields null without one."""

    timestamp: Moment = None


class AssetRow(msgspec.Struct):
    """An asset as sent: v1 and 3.0 have `consuming_dags`, v1 no name.

    3.1 and later have `last_asset_event`, 3.2 and later `watchers`.
    """

    id: int
    name: Text = None
    uri: Text = None
    scheduled_dags: list[ConsumerRow] | None = None
    consuming_dags: list[ConsumerRow] | None = None
    producing_tasks: list[ProducerRow] | None = None
    watchers: list[dict[str, Any]] | None = None
    last_asset_event: LastEventRow | None = None


class Asset(msgspec.Struct, frozen=True, kw_only=True):
    """An asset. `consumers` are the DAGs that it schedules. `name` is the URI on 2.x."""

    id: int
    name: str
    consumers: tuple[str, ...] = ()
    producers: tuple[tuple[str, str], ...] = ()
    """DAG and task of each task that updates it."""
    is_watched: bool | None = False
    """Whether events from outside of Airflow update it. None where Airflow does not say (3.0 and 3.1)."""
    last_event: float | None = None
    knows_last_event: bool = False
    """Whether this release sends the newest event with the asset; else its events have to be read."""


def to_asset(row: AssetRow) -> Asset:
    """An asset from a row of either release."""
    dags = row.scheduled_dags if row.scheduled_dags is not None else row.consuming_dags
    last = row.last_asset_event
    return Asset(
        id=row.id,
        name=row.name or row.uri or "",
        consumers=tuple(dag.dag_id for dag in dags or () if dag.dag_id),
        producers=tuple((one.dag_id, one.task_id) for one in row.producing_tasks or () if one.dag_id and one.task_id),
        is_watched=None if row.watchers is None and row.name else bool(row.watchers),
        last_event=to_seconds(last.timestamp) if last else None,
        knows_last_event=last is not None,
    )


class EventRow(msgspec.Struct, gc=False):
    """An event as sent; v1 says `dataset_id`."""

    timestamp: Moment
    asset_id: int | None = None
    dataset_id: int | None = None


class AssetEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An update of an asset."""

    asset_id: int
    timestamp: float


def to_event(row: EventRow) -> AssetEvent:
    """An event from a row of either release."""
    asset_id = row.asset_id if row.asset_id is not None else row.dataset_id
    return AssetEvent(asset_id=asset_id or 0, timestamp=to_seconds(row.timestamp) or 0.0)


class QueuedRow(msgspec.Struct, gc=False):
    """A queued event as both releases send it, of which only the time is used."""

    created_at: Moment = None


def to_queued_since(row: QueuedRow) -> float | None:
    """When the event was queued."""
    return to_seconds(row.created_at)


ASSET_LISTS = {
    3: ListSpec(ASSETS, RowDecoder("assets", AssetRow, to_asset), lambda asset: asset.id),
    2: ListSpec(ASSETS, RowDecoder("datasets", AssetRow, to_asset), lambda asset: asset.id),
}
EVENT_LISTS = {
    3: ListSpec(EVENTS, RowDecoder("asset_events", EventRow, to_event), lambda event: event),
    2: ListSpec(EVENTS, RowDecoder("dataset_events", EventRow, to_event), lambda event: event),
}
QUEUED_ROWS = RowDecoder("queued_events", QueuedRow, to_queued_since)


def read_assets(api: ApiBase) -> Rows[Asset]:
    """Every asset that some DAG names. Raises ReaderError."""
    return api.read_all(ASSET_LISTS[api.major], {"order_by": ["id"] if api.major >= 3 else "id"})


def read_newest_events(api: ApiBase, limit: int) -> Sequence[AssetEvent]:
    """The newest events of all assets, newest first, at most one page. Raises ReaderError."""
    return api.read_newest(EVENT_LISTS[api.major], "-timestamp", limit)


def read_last_event(api: ApiBase, asset_id: int) -> float | None:
    """When an asset was updated last, in Unix seconds; None if never. Raises ReaderError."""
    key = "asset_id" if api.major >= 3 else "dataset_id"
    query: Query = {"order_by": ["-timestamp"], "limit": 1, key: asset_id}
    spec = EVENT_LISTS[api.major]
    found = api.read_list(spec, lambda fetch: read_one_page(fetch, query), ordered=False)
    return max((event.timestamp for event in found), default=None)


def read_queued_since(api: ApiBase, dag_id: str) -> Sequence[float | None]:
    """When each event was queued that waits for the DAG's other assets, one for each asset. Raises ReaderError."""
    spec = ListSpec(QUEUED, QUEUED_ROWS, lambda since: since, {"dag_id": dag_id})
    try:
        return api.read_list(spec, read_one_page, ordered=False)
    except AnswerError as error:
        # Some releases answer 404 where nothing is queued.
        if error.status == 404 and error.detail.startswith("Queue event"):
            return ()
        raise


def list_consumers(assets: Iterable[Asset]) -> dict[str, list[Asset]]:
    """The assets that schedule each DAG."""
    consumers: dict[str, list[Asset]] = {}
    for asset in assets:
        for dag_id in asset.consumers:
            consumers.setdefault(dag_id, []).append(asset)
    return consumers


def read_some_queued_events(api: ApiBase) -> Sequence[float | None] | None:
    """The queued events of any DAG that assets schedule, to check the permission; None without such a DAG."""
    dag_id = next(iter(list_consumers(read_assets(api))), None)
    return None if dag_id is None else read_queued_since(api, dag_id)


CHECKS = (
    CheckStep("assets", ASSETS, read_assets, count("asset")),
    CheckStep("asset events", EVENTS, lambda api: read_newest_events(api, 1), count("event")),
    CheckStep("queued asset events", QUEUED, read_some_queued_events, count("event")),
)

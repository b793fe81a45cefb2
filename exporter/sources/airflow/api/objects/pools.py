"""Pools and their slots."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from exporter.sources.airflow.api.base import ApiBase, ListSpec
from exporter.sources.airflow.api.check_step import CheckStep, count
from exporter.sources.airflow.api.decode import Integer, RowDecoder
from exporter.sources.airflow.http.endpoints import Resource

POOLS = Resource("pools", "Pools", v1="/pools", v2="/pools", operation="PoolApi.get_pools")


class PoolRow(msgspec.Struct, gc=False):
    """A pool as both releases send it."""

    name: str
    slots: Integer = None
    include_deferred: bool | None = None
    running_slots: Integer = None
    queued_slots: Integer = None
    scheduled_slots: Integer = None
    deferred_slots: Integer = None
    occupied_slots: Integer = None


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """A pool; `slots` is -1 where it is unlimited."""

    name: str
    slots: int = 0
    include_deferred: bool = False
    running_slots: int = 0
    queued_slots: int = 0
    scheduled_slots: int = 0
    deferred_slots: int = 0
    occupied_slots: int = 0


def to_pool(row: PoolRow) -> Pool:
    """A pool from a row."""
    return Pool(
        name=row.name,
        slots=row.slots or 0,
        include_deferred=bool(row.include_deferred),
        running_slots=row.running_slots or 0,
        queued_slots=row.queued_slots or 0,
        scheduled_slots=row.scheduled_slots or 0,
        deferred_slots=row.deferred_slots or 0,
        occupied_slots=row.occupied_slots or 0,
    )


LIST = ListSpec(POOLS, RowDecoder("pools", PoolRow, to_pool), lambda pool: pool.name)


def read_pools(api: ApiBase) -> Sequence[Pool]:
    """Every pool. Raises ReaderError."""
    return api.read_all(LIST, {"order_by": ["id"] if api.major >= 3 else "name"})


CHECK = CheckStep("pools", POOLS, read_pools, count("pool"))

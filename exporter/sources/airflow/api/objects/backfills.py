"""Backfills of a DAG (3.x); Airflow lists them for one DAG at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from exporter.sources.airflow.api.base import ApiBase, ListSpec
from exporter.sources.airflow.api.check_step import CheckStep, count
from exporter.sources.airflow.api.decode import Integer, Moment, RowDecoder, to_seconds
from exporter.sources.airflow.api.objects.dags import read_dags
from exporter.sources.airflow.http.endpoints import Resource

BACKFILLS = Resource("backfills", "Backfills", v2="/backfills", operation="BackfillApi.list_backfills")


class BackfillRow(msgspec.Struct, gc=False):
    """A backfill as /api/v2 sends it."""

    id: int
    dag_id: str
    is_paused: bool | None = None
    max_active_runs: Integer = None
    created_at: Moment = None
    completed_at: Moment = None


class Backfill(msgspec.Struct, frozen=True, kw_only=True):
    """A backfill; `completed_at` is None while it is under way."""

    id: int
    dag_id: str
    is_paused: bool = False
    max_active_runs: int | None = None
    created_at: float | None = None
    completed_at: float | None = None


def to_backfill(row: BackfillRow) -> Backfill:
    """A backfill from a row."""
    return Backfill(
        id=row.id,
        dag_id=row.dag_id,
        is_paused=bool(row.is_paused),
        max_active_runs=row.max_active_runs,
        created_at=to_seconds(row.created_at),
        completed_at=to_seconds(row.completed_at),
    )


LIST = ListSpec(BACKFILLS, RowDecoder("backfills", BackfillRow, to_backfill), lambda backfill: backfill.id)


def read_backfills(api: ApiBase, dag_id: str) -> Sequence[Backfill]:
    """The backfills of a DAG; empty on 2.x. Raises ReaderError."""
    if api.major < 3:
        return ()
    return api.read_all(replace(LIST, part=dag_id), {"dag_id": dag_id, "order_by": ["id"]})


def read_some_backfills(api: ApiBase) -> Sequence[Backfill] | None:
    """The backfills of any DAG, to check the permission; None where there is nothing to read."""
    dags = read_dags(api) if api.major >= 3 else ()
    return read_backfills(api, dags[0].dag_id) if dags else None


CHECK = CheckStep("backfills", BACKFILLS, read_some_backfills, count("backfill"))

"""DAG runs: the active ones, those that ended, and the newest of a DAG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import msgspec

from exporter.sources.airflow.api import paging
from exporter.sources.airflow.api.base import ApiBase, ListSpec
from exporter.sources.airflow.api.check_step import CheckStep, count
from exporter.sources.airflow.api.decode import Moment, RowDecoder, Text, to_seconds
from exporter.sources.airflow.api.keyset import read_active_by_cursor, read_ended_by_cursor
from exporter.sources.airflow.http.endpoints import Resource
from exporter.sources.airflow.http.transport import Value

DAG_RUNS = Resource(
    "dagRuns",
    "DAG Runs",
    v1="/dags/{dag_id}/dagRuns",
    v2="/dags/{dag_id}/dagRuns",
    operation="DagRunApi.get_dag_runs",
)
RUNS_ENDED = ("success", "failed")
RUNS_ACTIVE = ("queued", "running")


class DagRunRow(msgspec.Struct, gc=False):
    """A run as sent; `queued_at` and `run_after` are v2's, `execution_date` is of older releases of v1."""

    dag_id: str
    dag_run_id: str
    run_type: Text = None
    state: Text = None
    queued_at: Moment = None
    start_date: Moment = None
    end_date: Moment = None
    run_after: Moment = None
    logical_date: Moment = None
    execution_date: Moment = None
    data_interval_end: Moment = None


class DagRun(msgspec.Struct, frozen=True, kw_only=True):
    """A DAG run. On 2.x `run_after` is its data_interval_end (of manual runs its logical_date)."""

    dag_id: str
    run_id: str
    run_type: str = ""
    state: str | None = None
    queued_at: float | None = None
    start_date: float | None = None
    end_date: float | None = None
    run_after: float | None = None
    logical_date: float | None = None
    data_interval_end: float | None = None


def to_dag_run(row: DagRunRow) -> DagRun:
    """A run from a row of either release."""
    logical_date = row.logical_date or row.execution_date
    # v1 has no run_after: a run may start when its interval is over, a manual one at once.
    planned = row.data_interval_end if row.run_type != "manual" else None
    return DagRun(
        dag_id=row.dag_id,
        run_id=row.dag_run_id,
        run_type=row.run_type or "",
        state=row.state,
        queued_at=to_seconds(row.queued_at),
        start_date=to_seconds(row.start_date),
        end_date=to_seconds(row.end_date),
        run_after=to_seconds(row.run_after or planned or logical_date),
        logical_date=to_seconds(logical_date),
        data_interval_end=to_seconds(row.data_interval_end),
    )


def identify_run(run: DagRun) -> tuple[str, str]:
    """A run's DAG and id."""
    return run.dag_id, run.run_id


LIST = ListSpec(DAG_RUNS, RowDecoder("dag_runs", DagRunRow, to_dag_run), identify_run, {"dag_id": "~"})
"""The runs of all DAGs."""


def read_active_runs(api: ApiBase) -> Sequence[DagRun]:
    """Every run that is queued or running. Raises ReaderError."""
    if api.major >= 3:
        return read_active_by_cursor(api, LIST, RUNS_ACTIVE)
    query: dict[str, Value] = {"state": list(RUNS_ACTIVE), "order_by": "id"}
    return api.read_list(replace(LIST, part="active"), lambda fetch: paging.read_by_offset(fetch, query, identify_run))


def read_ended_runs(api: ApiBase, since: float) -> Sequence[DagRun]:
    """Every run in an ended state that was updated at or after `since` (server's clock). Raises ReaderError."""
    spec, span = replace(LIST, part="ended"), paging.TimeRange(since)
    if api.major >= 3:
        return read_ended_by_cursor(api, spec, RUNS_ENDED, span)
    query: dict[str, Value] = {"state": list(RUNS_ENDED)}
    return api.read_list(
        spec,
        lambda fetch: paging.read_by_time(fetch, query, span, identify_run, api.server_time),
        ordered=False,
    )


def read_newest_runs(
    api: ApiBase, dag_id: str, *, limit: int, state: str | None = None, offset: int = 0
) -> Sequence[DagRun]:
    """The newest runs of a DAG, or of all with `~`, by run_after (v1: logical date), newest first, at most one page.

    Raises ReaderError.
    """
    order = "-run_after" if api.major >= 3 else "-execution_date"
    return api.read_newest(replace(LIST, names={"dag_id": dag_id}), order, limit, state, offset)


CHECK = CheckStep("DAG runs", DAG_RUNS, read_active_runs, count("active run"))

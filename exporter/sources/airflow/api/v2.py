"""Airflow 3.x: /api/v2, through its generated client.

Lists are walked by cursor where the release has them (task instances from 3.2, runs from 3.3 on), else as on 2.x.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from http import HTTPStatus
from typing import TypeVar

from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api import decode, paging
from exporter.sources.airflow.api.base import (
    ALL_RUNS,
    ALL_TASKS,
    ListSpec,
    Reads,
    is_hidden,
    job_key,
    run_key,
    task_key,
    whole,
)
from exporter.sources.airflow.api.models import (
    RUNS_ACTIVE,
    RUNS_ENDED,
    TIS_ACTIVE,
    TIS_ENDED,
    Backfill,
    BrokenFile,
    Component,
    Dag,
    DagRun,
    DagWarning,
    Job,
    Pool,
    TaskInstance,
)
from exporter.sources.airflow.api.paging import Rows
from exporter.sources.airflow.http import endpoints as at
from exporter.sources.airflow.http.client import Client
from exporter.sources.airflow.http.endpoints import Endpoint
from exporter.sources.airflow.http.errors import AnswerError
from exporter.sources.airflow.http.transport import Call, Value

T = TypeVar("T")

RUNS = ListSpec(at.V2_DAG_RUNS, decode.DAG_RUNS, run_key, ALL_RUNS)
TASKS = ListSpec(at.V2_TASK_INSTANCES, decode.TASK_INSTANCES, task_key, ALL_TASKS)
"""The lists of all DAGs."""


class V2(Reads):
    """`Airflow`, as release 3.x answers."""

    major = 3
    version_endpoint = at.V2_VERSION

    def __init__(self, client: Client, version: str) -> None:
        super().__init__(client, version)
        self._without_cursor: set[Endpoint] = set()

    def health(self) -> Sequence[Component]:
        return decode.decode_health(self.client.get(Call(at.V2_HEALTH)))

    def jobs(self) -> Sequence[Job] | None:
        return self.read_all(at.V2_JOBS, decode.JOBS, job_key, {"job_state": "running", "order_by": ["id"]})

    def config(self) -> Mapping[tuple[str, str], str] | None:
        try:
            return decode.decode_config(self.client.get(Call(at.V2_CONFIG, query={"accept": "application/json"})))
        except ReaderError as error:
            if is_hidden(error):
                return None
            raise

    def dags(self) -> Rows[Dag]:
        query: dict[str, Value] = {"exclude_stale": False, "order_by": ["dag_id"]}
        return self.read_all(at.V2_DAGS, decode.DAGS, lambda dag: dag.dag_id, query)

    def pools(self) -> Sequence[Pool]:
        return self.read_all(at.V2_POOLS, decode.POOLS, lambda pool: pool.name, {"order_by": ["id"]})

    def import_errors(self) -> Sequence[BrokenFile]:
        query: dict[str, Value] = {"order_by": ["id"]}
        return self.read_all(at.V2_IMPORT_ERRORS, decode.IMPORT_ERRORS, lambda file: (file.bundle, file.file), query)

    def dag_warnings(self) -> Sequence[DagWarning]:
        query: dict[str, Value] = {"order_by": ["dag_id"]}
        return self.read_all(at.V2_DAG_WARNINGS, decode.DAG_WARNINGS, lambda row: (row.dag_id, row.warning_type), query)

    def backfills(self, dag_id: str) -> Sequence[Backfill]:
        query: dict[str, Value] = {"dag_id": dag_id, "order_by": ["id"]}
        return self.read_all(at.V2_BACKFILLS, decode.BACKFILLS, lambda backfill: backfill.id, query, part=dag_id)

    def dag_runs_active(self) -> Sequence[DagRun]:
        return self._read_active(RUNS, RUNS_ACTIVE)

    def dag_runs_ended(self, since: float) -> Sequence[DagRun]:
        return self._read_ended(replace(RUNS, part="ended"), RUNS_ENDED, paging.Window(since))

    def dag_runs_recent(self, dag_id: str, *, limit: int, state: str | None = None) -> Sequence[DagRun]:
        return self.read_newest(replace(RUNS, names={"dag_id": dag_id}), "-run_after", limit, state)

    def task_instances_active(self) -> Sequence[TaskInstance]:
        def read(states: Sequence[str]) -> Rows[TaskInstance]:
            return self._read_active(TASKS, states)

        return self.with_known_states(TIS_ACTIVE, read, task_key)

    def task_instances_ended(
        self,
        since: float,
        until: float | None = None,
        *,
        due_since: float | None = None,
    ) -> Sequence[TaskInstance]:
        more: paging.Query = {} if due_since is None else {"run_after_gte": paging.moment(due_since)}
        part = "ended" if due_since is None else "ended of young runs"
        return self._read_ended(replace(TASKS, part=part), TIS_ENDED, paging.Window(since, until), more)

    def tries(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> Sequence[TaskInstance] | None:
        names: dict[str, str | int] = {"dag_id": dag_id, "dag_run_id": run_id, "task_id": task_id}
        endpoint = at.V2_TRIES
        if map_index >= 0:
            endpoint, names = at.V2_MAPPED_TRIES, {**names, "map_index": map_index}
        try:
            # All tries come at once: the endpoint knows neither limit nor offset.
            spec = ListSpec(endpoint, decode.TASK_INSTANCES, whole, names)
            return self.read_list(spec, paging.read_one_page, ordered=False)
        except AnswerError as error:
            if self.is_gone(error):
                return None
            raise

    def _read_active(self, spec: ListSpec[T], states: Sequence[str]) -> Rows[T]:
        spec = replace(spec, part=" ".join(states))
        query: dict[str, Value] = {"state": list(states)}
        found = self._walk_keyset(spec, query)
        if found is not None:
            return found
        query["order_by"] = ["id"]
        return self.read_list(spec, lambda fetch: paging.walk_offsets(fetch, query, spec.identify))

    def _read_ended(
        self, spec: ListSpec[T], states: Sequence[str], window: paging.Window, more: paging.Query | None = None
    ) -> Rows[T]:
        query: dict[str, Value] = {"state": list(states), **(more or {})}
        found = self._walk_keyset(spec, {**query, **window.query()})
        if found is not None:
            return found
        query["order_by"] = ["id"]
        return self.read_list(
            spec,
            lambda fetch: paging.walk_slices(fetch, query, window, spec.identify, self.server_time),
            ordered=False,
        )

    def _walk_keyset(self, spec: ListSpec[T], query: paging.Query) -> Rows[T] | None:
        """Walk by cursor; None where this release has none, and where Airflow does not serve some row of the list.

        Nothing leads a cursor past such a row.
        """
        if spec.endpoint in self._without_cursor or self.is_troubled(spec):
            return None
        try:
            found = self.read_list(spec, lambda fetch: self._walk_by_cursor(fetch, spec, query), ordered=False)
        except AnswerError as error:
            if error.status != HTTPStatus.INTERNAL_SERVER_ERROR:
                raise
            self.trouble(spec)
            return None
        return None if spec.endpoint in self._without_cursor else found

    def _walk_by_cursor(self, fetch: paging.Fetch[T], spec: ListSpec[T], query: paging.Query) -> Rows[T]:
        found = paging.walk_keyset(fetch, query, spec.identify)
        if found is None:
            self._without_cursor.add(spec.endpoint)
        return Rows() if found is None else found

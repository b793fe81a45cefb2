"""Airflow 3.x: /api/v2, through its generated client.

Lists are walked by cursor where the release has them (task instances from 3.2, runs from 3.3 on), else as on 2.x.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

from exporter.reading import ReaderError
from exporter.sources.airflow import decode, walk
from exporter.sources.airflow import endpoints as at
from exporter.sources.airflow.client import Client
from exporter.sources.airflow.decode import List
from exporter.sources.airflow.endpoints import Endpoint
from exporter.sources.airflow.failures import AnswerError
from exporter.sources.airflow.reads import ALL_RUNS, ALL_TASKS, Reads, is_hidden, job_key, run_key, task_key
from exporter.sources.airflow.replies import (
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
from exporter.sources.airflow.transport import Call, Value

T = TypeVar("T")

EVERYWHERE = {at.V2_DAG_RUNS: ALL_RUNS, at.V2_TASK_INSTANCES: ALL_TASKS}
"""The names that stand for the lists of all DAGs."""


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

    def dags(self) -> Sequence[Dag]:
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
        return self.read_all(at.V2_BACKFILLS, decode.BACKFILLS, lambda backfill: backfill.id, query)

    def dag_runs_active(self) -> Sequence[DagRun]:
        return self._read_active(at.V2_DAG_RUNS, decode.DAG_RUNS, RUNS_ACTIVE, run_key)

    def dag_runs_ended(self, since: float) -> Sequence[DagRun]:
        return self._read_ended(at.V2_DAG_RUNS, decode.DAG_RUNS, RUNS_ENDED, run_key, walk.Window(since))

    def dag_runs_recent(self, dag_id: str, *, limit: int, state: str | None = None) -> Sequence[DagRun]:
        query: dict[str, Value] = {"order_by": ["-run_after"], "limit": min(limit, walk.PAGE)}
        if state:
            query["state"] = [state]
        return self.fetch(at.V2_DAG_RUNS, decode.DAG_RUNS, {"dag_id": dag_id})(query).rows

    def task_instances_active(self) -> Sequence[TaskInstance]:
        def read(states: Sequence[str]) -> list[TaskInstance]:
            return self._read_active(at.V2_TASK_INSTANCES, decode.TASK_INSTANCES, states, task_key)

        return self.with_known_states(TIS_ACTIVE, read, task_key)

    def task_instances_ended(
        self,
        since: float,
        until: float | None = None,
        *,
        due_since: float | None = None,
    ) -> Sequence[TaskInstance]:
        more: walk.Query = {} if due_since is None else {"run_after_gte": walk.moment(due_since)}
        window = walk.Window(since, until)
        return self._read_ended(at.V2_TASK_INSTANCES, decode.TASK_INSTANCES, TIS_ENDED, task_key, window, more)

    def tries(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> Sequence[TaskInstance] | None:
        names: dict[str, str | int] = {"dag_id": dag_id, "dag_run_id": run_id, "task_id": task_id}
        endpoint = at.V2_TRIES
        if map_index >= 0:
            endpoint, names = at.V2_MAPPED_TRIES, {**names, "map_index": map_index}
        try:
            # All tries come at once: the endpoint knows neither limit nor offset.
            return self.fetch(endpoint, decode.TASK_INSTANCES, names)({}).rows
        except AnswerError as error:
            if self.is_gone(error):
                return None
            raise

    def _read_active(
        self, endpoint: Endpoint, rows: List[T], states: Sequence[str], identify: walk.Identify[T]
    ) -> list[T]:
        query: dict[str, Value] = {"state": list(states)}
        found = self._walk_keyset(endpoint, rows, query, identify)
        if found is not None:
            return found
        return walk.walk_offsets(
            self.fetch(endpoint, rows, EVERYWHERE[endpoint]), {**query, "order_by": ["id"]}, identify
        )

    def _read_ended(
        self,
        endpoint: Endpoint,
        rows: List[T],
        states: Sequence[str],
        identify: walk.Identify[T],
        window: walk.Window,
        more: walk.Query | None = None,
    ) -> list[T]:
        query: dict[str, Value] = {"state": list(states), **(more or {})}
        found = self._walk_keyset(endpoint, rows, {**query, **window.query()}, identify)
        if found is not None:
            return found
        fetch = self.fetch(endpoint, rows, EVERYWHERE[endpoint])
        return walk.walk_slices(fetch, query, window, identify, self.server_time)

    def _walk_keyset(
        self, endpoint: Endpoint, rows: List[T], query: walk.Query, identify: walk.Identify[T]
    ) -> list[T] | None:
        if endpoint in self._without_cursor:
            return None
        found = walk.walk_keyset(self.fetch(endpoint, rows, EVERYWHERE[endpoint]), query, identify)
        if found is None:
            self._without_cursor.add(endpoint)
        return found

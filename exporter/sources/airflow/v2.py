"""Airflow 3.x: /api/v2, through its generated client.

From 3.3 on, lists of runs and task instances are walked by cursor; before, as on 2.x.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

from exporter.reading import ReaderError
from exporter.sources.airflow import decode, walk
from exporter.sources.airflow import endpoints as at
from exporter.sources.airflow.failures import AnswerError
from exporter.sources.airflow.reads import ALL_RUNS, ALL_TASKS, Reads, is_hidden, run_key, task_key
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


class V2(Reads):
    """`Airflow`, as release 3.x answers."""

    major = 3
    version_endpoint = at.V2_VERSION
    keyset: bool | None = None
    """Whether this release knows cursors; None before the first walk."""

    def health(self) -> Sequence[Component]:
        return decode.decode_health(self.client.get(Call(at.V2_HEALTH)))

    def jobs(self) -> Sequence[Job] | None:
        identify: Callable[[Job], Hashable] = id
        return self.read_all(at.V2_JOBS, decode.JOBS, identify, {"job_state": "running", "order_by": ["id"]})

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
        fetch = self.fetch(at.V2_DAG_RUNS, decode.DAG_RUNS, ALL_RUNS)
        return self._walk_active(fetch, {"state": list(RUNS_ACTIVE)}, run_key)

    def dag_runs_ended(self, since: float) -> Sequence[DagRun]:
        fetch = self.fetch(at.V2_DAG_RUNS, decode.DAG_RUNS, ALL_RUNS)
        return self._walk_ended(fetch, {"state": list(RUNS_ENDED)}, walk.Window(since), run_key)

    def dag_runs_recent(self, dag_id: str, *, limit: int, state: str | None = None) -> Sequence[DagRun]:
        query: dict[str, Value] = {"order_by": ["-run_after"], "limit": min(limit, walk.PAGE)}
        if state:
            query["state"] = [state]
        return self.fetch(at.V2_DAG_RUNS, decode.DAG_RUNS, {"dag_id": dag_id})(query).rows

    def task_instances_active(self) -> Sequence[TaskInstance]:
        fetch = self.fetch(at.V2_TASK_INSTANCES, decode.TASK_INSTANCES, ALL_TASKS)
        return self.with_known_states(TIS_ACTIVE, lambda known: self._walk_active(fetch, {"state": known}, task_key))

    def task_instances_ended(self, since: float, until: float | None = None) -> Sequence[TaskInstance]:
        fetch = self.fetch(at.V2_TASK_INSTANCES, decode.TASK_INSTANCES, ALL_TASKS)
        return self._walk_ended(fetch, {"state": list(TIS_ENDED)}, walk.Window(since, until), task_key)

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

    def _walk_active(self, fetch: walk.Fetch[T], query: walk.Query, identify: walk.Identify[T]) -> list[T]:
        rows = self._walk_keyset(fetch, query, identify)
        return walk.walk_offsets(fetch, {**query, "order_by": ["id"]}, identify) if rows is None else rows

    def _walk_ended(
        self, fetch: walk.Fetch[T], query: walk.Query, window: walk.Window, identify: walk.Identify[T]
    ) -> list[T]:
        rows = self._walk_keyset(fetch, {**query, **window.query()}, identify)
        return walk.walk_slices(fetch, query, window, identify, self.server_time) if rows is None else rows

    def _walk_keyset(self, fetch: walk.Fetch[T], query: walk.Query, identify: walk.Identify[T]) -> list[T] | None:
        if self.keyset is False:
            return None
        rows = walk.walk_keyset(fetch, query, identify)
        self.keyset = rows is not None
        return rows

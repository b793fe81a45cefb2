"""Airflow 2.x: /api/v1.

It has neither cursors nor an order of task instances, and a query for them by time over all DAGs can take minutes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api import decode, paging
from exporter.sources.airflow.api.base import ALL_RUNS, ALL_TASKS, ListSpec, Reads, is_hidden, run_key, task_key, whole
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
from exporter.sources.airflow.http.errors import AnswerError
from exporter.sources.airflow.http.transport import Call, Value

# Without this list each row costs the server a look into its serialised DAG: 340 ms a page instead of 50.
DAG_FIELDS = [
    "dag_id",
    "is_paused",
    "is_active",
    "owners",
    "tags",
    "schedule_interval",
    "timetable_description",
    "fileloc",
    "max_active_runs",
    "max_active_tasks",
    "max_consecutive_failed_dag_runs",
    "has_import_errors",
    "next_dagrun_create_after",
    "last_parsed_time",
]
STATES = tuple(state for state in TIS_ACTIVE if state != "awaiting_input")


RUNS = ListSpec(at.V1_DAG_RUNS, decode.DAG_RUNS, run_key, ALL_RUNS)
TASKS = ListSpec(at.V1_TASK_INSTANCES, decode.TASK_INSTANCES, task_key, ALL_TASKS)
"""The lists of all DAGs."""


class V1(Reads):
    """`Airflow`, as release 2.x answers."""

    major = 2
    version_endpoint = at.V1_VERSION

    def health(self) -> Sequence[Component]:
        return decode.decode_health(self.client.get(Call(at.V1_HEALTH)))

    def jobs(self) -> Sequence[Job] | None:
        return None

    def config(self) -> Mapping[tuple[str, str], str] | None:
        try:
            return decode.decode_config(self.client.get(Call(at.V1_CONFIG)))
        except ReaderError as error:
            if is_hidden(error):
                return None
            raise

    def dags(self) -> Rows[Dag]:
        query: dict[str, Value] = {"only_active": False, "order_by": "dag_id", "fields": DAG_FIELDS}
        return self.read_all(at.V1_DAGS, decode.DAGS, lambda dag: dag.dag_id, query)

    def pools(self) -> Sequence[Pool]:
        return self.read_all(at.V1_POOLS, decode.POOLS, lambda pool: pool.name, {"order_by": "name"})

    def import_errors(self) -> Sequence[BrokenFile]:
        return self.read_all(at.V1_IMPORT_ERRORS, decode.IMPORT_ERRORS, lambda file: file.file, {})

    def dag_warnings(self) -> Sequence[DagWarning]:
        query: dict[str, Value] = {"order_by": "dag_id"}
        return self.read_all(at.V1_DAG_WARNINGS, decode.DAG_WARNINGS, lambda row: (row.dag_id, row.warning_type), query)

    def backfills(self, dag_id: str) -> Sequence[Backfill]:  # noqa: ARG002
        return ()

    def dag_runs_active(self) -> Sequence[DagRun]:
        query: dict[str, Value] = {"state": list(RUNS_ACTIVE), "order_by": "id"}
        return self.read_list(replace(RUNS, part="active"), lambda fetch: paging.walk_offsets(fetch, query, run_key))

    def dag_runs_ended(self, since: float) -> Sequence[DagRun]:
        query: dict[str, Value] = {"state": list(RUNS_ENDED)}
        return self.read_list(
            replace(RUNS, part="ended"),
            lambda fetch: paging.walk_slices(fetch, query, paging.Window(since), run_key, self.server_time),
            ordered=False,
        )

    def dag_runs_recent(self, dag_id: str, *, limit: int, state: str | None = None) -> Sequence[DagRun]:
        return self.read_newest(replace(RUNS, names={"dag_id": dag_id}), "-execution_date", limit, state)

    def task_instances_active(self) -> Sequence[TaskInstance]:
        def read(states: Sequence[str]) -> Rows[TaskInstance]:
            spec = replace(TASKS, part=" ".join(states))
            query: dict[str, Value] = {"state": list(states)}
            return self.read_list(spec, lambda fetch: paging.walk_offsets(fetch, query, task_key), ordered=False)

        return self.with_known_states(STATES, read, task_key)

    def task_instances_ended_of_run(
        self, dag_id: str, run_id: str, since: float | None = None
    ) -> Sequence[TaskInstance] | None:
        spec = replace(TASKS, names={"dag_id": dag_id, "dag_run_id": run_id}, part="ended")
        touched = {} if since is None else paging.Window(since).query()
        query: dict[str, Value] = {"state": list(TIS_ENDED), **touched}
        try:
            return self.read_list(spec, lambda fetch: paging.walk_until_complete(fetch, query, task_key), ordered=False)
        except AnswerError as error:
            if self.is_gone(error):
                return None
            raise

    def tries(self, dag_id: str, run_id: str, task_id: str, map_index: int) -> Sequence[TaskInstance] | None:
        names: dict[str, str | int] = {"dag_id": dag_id, "dag_run_id": run_id, "task_id": task_id}
        endpoint = at.V1_TRIES
        if map_index >= 0:
            endpoint, names = at.V1_MAPPED_TRIES, {**names, "map_index": map_index}
        try:
            # A task instance that is gone has no tries: this release answers 200 even so.
            spec = ListSpec(endpoint, decode.TASK_INSTANCES, whole, names)
            return self.read_list(spec, lambda fetch: paging.walk_offsets(fetch, {}, whole), ordered=False) or None
        except AnswerError as error:
            if self.is_gone(error):
                return None
            raise

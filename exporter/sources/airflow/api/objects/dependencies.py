"""The dependencies of a task instance that are not met: why it does not run, in Airflow's own words."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.base import ApiBase
from exporter.sources.airflow.http.endpoints import Resource

TASK_INSTANCE = "/dags/{dag_id}/dagRuns/{dag_run_id}/taskInstances/{task_id}"
DEPENDENCIES = Resource(
    "dependencies",
    "Task Instances",
    v1=f"{TASK_INSTANCE}/dependencies",
    v2=f"{TASK_INSTANCE}/dependencies",
    operation="TaskInstanceApi.get_task_instance_dependencies",
)
MAPPED_DEPENDENCIES = Resource(
    "dependencies",
    "Task Instances",
    v1=f"{TASK_INSTANCE}/{{map_index}}/dependencies",
    v2=f"{TASK_INSTANCE}/{{map_index}}/dependencies",
    operation="TaskInstanceApi.get_task_instance_dependencies_by_map_index",
)
TASK_CONCURRENCY = "Task Concurrency"
"""Airflow's name of the limits max_active_tis_per_dag and max_active_tis_per_dagrun."""
TASK_CONCURRENCY_PER_RUN = f"{TASK_CONCURRENCY} per run"
"""Our name of it where the limit is max_active_tis_per_dagrun. Airflow says so in its text only, in all releases."""
PER_RUN = "per run"


class DependencyRow(msgspec.Struct, gc=False):
    """A dependency as sent. Its `reason` is text for people: only the kind of a task's limit is read from it."""

    name: str = ""
    reason: str | None = None

    def get_name(self) -> str:
        """Airflow's name, or that of the limit per run."""
        is_per_run = self.name == TASK_CONCURRENCY and PER_RUN in (self.reason or "")
        return TASK_CONCURRENCY_PER_RUN if is_per_run else self.name


class DependenciesReply(msgspec.Struct):
    """The whole reply."""

    dependencies: list[DependencyRow]


DECODER = msgspec.json.Decoder(DependenciesReply)


def read_unmet_dependencies(api: ApiBase, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> Sequence[str]:
    """The names of the dependencies that a scheduled task instance does not meet. Raises ReaderError."""
    names: dict[str, str | int] = {"dag_id": dag_id, "dag_run_id": run_id, "task_id": task_id}
    resource = DEPENDENCIES
    if map_index >= 0:
        resource, names = MAPPED_DEPENDENCIES, {**names, "map_index": map_index}
    try:
        return [one.get_name() for one in DECODER.decode(api.get(resource, names)).dependencies]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ReaderError("bad_reply", f"dependencies of {dag_id}.{task_id}: {error}") from error

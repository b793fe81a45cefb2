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


class DependencyRow(msgspec.Struct, gc=False):
    """A dependency as sent. Its `reason` is not read: it is text for people."""

    name: str = ""


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
        return [one.name for one in DECODER.decode(api.get(resource, names)).dependencies]
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ReaderError("bad_reply", f"dependencies of {dag_id}.{task_id}: {error}") from error

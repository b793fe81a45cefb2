"""Which DAG a sensor waits for: what Airflow rendered for a task instance, of which nothing else is read."""

from __future__ import annotations

import msgspec

from exporter.diagnosis.waits.external import ExternalDag
from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.base import ApiBase
from exporter.sources.airflow.api.objects.dependencies import TASK_INSTANCE
from exporter.sources.airflow.http.endpoints import Resource

ONE = Resource(
    "taskInstance",
    "Task Instances",
    v1=TASK_INSTANCE,
    v2=TASK_INSTANCE,
    operation="TaskInstanceApi.get_task_instance",
)
ONE_MAPPED = Resource(
    "taskInstance",
    "Task Instances",
    v1=f"{TASK_INSTANCE}/{{map_index}}",
    v2=f"{TASK_INSTANCE}/{{map_index}}",
    operation="TaskInstanceApi.get_mapped_task_instance",
)


class RenderedFields(msgspec.Struct):
    """The fields of an ExternalTaskSensor that name what it waits for."""

    external_dag_id: str | None = None
    external_task_id: str | None = None
    external_task_ids: list[str] | str | None = None
    external_task_group_id: str | None = None


class RenderedRow(msgspec.Struct):
    """A task instance as sent."""

    rendered_fields: RenderedFields | None = None


DECODER = msgspec.json.Decoder(RenderedRow)


def read_external_dag(api: ApiBase, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> ExternalDag | None:
    """The DAG and the tasks that a sensor waits for; None where Airflow does not say. Raises ReaderError."""
    names: dict[str, str | int] = {"dag_id": dag_id, "dag_run_id": run_id, "task_id": task_id}
    resource = ONE
    if map_index >= 0:
        resource, names = ONE_MAPPED, {**names, "map_index": map_index}
    try:
        fields = DECODER.decode(api.get(resource, names)).rendered_fields
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ReaderError("bad_reply", f"rendered fields of {dag_id}.{task_id}: {error}") from error
    if fields is None or not fields.external_dag_id:
        return None
    several = fields.external_task_ids
    listed = several if isinstance(several, list) else []
    single = fields.external_task_id or fields.external_task_group_id
    return ExternalDag(fields.external_dag_id, tuple(listed or ([single] if single else [])))

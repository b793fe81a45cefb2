"""Task instances: the active ones, those that ended, and the tries of one."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

import msgspec

from exporter.sources.airflow.api import paging
from exporter.sources.airflow.api.base import ApiBase, ListSpec
from exporter.sources.airflow.api.check_step import CheckStep, count
from exporter.sources.airflow.api.decode import Integer, Moment, RowDecoder, Text, to_seconds
from exporter.sources.airflow.api.keyset import read_active_by_cursor, read_ended_by_cursor
from exporter.sources.airflow.api.paging import Rows
from exporter.sources.airflow.http.endpoints import Resource
from exporter.sources.airflow.http.errors import AnswerError
from exporter.sources.airflow.http.transport import Value

RUN = "/dags/{dag_id}/dagRuns/{dag_run_id}"
TASK_INSTANCES = Resource(
    "taskInstances",
    "Task Instances",
    v1=f"{RUN}/taskInstances",
    v2=f"{RUN}/taskInstances",
    operation="TaskInstanceApi.get_task_instances",
)
TRIES = Resource(
    "tries",
    "Task Instances",
    v1=f"{RUN}/taskInstances/{{task_id}}/tries",
    v2=f"{RUN}/taskInstances/{{task_id}}/tries",
    operation="TaskInstanceApi.get_task_instance_tries",
)
MAPPED_TRIES = Resource(
    "tries",
    "Task Instances",
    v1=f"{RUN}/taskInstances/{{task_id}}/{{map_index}}/tries",
    v2=f"{RUN}/taskInstances/{{task_id}}/{{map_index}}/tries",
    operation="TaskInstanceApi.get_mapped_task_instance_tries",
)
TIS_ENDED = ("success", "failed", "skipped", "upstream_failed", "removed")
TIS_ACTIVE = (
    "scheduled",
    "queued",
    "running",
    "restarting",
    "deferred",
    "up_for_retry",
    "up_for_reschedule",
    "awaiting_input",
)
TIS_ACTIVE_ON_2 = tuple(state for state in TIS_ACTIVE if state != "awaiting_input")


class TriggerRow(msgspec.Struct, gc=False):
    """The trigger of a deferred task instance, as both releases send it."""

    classpath: Text = None
    created_date: Moment = None
    triggerer_id: Integer = None


NO_TRIGGER = TriggerRow()


class TaskInstanceRow(msgspec.Struct, gc=False):
    """A task instance as sent; only v2 has `id` and `scheduled_when`, only v1 `execution_date`."""

    dag_id: str
    task_id: str
    dag_run_id: str
    map_index: Integer = None
    id: Text = None
    state: Text = None
    try_number: Integer = None
    max_tries: Integer = None
    start_date: Moment = None
    end_date: Moment = None
    duration: float | None = None
    queued_when: Moment = None
    scheduled_when: Moment = None
    pool: Text = None
    pool_slots: Integer = None
    queue: Text = None
    priority_weight: Integer = None
    operator: Text = None
    hostname: Text = None
    pid: Integer = None
    executor: Text = None
    execution_date: Moment = None
    trigger: TriggerRow | None = None


class TaskInstance(msgspec.Struct, frozen=True, kw_only=True):
    """A task instance, or one try from its history (`uuid` is None there)."""

    dag_id: str
    task_id: str
    run_id: str
    map_index: int = -1
    uuid: str | None = None
    state: str | None = None
    try_number: int = 0
    max_tries: int = 0
    start_date: float | None = None
    end_date: float | None = None
    duration: float | None = None
    queued_when: float | None = None
    scheduled_when: float | None = None
    pool: str = ""
    pool_slots: int = 1
    queue: str = ""
    priority_weight: int = 0
    operator: str = ""
    hostname: str = ""
    pid: int | None = None
    executor: str | None = None
    logical_date: float | None = None
    """Of its run, in Unix seconds; only from Airflow 2, whose links need it."""
    trigger_class: str = ""
    """The class of what a deferred task instance waits for."""
    trigger_created: float | None = None
    triggerer_id: int | None = None


def to_task_instance(row: TaskInstanceRow) -> TaskInstance:
    """A task instance from a row of either release."""
    trigger = row.trigger or NO_TRIGGER
    return TaskInstance(
        dag_id=row.dag_id,
        task_id=row.task_id,
        run_id=row.dag_run_id,
        map_index=-1 if row.map_index is None else row.map_index,
        uuid=row.id,
        state=row.state,
        try_number=row.try_number or 0,
        max_tries=row.max_tries or 0,
        start_date=to_seconds(row.start_date),
        end_date=to_seconds(row.end_date),
        duration=row.duration,
        queued_when=to_seconds(row.queued_when),
        scheduled_when=to_seconds(row.scheduled_when),
        pool=row.pool or "",
        pool_slots=1 if row.pool_slots is None else row.pool_slots,
        queue=row.queue or "",
        priority_weight=row.priority_weight or 0,
        operator=row.operator or "",
        hostname=row.hostname or "",
        pid=row.pid,
        executor=row.executor,
        logical_date=to_seconds(row.execution_date),
        trigger_class=trigger.classpath or "",
        trigger_created=to_seconds(trigger.created_date),
        triggerer_id=trigger.triggerer_id,
    )


def identify_task(row: TaskInstance) -> Hashable:
    """A task instance's DAG, run, task and map index."""
    return row.dag_id, row.run_id, row.task_id, row.map_index


def identify_try(row: TaskInstance) -> Hashable:
    """The whole row: a cleared try and the row that waits for the next one share their number."""
    return row


ROWS = RowDecoder("task_instances", TaskInstanceRow, to_task_instance)
LIST = ListSpec(TASK_INSTANCES, ROWS, identify_task, {"dag_id": "~", "dag_run_id": "~"})
"""The task instances of all runs of all DAGs."""


def read_active_tasks(api: ApiBase) -> Sequence[TaskInstance]:
    """Every task instance in an active state. Raises ReaderError."""

    def read_on_3(states: Sequence[str]) -> Rows[TaskInstance]:
        return read_active_by_cursor(api, LIST, states)

    def read_on_2(states: Sequence[str]) -> Rows[TaskInstance]:
        spec, query = replace(LIST, part=" ".join(states)), {"state": list(states)}
        return api.read_list(spec, lambda fetch: paging.read_by_offset(fetch, query, identify_task), ordered=False)

    if api.major >= 3:
        return api.read_known_states(TIS_ACTIVE, read_on_3, identify_task)
    return api.read_known_states(TIS_ACTIVE_ON_2, read_on_2, identify_task)


def read_ended_tasks(
    api: ApiBase, since: float, until: float | None = None, *, due_since: float | None = None
) -> Sequence[TaskInstance]:
    """Every task instance in an ended state that was updated in the time range (3.x). Raises ReaderError.

    With `due_since`, only those of runs with that `run_after` or a later one.
    """
    more: paging.Query = {} if due_since is None else {"run_after_gte": paging.to_datetime(due_since)}
    part = "ended" if due_since is None else "ended of young runs"
    return read_ended_by_cursor(api, replace(LIST, part=part), TIS_ENDED, paging.TimeRange(since, until), more)


def read_ended_tasks_of_run(
    api: ApiBase, dag_id: str, run_id: str, since: float | None = None
) -> Sequence[TaskInstance] | None:
    """Every task instance of a run in an ended state that was updated at or after `since`; None if the run is gone.

    Raises ReaderError.
    """
    spec = replace(LIST, names={"dag_id": dag_id, "dag_run_id": run_id}, part="ended")
    updated = {} if since is None else paging.TimeRange(since).query()
    query: dict[str, Value] = {"state": list(TIS_ENDED), **updated}
    try:
        return api.read_list(spec, lambda fetch: paging.read_until_complete(fetch, query, identify_task), ordered=False)
    except AnswerError as error:
        if api.is_gone(error):
            return None
        raise


def read_run_tasks(api: ApiBase, dag_id: str, run_id: str) -> Rows[TaskInstance]:
    """The task instances of a run: one page of all states, and one of those without a state. Raises ReaderError."""
    spec = replace(LIST, names={"dag_id": dag_id, "dag_run_id": run_id}, part="all")
    query: paging.Query = {"limit": paging.PAGE_SIZE}
    rows = api.read_list(spec, lambda fetch: paging.read_one_page(fetch, query), ordered=False)
    if rows.complete or any(row.state is None for row in rows):
        return rows
    spec, only = replace(spec, part="without a state"), {**query, "state": ["none"]}
    more = api.read_list(spec, lambda fetch: paging.read_one_page(fetch, only), ordered=False)
    return Rows([*rows, *more], complete=False)


def read_tries(api: ApiBase, dag_id: str, run_id: str, task_id: str, map_index: int) -> Sequence[TaskInstance] | None:
    """Every try of a task instance, its current row included; None where it is gone. Raises ReaderError."""
    names: dict[str, str | int] = {"dag_id": dag_id, "dag_run_id": run_id, "task_id": task_id}
    resource = TRIES
    if map_index >= 0:
        resource, names = MAPPED_TRIES, {**names, "map_index": map_index}
    spec = ListSpec(resource, ROWS, identify_try, names)
    try:
        if api.major >= 3:
            # All tries come at once: the endpoint has neither limit nor offset.
            return api.read_list(spec, paging.read_one_page, ordered=False)
        # Airflow 2 answers 200 with no tries where the task instance is gone.
        return api.read_list(spec, lambda fetch: paging.read_by_offset(fetch, {}, identify_try), ordered=False) or None
    except AnswerError as error:
        if api.is_gone(error):
            return None
        raise


def read_some_tries(api: ApiBase) -> Sequence[TaskInstance] | None:
    """The tries of any active task instance, to check the permission; None where none is active."""
    for row in read_active_tasks(api):
        return read_tries(api, row.dag_id, row.run_id, row.task_id, row.map_index)
    return None


CHECKS = (
    CheckStep("task instances", TASK_INSTANCES, read_active_tasks, count("active task instance")),
    CheckStep("tries", TRIES, read_some_tries, count("tr", "y", "ies")),
)

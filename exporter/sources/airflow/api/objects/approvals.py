"""Human in the loop: tasks that wait for a person to approve or to answer (Airflow 3.1 on)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

import msgspec

from exporter.sources.airflow.api import paging
from exporter.sources.airflow.api.base import ApiBase, ListSpec
from exporter.sources.airflow.api.check_step import CheckStep, count
from exporter.sources.airflow.api.decode import Moment, RowDecoder, to_seconds
from exporter.sources.airflow.api.objects.task_instances import TaskInstanceRow
from exporter.sources.airflow.api.paging import Rows
from exporter.sources.airflow.http.endpoints import Resource
from exporter.sources.airflow.http.errors import AnswerError

APPROVALS = Resource(
    "hitlDetails",
    "HITL Detail",
    v2="/dags/{dag_id}/dagRuns/{dag_run_id}/hitlDetails",
    operation="TaskInstanceApi.get_hitl_details",
)
WAITING_STATES = ("deferred", "awaiting_input")
"""States of a task instance that waits for an answer: the first one up to 3.2, the second one from 3.3 on."""


class ApprovalRow(msgspec.Struct, gc=False):
    """A request for an answer as /api/v2 sends it. Subject, options and answers are not read: they may be private."""

    task_instance: TaskInstanceRow
    created_at: Moment = None


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """A task instance that waits for an answer since `created_at`."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    created_at: float | None = None


def to_approval(row: ApprovalRow) -> Approval:
    """An approval from a row."""
    task = row.task_instance
    return Approval(
        dag_id=task.dag_id,
        run_id=task.dag_run_id,
        task_id=task.task_id,
        map_index=-1 if task.map_index is None else task.map_index,
        created_at=to_seconds(row.created_at),
    )


def identify_approval(approval: Approval) -> Hashable:
    """The DAG, run, task and map index of the task instance that waits."""
    return approval.dag_id, approval.run_id, approval.task_id, approval.map_index


LIST = ListSpec(
    APPROVALS,
    RowDecoder("hitl_details", ApprovalRow, to_approval),
    identify_approval,
    {"dag_id": "~", "dag_run_id": "~"},
)


def read_pending_approvals(api: ApiBase) -> Sequence[Approval] | None:
    """Every approval that waits for an answer; None where Airflow has none (before 3.1). Raises ReaderError.

    A request whose task instance timed out or was cleared stays unanswered for ever, so the state counts too.
    """
    if api.major < 3:
        return None

    def read(states: Sequence[str]) -> Rows[Approval]:
        query: paging.Query = {"response_received": False, "state": list(states), "order_by": ["created_at"]}
        return api.read_all(replace(LIST, part=" ".join(states)), query)

    try:
        return api.read_known_states(WAITING_STATES, read, identify_approval)
    except AnswerError as error:
        if api.is_gone(error):
            return None
        raise


CHECK = CheckStep("approvals", APPROVALS, read_pending_approvals, count("pending approval"))

"""The reader of approvals: what waits for a person, and since when."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

from exporter.config.dag_filter import DagFilter
from exporter.config.settings import AirflowSettings
from exporter.metrics.catalogue.api import tasks
from exporter.metrics.reading import Reading
from exporter.sources.airflow.api.objects import approvals
from exporter.sources.airflow.api.objects.approvals import Approval
from exporter.sources.airflow.readers.approvals import ApprovalsReader, approval_tables

RECORDED = Path(__file__).parents[4] / "data" / "api" / "v2-3.3.2" / "hitl_details.json"


def make_approval(dag_id: str, created_at: float | None, run_id: str = "r") -> Approval:
    return Approval(dag_id=dag_id, run_id=run_id, task_id="approve", created_at=created_at)


def read(found: Sequence[Approval] | None, include_dags: str = ".*") -> Reading:
    dag_filter = DagFilter(AirflowSettings(include_dags=re.compile(include_dags)))
    return ApprovalsReader(lambda: found, dag_filter, 60.0).read()


def test_an_approval_of_3_3() -> None:
    (found,) = approvals.LIST.rows.decode(RECORDED.read_bytes()).rows
    assert found == Approval(
        dag_id="wants_approval",
        run_id="manual__2026-11-29T06:49:31.531023+00:00",
        task_id="approve",
        created_at=1795934982.176818,
    )


def test_an_approval_without_its_task_is_lost_alone() -> None:
    row = {"task_instance": {"dag_id": "d", "dag_run_id": "r", "task_id": "t"}, "created_at": "soon"}
    page = approvals.LIST.rows.decode(json.dumps({"hitl_details": [row, {"created_at": None}]}).encode())
    assert (page.rows, page.lost) == ([Approval(dag_id="d", run_id="r", task_id="t")], 1)


def test_they_are_counted_by_dag_and_the_oldest_is_shown() -> None:
    tables = approval_tables([make_approval("a", 20.0), make_approval("a", 10.0, "s"), make_approval("b", None)])
    assert tables[tasks.PENDING_APPROVALS] == {("a",): 2, ("b",): 1}
    assert tables[tasks.OLDEST_PENDING_APPROVAL] == {("a",): 10.0}


def test_without_approvals_every_family_is_empty() -> None:
    assert read([]).tables == {tasks.PENDING_APPROVALS: {}, tasks.OLDEST_PENDING_APPROVAL: {}}


def test_an_airflow_without_approvals_is_a_note() -> None:
    reading = read(None)
    assert (reading.tables, reading.notes) == ({}, ["this Airflow's API has no approvals"])


def test_only_dags_that_are_read_count() -> None:
    found = [make_approval("a", 1.0), make_approval("b", 2.0)]
    assert read(found, include_dags="b").tables[tasks.PENDING_APPROVALS] == {("b",): 1}

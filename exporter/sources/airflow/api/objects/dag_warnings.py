"""Warnings about DAGs, such as a pool that does not exist."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from exporter.sources.airflow.api.base import ApiBase, ListSpec
from exporter.sources.airflow.api.check_step import CheckStep, count
from exporter.sources.airflow.api.decode import RowDecoder, Text
from exporter.sources.airflow.http.endpoints import Resource

DAG_WARNINGS = Resource(
    "dagWarnings",
    "DAG Warnings",
    v1="/dagWarnings",
    v2="/dagWarnings",
    operation="DagWarningApi.list_dag_warnings",
)


class DagWarningRow(msgspec.Struct, gc=False):
    """A warning as both releases send it; its message is not read."""

    dag_id: str
    warning_type: Text = None


class DagWarning(msgspec.Struct, frozen=True, kw_only=True):
    """A warning about a DAG."""

    dag_id: str
    warning_type: str


def to_warning(row: DagWarningRow) -> DagWarning:
    """A warning from a row."""
    return DagWarning(dag_id=row.dag_id, warning_type=row.warning_type or "")


LIST = ListSpec(
    DAG_WARNINGS,
    RowDecoder("dag_warnings", DagWarningRow, to_warning),
    lambda warning: (warning.dag_id, warning.warning_type),
)


def read_dag_warnings(api: ApiBase) -> Sequence[DagWarning]:
    """Every warning. Raises ReaderError."""
    return api.read_all(LIST, {"order_by": ["dag_id"] if api.major >= 3 else "dag_id"})


CHECK = CheckStep("DAG warnings", DAG_WARNINGS, read_dag_warnings, count("warning"))

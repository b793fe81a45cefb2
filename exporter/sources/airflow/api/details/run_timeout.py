"""How long a run of a DAG may take: its `dagrun_timeout`."""

from __future__ import annotations

from datetime import timedelta

import msgspec

from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api.base import ApiBase
from exporter.sources.airflow.api.details.dag_tasks import DurationRow, to_seconds
from exporter.sources.airflow.http.endpoints import Resource

DAG = Resource("dag", "DAGs", "/dags/{dag_id}/details", "/dags/{dag_id}/details", "DAGApi.get_dag_details")


class DagDetailsRow(msgspec.Struct):
    """A DAG as sent: 3.x writes the timeout as an ISO 8601 duration."""

    dag_run_timeout: DurationRow | timedelta | None = None


DECODER = msgspec.json.Decoder(DagDetailsRow)


def read_run_timeout(api: ApiBase, dag_id: str) -> float | None:
    """The seconds after which Airflow fails a run of a DAG; None where there is no limit. Raises ReaderError."""
    try:
        timeout = DECODER.decode(api.get(DAG, {"dag_id": dag_id})).dag_run_timeout
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ReaderError("bad_reply", f"details of {dag_id}: {error}") from error
    return timeout.total_seconds() if isinstance(timeout, timedelta) else to_seconds(timeout)

"""Jobs: running schedulers, triggerers and DAG processors (3.x)."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import msgspec

from exporter.sources.airflow.api.base import ApiBase, ListSpec
from exporter.sources.airflow.api.check_step import CheckStep, count
from exporter.sources.airflow.api.decode import Integer, Moment, RowDecoder, Text, to_seconds
from exporter.sources.airflow.http.endpoints import Resource

JOBS = Resource("jobs", "Jobs", v2="/jobs", operation="JobApi.get_jobs")


class JobRow(msgspec.Struct, gc=False):
    """A job as /api/v2 sends it."""

    id: Integer = None
    job_type: Text = None
    state: Text = None
    hostname: Text = None
    latest_heartbeat: Moment = None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job, which may be dead: its heartbeat says. `id` is None where Airflow does not send it."""

    id: int | None = None
    job_type: str
    state: str | None = None
    hostname: str = ""
    heartbeat: float | None = None


def to_job(row: JobRow) -> Job:
    """A job from a row."""
    return Job(
        id=row.id,
        job_type=row.job_type or "",
        state=row.state,
        hostname=row.hostname or "",
        heartbeat=to_seconds(row.latest_heartbeat),
    )


def identify_job(job: Job) -> Hashable:
    """Airflow's id, which a heartbeat does not change; without an id the whole job."""
    return job if job.id is None else job.id


LIST = ListSpec(JOBS, RowDecoder("jobs", JobRow, to_job), identify_job)


def read_jobs(api: ApiBase) -> Sequence[Job] | None:
    """Jobs in the state running, alive or not; None where the API has none (2.x). Raises ReaderError."""
    return api.read_all(LIST, {"job_state": "running", "order_by": ["id"]}) if api.major >= 3 else None


CHECK = CheckStep("jobs", JOBS, read_jobs, count("job"))

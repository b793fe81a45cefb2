"""Airflow's replies, decoded: what we use of each object, whichever API version it came from.

Every field is optional where any release leaves it out or sends null; unknown fields are ignored and
unknown enum values stay text, so that a newer Airflow never breaks a page. Times are Unix seconds.
"""

from __future__ import annotations

import msgspec

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
RUNS_ENDED = ("success", "failed")
RUNS_ACTIVE = ("queued", "running")


class TaskInstance(msgspec.Struct, frozen=True, kw_only=True):
    """A row of task_instance, or one try of its history (`uuid` is None there)."""

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


class DagRun(msgspec.Struct, frozen=True, kw_only=True):
    """A row of dag_run. `run_after` is v1's data_interval_end (manual runs: logical_date)."""

    dag_id: str
    run_id: str
    run_type: str = ""
    state: str | None = None
    queued_at: float | None = None
    start_date: float | None = None
    end_date: float | None = None
    run_after: float | None = None
    logical_date: float | None = None
    data_interval_end: float | None = None


class Dag(msgspec.Struct, frozen=True, kw_only=True):
    """A row of dag."""

    dag_id: str
    is_paused: bool = False
    is_stale: bool = False
    owners: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    schedule: str = ""
    bundle: str = ""
    file: str = ""
    max_active_runs: int | None = None
    max_active_tasks: int | None = None
    max_consecutive_failed_dag_runs: int | None = None
    has_import_errors: bool = False
    next_run: float | None = None
    """When the next run may be created (v2 next_dagrun_run_after, v1 next_dagrun_create_after)."""
    last_parsed: float | None = None
    last_parse_duration: float | None = None


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    """A pool as the API sums it up; `slots` is -1 where it is unlimited."""

    name: str
    slots: int = 0
    include_deferred: bool = False
    running_slots: int = 0
    queued_slots: int = 0
    scheduled_slots: int = 0
    deferred_slots: int = 0
    occupied_slots: int = 0


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """One part of the health reply; `status` is None where the part is not run on its own."""

    name: str
    status: str | None = None
    heartbeat: float | None = None


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A job of /jobs (v2 only); it may be dead: look at its heartbeat. `id` is None where Airflow does not send it."""

    id: int | None = None
    job_type: str
    state: str | None = None
    hostname: str = ""
    heartbeat: float | None = None


class BrokenFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file that could not be imported. Its stack trace is not read: it may hold secrets."""

    file: str
    bundle: str = ""
    timestamp: float | None = None


class DagWarning(msgspec.Struct, frozen=True, kw_only=True):
    """A warning about a DAG; its message is not read."""

    dag_id: str
    warning_type: str


class Backfill(msgspec.Struct, frozen=True, kw_only=True):
    """A backfill (v2 only)."""

    id: int
    dag_id: str
    is_paused: bool = False
    max_active_runs: int | None = None
    created_at: float | None = None
    completed_at: float | None = None

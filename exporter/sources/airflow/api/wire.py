"""Airflow's objects as /api/v1 and /api/v2 send them: private to decode.py, which turns them into replies.

One struct serves both versions where only names were added or renamed. Everything is optional, since a
release may leave any field out or send null; what we do not name is skipped without being built.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

Moment = datetime | None
Text = str | None
Whole = int | None


class TaskInstance(msgspec.Struct, gc=False):
    """v1 and v2 `task_instances`; `id` and `scheduled_when` are v2's only."""

    dag_id: str
    task_id: str
    dag_run_id: str
    map_index: Whole = None
    id: Text = None
    state: Text = None
    try_number: Whole = None
    max_tries: Whole = None
    start_date: Moment = None
    end_date: Moment = None
    duration: float | None = None
    queued_when: Moment = None
    scheduled_when: Moment = None
    pool: Text = None
    pool_slots: Whole = None
    queue: Text = None
    priority_weight: Whole = None
    operator: Text = None
    hostname: Text = None
    pid: Whole = None
    executor: Text = None


class DagRun(msgspec.Struct, gc=False):
    """v1 and v2 `dag_runs`; `queued_at` and `run_after` are v2's, `execution_date` is old v1's."""

    dag_id: str
    dag_run_id: str
    run_type: Text = None
    state: Text = None
    queued_at: Moment = None
    start_date: Moment = None
    end_date: Moment = None
    run_after: Moment = None
    logical_date: Moment = None
    execution_date: Moment = None
    data_interval_end: Moment = None


class Named(msgspec.Struct, gc=False):
    """A tag."""

    name: Text = None


class Dag(msgspec.Struct):
    """v1 and v2 `dags`: v1 has is_active, fileloc, schedule_interval; v2 is_stale, relative_fileloc, bundle_name."""

    dag_id: str
    is_paused: bool | None = None
    is_active: bool | None = None
    is_stale: bool | None = None
    owners: list[str] | None = None
    tags: list[Named] | None = None
    schedule_interval: dict[str, Any] | None = None
    timetable_summary: Text = None
    timetable_description: Text = None
    bundle_name: Text = None
    fileloc: Text = None
    relative_fileloc: Text = None
    max_active_runs: Whole = None
    max_active_tasks: Whole = None
    max_consecutive_failed_dag_runs: Whole = None
    has_import_errors: bool | None = None
    next_dagrun_run_after: Moment = None
    next_dagrun_create_after: Moment = None
    last_parsed_time: Moment = None
    last_parse_duration: float | None = None


class Pool(msgspec.Struct, gc=False):
    """v1 and v2 `pools`."""

    name: str
    slots: Whole = None
    include_deferred: bool | None = None
    running_slots: Whole = None
    queued_slots: Whole = None
    scheduled_slots: Whole = None
    deferred_slots: Whole = None
    occupied_slots: Whole = None


class Job(msgspec.Struct, gc=False):
    """v2 `jobs`."""

    id: Whole = None
    job_type: Text = None
    state: Text = None
    hostname: Text = None
    latest_heartbeat: Moment = None


class BrokenFile(msgspec.Struct, gc=False):
    """v1 and v2 `import_errors`, without the stack trace."""

    filename: Text = None
    bundle_name: Text = None
    timestamp: Moment = None


class DagWarning(msgspec.Struct, gc=False):
    """v1 and v2 `dag_warnings`, without the message."""

    dag_id: str
    warning_type: Text = None


class Backfill(msgspec.Struct, gc=False):
    """v2 `backfills`."""

    id: int
    dag_id: str
    is_paused: bool | None = None
    max_active_runs: Whole = None
    created_at: Moment = None
    completed_at: Moment = None


class Version(msgspec.Struct, gc=False):
    """v1 and v2 `version`."""

    version: str


class Option(msgspec.Struct, gc=False):
    """One option of `config`; with sources asked for, the value is a pair."""

    key: str
    value: Any = None


class Section(msgspec.Struct):
    """One section of `config`."""

    name: str
    options: list[Option] | None = None


class Config(msgspec.Struct):
    """v1 and v2 `config`."""

    sections: list[Section] | None = None


class Envelope(msgspec.Struct):
    """What surrounds the rows of any list."""

    total_entries: Whole = None
    next_cursor: str | UnsetType | None = UNSET

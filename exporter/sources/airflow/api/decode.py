"""From the bytes of a reply to what we use of it, for both API versions.

A page is decoded in one go. If that fails, because some field holds what no release has sent so far, it
is decoded again row by row and field by field: a field that makes no sense is left out, and only a row
without its ids is lost, counted in `Page.lost`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET

from exporter.metrics.reading import ReaderError
from exporter.sources.airflow.api import models, wire

T = TypeVar("T")
W = TypeVar("W", bound=msgspec.Struct)

HEALTH_PARTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list."""

    rows: list[T]
    total: int | None = None
    """How many rows match in all (`total_entries`)."""
    cursor: str | None = None
    """Where the next page begins; None at the end of a keyset walk and where there is none."""
    keyset: bool = False
    """The server knows keyset paging: its reply has `next_cursor`, be it null."""
    lost: int = 0
    """Rows that could not be read at all."""


class List(Generic[T]):
    """How a list of one kind is decoded: the key of its rows, their wire struct and what becomes of each."""

    def __init__(self, key: str, struct: type[W], convert: Callable[[W], T]) -> None:
        self.key = key
        self._struct: type[Any] = struct
        self._convert: Callable[[Any], T] = convert
        fields = [(key, list[struct] | None, None)]  # type: ignore[valid-type]
        page = msgspec.defstruct(f"{struct.__name__}Page", fields, bases=(wire.Envelope,))
        self._decoder: msgspec.json.Decoder[wire.Envelope] = msgspec.json.Decoder(page)

    def decode(self, body: bytes) -> Page[T]:
        """Decode one page. Raises ReaderError (bad_reply)."""
        try:
            envelope = self._decoder.decode(body)
            rows: list[Any] | None = getattr(envelope, self.key)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return self._decode_leniently(body)
        if rows is None:
            raise ReaderError("bad_reply", f"the reply has no {self.key!r}: is this the API of an Airflow?")
        return _page(envelope, [self._convert(row) for row in rows])

    def _decode_leniently(self, body: bytes) -> Page[T]:
        reply = _parse(body)
        raw_rows = reply.pop(self.key, None)
        if not isinstance(raw_rows, list):
            raise ReaderError("bad_reply", f"the reply has no {self.key!r}: is this the API of an Airflow?")
        rows = [row for raw in raw_rows if (row := salvage(self._struct, raw)) is not None]
        envelope = salvage(wire.Envelope, reply) or wire.Envelope()
        return _page(envelope, [self._convert(row) for row in rows], lost=len(raw_rows) - len(rows))


def salvage(struct: type[W], raw: object) -> W | None:
    """Make a wire struct of what fits it, leaving out each field that does not; None where a needed one is broken."""
    if not isinstance(raw, dict):
        return None
    try:
        return msgspec.convert(raw, struct, strict=False)
    except msgspec.ValidationError:
        pass
    good: dict[str, object] = {}
    for field in msgspec.structs.fields(struct):
        if field.encode_name not in raw:
            continue
        try:
            good[field.name] = msgspec.convert(raw[field.encode_name], field.type, strict=False)
        except msgspec.ValidationError:
            continue
    try:
        return struct(**good)
    except TypeError:
        return None


def seconds(moment: datetime | None) -> float | None:
    """Unix seconds, exact to the microsecond; a time without an offset is UTC."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return moment.timestamp()


def decode_version(body: bytes) -> str | None:
    """The version in a reply of the version endpoint; None where it is no such reply."""
    try:
        return msgspec.json.decode(body, type=wire.Version).version
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def decode_health(body: bytes) -> list[models.Component]:
    """The parts of a health reply, those that Airflow does not run on their own with status None."""
    reply = _parse(body)
    return [_component(name, part) for name in HEALTH_PARTS if isinstance(part := reply.get(name), dict)]


def decode_config(body: bytes) -> dict[tuple[str, str], str]:
    """Airflow's configuration by (section, key)."""
    try:
        sections = msgspec.json.decode(body, type=wire.Config).sections or []
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ReaderError("bad_reply", f"the configuration could not be read: {error}") from error
    return {
        (section.name, option.key): _option_text(option.value)
        for section in sections
        for option in section.options or []
    }


def _option_text(value: object) -> str:
    if isinstance(value, list):
        value = value[0] if value else None
    return "" if value is None else str(value)


def _component(name: str, part: dict[str, Any]) -> models.Component:
    heartbeat = next((value for key, value in part.items() if key.endswith("_heartbeat")), None)
    status = part.get("status")
    return models.Component(
        name=name,
        status=status if isinstance(status, str) else None,
        heartbeat=_moment(heartbeat),
    )


def _moment(value: object) -> float | None:
    try:
        return seconds(msgspec.convert(value, datetime | None))
    except msgspec.ValidationError:
        return None


def _parse(body: bytes) -> dict[str, Any]:
    # The standard parser also takes NaN and broken UTF-8, which reach us inside fields that we do not even use.
    try:
        reply = json.loads(body.decode("utf-8", "replace"))
    except (ValueError, RecursionError) as error:
        raise ReaderError("bad_reply", f"the reply is not JSON, or was cut off: {error}") from error
    if not isinstance(reply, dict):
        raise ReaderError("bad_reply", f"the reply is a {type(reply).__name__}, not an object")
    return reply


def _page(envelope: wire.Envelope, rows: list[T], lost: int = 0) -> Page[T]:
    cursor = envelope.next_cursor
    if cursor is UNSET:
        return Page(rows, envelope.total_entries, lost=lost)
    return Page(rows, envelope.total_entries, cursor or None, keyset=True, lost=lost)


def _task_instance(row: wire.TaskInstance) -> models.TaskInstance:
    return models.TaskInstance(
        dag_id=row.dag_id,
        task_id=row.task_id,
        run_id=row.dag_run_id,
        map_index=-1 if row.map_index is None else row.map_index,
        uuid=row.id,
        state=row.state,
        try_number=row.try_number or 0,
        max_tries=row.max_tries or 0,
        start_date=seconds(row.start_date),
        end_date=seconds(row.end_date),
        duration=row.duration,
        queued_when=seconds(row.queued_when),
        scheduled_when=seconds(row.scheduled_when),
        pool=row.pool or "",
        pool_slots=1 if row.pool_slots is None else row.pool_slots,
        queue=row.queue or "",
        priority_weight=row.priority_weight or 0,
        operator=row.operator or "",
        hostname=row.hostname or "",
        pid=row.pid,
        executor=row.executor,
    )


def _dag_run(row: wire.DagRun) -> models.DagRun:
    logical_date = row.logical_date or row.execution_date
    # v1 has no run_after: a run may start when its interval is over, one made by hand at once.
    planned = row.data_interval_end if row.run_type != "manual" else None
    return models.DagRun(
        dag_id=row.dag_id,
        run_id=row.dag_run_id,
        run_type=row.run_type or "",
        state=row.state,
        queued_at=seconds(row.queued_at),
        start_date=seconds(row.start_date),
        end_date=seconds(row.end_date),
        run_after=seconds(row.run_after or planned or logical_date),
        logical_date=seconds(logical_date),
        data_interval_end=seconds(row.data_interval_end),
    )


def _dag(row: wire.Dag) -> models.Dag:
    stale = row.is_stale if row.is_stale is not None else row.is_active is False
    return models.Dag(
        dag_id=row.dag_id,
        is_paused=bool(row.is_paused),
        is_stale=stale,
        owners=tuple(row.owners or ()),
        tags=tuple(tag.name for tag in row.tags or () if tag.name),
        schedule=_schedule(row),
        bundle=row.bundle_name or "",
        file=row.relative_fileloc or row.fileloc or "",
        max_active_runs=row.max_active_runs,
        max_active_tasks=row.max_active_tasks,
        max_consecutive_failed_dag_runs=row.max_consecutive_failed_dag_runs,
        has_import_errors=bool(row.has_import_errors),
        next_run=seconds(row.next_dagrun_run_after or row.next_dagrun_create_after),
        last_parsed=seconds(row.last_parsed_time),
        last_parse_duration=row.last_parse_duration,
    )


def _schedule(row: wire.Dag) -> str:
    """v2 `timetable_summary`; v1 the cron text of `schedule_interval`, else `timetable_description`."""
    if row.timetable_summary:
        return row.timetable_summary
    cron = (row.schedule_interval or {}).get("value")
    return cron if isinstance(cron, str) else row.timetable_description or ""


def _pool(row: wire.Pool) -> models.Pool:
    return models.Pool(
        name=row.name,
        slots=row.slots or 0,
        include_deferred=bool(row.include_deferred),
        running_slots=row.running_slots or 0,
        queued_slots=row.queued_slots or 0,
        scheduled_slots=row.scheduled_slots or 0,
        deferred_slots=row.deferred_slots or 0,
        occupied_slots=row.occupied_slots or 0,
    )


def _job(row: wire.Job) -> models.Job:
    return models.Job(
        id=row.id,
        job_type=row.job_type or "",
        state=row.state,
        hostname=row.hostname or "",
        heartbeat=seconds(row.latest_heartbeat),
    )


def _broken_file(row: wire.BrokenFile) -> models.BrokenFile:
    return models.BrokenFile(file=row.filename or "", bundle=row.bundle_name or "", timestamp=seconds(row.timestamp))


def _dag_warning(row: wire.DagWarning) -> models.DagWarning:
    return models.DagWarning(dag_id=row.dag_id, warning_type=row.warning_type or "")


def _backfill(row: wire.Backfill) -> models.Backfill:
    return models.Backfill(
        id=row.id,
        dag_id=row.dag_id,
        is_paused=bool(row.is_paused),
        max_active_runs=row.max_active_runs,
        created_at=seconds(row.created_at),
        completed_at=seconds(row.completed_at),
    )


TASK_INSTANCES = List("task_instances", wire.TaskInstance, _task_instance)
DAG_RUNS = List("dag_runs", wire.DagRun, _dag_run)
DAGS = List("dags", wire.Dag, _dag)
POOLS = List("pools", wire.Pool, _pool)
JOBS = List("jobs", wire.Job, _job)
IMPORT_ERRORS = List("import_errors", wire.BrokenFile, _broken_file)
DAG_WARNINGS = List("dag_warnings", wire.DagWarning, _dag_warning)
BACKFILLS = List("backfills", wire.Backfill, _backfill)

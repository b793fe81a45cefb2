"""What the events file says of a try and of a run that ended: one JSON object each. Pure.

docs/events.schema.json describes them, and docs/events.md explains them. Fields may be added; the meaning of one that
is there changes only with another `schema`. No text of a log and no message of an exception is ever part of an event.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

SCHEMA = 1
"""The version of the format."""


class EndedTryFacts(NamedTuple):
    """What is known of a try that ended. Times are Unix seconds, of Airflow's clock; None where Airflow has none."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int
    outcome: str
    pool: str
    queue: str
    operator: str
    scheduled_at: float | None
    queued_at: float | None
    started_at: float | None
    ended_at: float | None
    pool_slots: int | None = None
    priority_weight: int | None = None
    """Both are stored in state files: fields that are added need a default, and their place is the end."""


class EndedRunFacts(NamedTuple):
    """What is known of a run that ended, with the same kind of times."""

    dag_id: str
    run_id: str
    run_type: str
    state: str
    due_at: float | None
    queued_at: float | None
    started_at: float | None
    ended_at: float | None


def make_try_event(
    facts: EndedTryFacts, error_class: str | None, waited: Mapping[str, float] | None, log_url: str, release: str
) -> dict[str, Any]:
    """The event of a try. `waited` has the seconds that it waited, by reason; None where they are not known."""
    return {
        "schema": SCHEMA,
        "event": "task_try",
        "time": format_time(facts.ended_at),
        "airflow_release": release,
        "dag_id": facts.dag_id,
        "run_id": facts.run_id,
        "task_id": facts.task_id,
        "map_index": facts.map_index,
        "try_number": facts.try_number,
        "outcome": facts.outcome,
        "error_class": error_class,
        "scheduled_seconds": measure(facts.scheduled_at, facts.queued_at, facts.started_at),
        "queued_seconds": measure(facts.queued_at, facts.started_at),
        "run_seconds": measure(facts.started_at, facts.ended_at),
        "waited_seconds": None if waited is None else dict(waited),
        "pool": facts.pool,
        "pool_slots": facts.pool_slots,
        "priority_weight": facts.priority_weight,
        "queue": facts.queue,
        "operator": facts.operator,
        "log_url": log_url or None,
    }


def make_run_event(facts: EndedRunFacts, release: str) -> dict[str, Any]:
    """The event of a run."""
    return {
        "schema": SCHEMA,
        "event": "dag_run",
        "time": format_time(facts.ended_at),
        "airflow_release": release,
        "dag_id": facts.dag_id,
        "run_id": facts.run_id,
        "run_type": facts.run_type,
        "state": facts.state,
        "queued_seconds": measure(facts.queued_at, facts.started_at),
        "run_seconds": measure(facts.started_at, facts.ended_at),
        "due_to_end_seconds": measure(facts.due_at, facts.ended_at),
    }


def measure(begin: float | None, end: float | None, bound: float | None = None) -> float | None:
    """Seconds from one time to another; None where one is not known, or was renewed, so that they are out of order.

    With a bound, the end must not be later than that either.
    """
    if begin is None or end is None or end < begin or (bound is not None and bound < end):
        return None
    return round(end - begin, 6)


def format_time(seconds: float | None) -> str | None:
    """Unix seconds as RFC 3339 in UTC, with microseconds."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def encode_line(event: dict[str, Any]) -> bytes:
    """An event as one line of JSON."""
    return msgspec.json.encode(event) + b"\n"

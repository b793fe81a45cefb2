"""The rows of the API that the soak test serves: what runs, task instances and the rest look like at a time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from tests.integration.airflow.stub import Asked

TIMES = ("start_date", "end_date", "updated_at", "run_after", "logical_date")


class Try(NamedTuple):
    """One try of a task: from when to when it runs, and how it ends."""

    number: int
    start: float
    end: float
    state: str


class Run(NamedTuple):
    """A run of a DAG, with the tries of its tasks."""

    dag_id: str
    run_id: str
    start: float
    tasks: tuple[tuple[Try, ...], ...]

    @property
    def end(self) -> float:
        """When its last task has ended."""
        return max(tries[-1].end for tries in self.tasks)

    @property
    def state(self) -> str:
        """How it ends."""
        return "failed" if any(tries[-1].state == "failed" for tries in self.tasks) else "success"


def listing(key: str, rows: Sequence[Any]) -> dict[str, Any]:
    """A list as Airflow sends it, in one page."""
    return {key: list(rows), "total_entries": len(rows), "next_cursor": None}


def choose(rows: list[dict[str, Any]], asked: Asked) -> list[dict[str, Any]]:
    """The rows that the query asks for."""
    query = asked.query
    if states := query.get("state"):
        rows = [row for row in rows if row["state"] in states]
    for name in TIMES:
        for suffix, sign in (("_gte", 1), ("_lte", -1)):
            if bound := query.get(name + suffix):
                edge = datetime.fromisoformat(bound[0]).timestamp()
                rows = [row for row in rows if row.get(name) and sign * (to_seconds(row[name]) - edge) >= 0]
    order = query.get("order_by", ["start_date"])[0]
    field = order.removeprefix("-") if order.removeprefix("-") in TIMES else "start_date"
    rows.sort(key=lambda row: row.get(field) or "", reverse=order.startswith("-"))
    return rows[: int(query.get("limit", ["100"])[0])] if "cursor" not in query else rows


def make_health(now: float) -> dict[str, Any]:
    """All components are healthy."""
    beat = to_text(now - 1)
    parts = ("scheduler", "triggerer", "dag_processor")
    found = {name: {"status": "healthy", f"latest_{name}_heartbeat": beat} for name in parts}
    return {"metadatabase": {"status": "healthy"}, **found}


def make_job(now: float) -> dict[str, Any]:
    """The scheduler."""
    return {"id": 1, "job_type": "SchedulerJob", "state": "running", "hostname": "h", "latest_heartbeat": to_text(now)}


def make_pool(name: str) -> dict[str, Any]:
    """An empty pool."""
    counts = ("occupied_slots", "running_slots", "queued_slots", "scheduled_slots", "deferred_slots")
    return {"name": name, "slots": 128, "open_slots": 128, "include_deferred": False, **dict.fromkeys(counts, 0)}


def make_dag(dag_id: str, now: float) -> dict[str, Any]:
    """A DAG."""
    return {
        "dag_id": dag_id,
        "is_paused": False,
        "is_stale": False,
        "last_parsed_time": to_text(now - 30),
        "last_parse_duration": 0.1,
        "bundle_name": "dags-folder",
        "relative_fileloc": f"{dag_id}.py",
        "fileloc": f"/dags/{dag_id}.py",
        "timetable_summary": "*/30 * * * *",
        "tags": [{"name": "soak"}],
        "owners": ["airflow"],
        "max_active_tasks": 16,
        "max_active_runs": 16,
        "has_import_errors": False,
        "next_dagrun_run_after": to_text(now + 600),
    }


def make_run(run: Run, now: float) -> dict[str, Any]:
    """A run as it is now."""
    over = run.end <= now
    return {
        "dag_id": run.dag_id,
        "dag_run_id": run.run_id,
        "run_type": "scheduled",
        "state": run.state if over else "running",
        "queued_at": to_text(run.start),
        "start_date": to_text(run.start),
        "end_date": to_text(run.end) if over else None,
        "updated_at": to_text(run.end if over else now),
        "run_after": to_text(run.start),
        "logical_date": to_text(run.start),
        "data_interval_end": to_text(run.start),
    }


def make_task_instance(run: Run, task: int, now: float) -> dict[str, Any] | None:
    """A task instance as it is now; None if it was not scheduled yet."""
    begun = [one for one in run.tasks[task] if one.start - 5 <= now]
    if not begun:
        return None
    tries, current = run.tasks[task], begun[-1]
    over = current.end <= now
    waits = over and current is not tries[-1]
    state = ("up_for_retry" if waits else current.state) if over else ("running" if current.start <= now else "queued")
    return {
        **make_try(run, task, current, now),
        "state": state,
        "updated_at": to_text(current.end if over else now),
        "max_tries": len(tries) - 1,
        "queue": "default",
        "pool": "default_pool" if task else "narrow",
        "pool_slots": 1,
        "priority_weight": 1,
        "operator": "PythonOperator",
    }


def make_tries(run: Run, task: int, now: float) -> list[dict[str, Any]]:
    """The history of a task instance."""
    return [make_try(run, task, one, now) for one in run.tasks[task] if one.start <= now]


def make_try(run: Run, task: int, one: Try, now: float) -> dict[str, Any]:
    """One try as it is now."""
    begun, over = one.start <= now, one.end <= now
    return {
        "id": f"{run.dag_id}-{run.run_id}-{task}-{one.number}",
        "dag_id": run.dag_id,
        "dag_run_id": run.run_id,
        "task_id": f"task_{task}",
        "map_index": -1,
        "try_number": one.number,
        "max_tries": len(run.tasks[task]) - 1,
        "state": one.state if over else "running",
        "start_date": to_text(one.start) if begun else None,
        "end_date": to_text(one.end) if over else None,
        "duration": one.end - one.start if over else None,
        "queued_when": to_text(one.start - 1),
        "scheduled_when": to_text(one.start - 2),
        "run_after": to_text(run.start),
        "logical_date": to_text(run.start),
        "hostname": "h" if begun else "",
        "pid": 100 + task if begun else None,
    }


def to_text(moment: float) -> str:
    """A time as Airflow writes it."""
    return datetime.fromtimestamp(moment, UTC).isoformat().replace("+00:00", "Z")


def to_seconds(text: str) -> float:
    """The Unix time of a text."""
    return datetime.fromisoformat(text).timestamp()


def quote(text: str) -> str:
    """An id as it is written in a URL."""
    return text.replace(":", "%3A").replace("+", "%2B")

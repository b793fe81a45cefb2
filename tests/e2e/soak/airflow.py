"""An API like that of Airflow 3.3 whose DAGs come and go, on a clock that jumps on with each poll.

Rows are functions of the time: a run has a start, each of its tasks a start and an end. Nothing has to be stored but
the runs of the last hours, so that this server does not grow while it is asked about days.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from tests.e2e.soak.rows import (
    Run,
    Try,
    choose,
    listing,
    make_dag,
    make_health,
    make_job,
    make_pool,
    make_run,
    make_task_instance,
    make_tries,
    quote,
    to_text,
)
from tests.integration.airflow.stub import Answer, Asked

STEP = 900.0
"""Seconds between two polls: at most so many between two lists count for the day after which a DAG is gone."""
DAGS = 30
DAG_LIFE = 30 * 3600.0
"""Seconds after which a DAG is deleted, and another one takes its place."""
RUN_EVERY = 1800.0
TASKS = 3
RUNS_KEPT = 1.5 * 3600.0
RETRY_AFTER = 60.0
FAILED_LOG = b'{"content":[{"event":"Task failed with exception","error_detail":[{"exc_type":"ConnectionError",\
"exc_value":"refused"}]}],"continuation_token":null}'


class Clock:
    """Unix time that goes on by some minutes with each poll."""

    def __init__(self) -> None:
        self._began = time.time()
        self.passed = 0.0
        """Seconds on this clock since it was made."""

    def now(self) -> float:
        """The time on this clock."""
        return self._began + self.passed


class ChangingAirflow:
    """Answers requests of the exporter."""

    def __init__(self, on_step: Callable[[float], None], seed: int = 1) -> None:
        """`on_step` is called with the new time when time passes."""
        self.clock = clock = Clock()
        self.on_step = on_step
        self._random = random.Random(seed)
        self._begun = clock.now()
        self._runs: dict[str, list[Run]] = {}
        self.requests = 0
        self.unknown: set[str] = set()
        """Paths that were asked for and are not known here."""

    def __call__(self, asked: Asked) -> Answer:
        self.requests += 1
        if asked.path.endswith("~/taskInstances") and "running" in asked.query.get("state", ()):
            self.clock.passed += STEP  # a poll of task instances begins
            self.on_step(self.clock.now())
        now = self.clock.now()
        body = self._find(asked.path.removeprefix("/api/v2").strip("/").split("/"), asked, now)
        headers = {"Date": format_datetime(datetime.fromtimestamp(now, UTC), usegmt=True)}
        if body is None:
            if not asked.path.endswith("/tries"):  # of a run that is gone
                self.unknown.add(asked.path)
            return Answer({"detail": "Not Found"}, 404, headers)
        return Answer(body, 201 if asked.method == "POST" else 200, headers)

    def dag_ids(self, now: float) -> list[str]:
        """The DAGs that exist: each place is taken by one DAG after the other."""
        found = []
        for place in range(DAGS):
            age = now - self._begun + DAG_LIFE * place / DAGS
            found.append(f"dag_{place}_{int(age // DAG_LIFE)}")
        return found

    # ---- what happens ----------------------------------------------------------------------------------------------

    def _all_runs(self, now: float) -> Iterator[Run]:
        """The runs of the last hours of DAGs that exist."""
        alive = self.dag_ids(now)
        for dag_id in [known for known in self._runs if known not in alive]:
            del self._runs[dag_id]
        for place, dag_id in enumerate(alive):
            runs = self._runs.setdefault(dag_id, [])
            due = now - (now + RUN_EVERY * place / DAGS) % RUN_EVERY
            if not runs or runs[-1].start < due:
                runs.append(self._make_run(dag_id, due))
            while runs[0].start < now - RUNS_KEPT:
                runs.pop(0)
            yield from runs

    def _make_run(self, dag_id: str, start: float) -> Run:
        tasks: list[tuple[Try, ...]] = []
        for _ in range(TASKS):
            begin = start + self._random.uniform(1, 300)
            end = begin + self._random.uniform(1, 600)
            chance = self._random.random()
            if chance < 0.04:
                again = end + RETRY_AFTER
                final = Try(2, again, again + self._random.uniform(1, 300), "success" if chance < 0.03 else "failed")
                tasks.append((Try(1, begin, end, "failed"), final))
            else:
                tasks.append((Try(1, begin, end, "skipped" if chance < 0.15 else "success"),))
        return Run(dag_id, f"scheduled__{to_text(start)}", start, tuple(tasks))

    # ---- replies ---------------------------------------------------------------------------------------------------

    def _find(self, parts: list[str], asked: Asked, now: float) -> Any:
        plain = {
            "version": {"version": "3.3.2", "git_version": None},
            "monitor/health": make_health(now),
            "auth/token": {"access_token": "token"},
            "pools": listing("pools", [make_pool(name) for name in ("default_pool", "narrow")]),
            "jobs": listing("jobs", [make_job(now)]),
            "importErrors": listing("import_errors", []),
            "dagWarnings": listing("dag_warnings", []),
            "backfills": listing("backfills", []),
            "assets": listing("assets", []),
            "config": {"sections": []},
            "eventLogs": listing("event_logs", []),
        }
        path = "/".join(parts)
        if path in plain:
            return plain[path]
        if parts[-1] == "details":
            return {"dag_id": parts[1], "dag_run_timeout": None}
        if path == "dags":
            return listing("dags", [make_dag(dag_id, now) for dag_id in self.dag_ids(now)])
        runs = [run for run in self._all_runs(now) if len(parts) < 2 or parts[1] in ("~", run.dag_id)]
        if parts[-1] == "dagRuns":
            return listing("dag_runs", choose([make_run(run, now) for run in runs], asked))
        if len(parts) > 3:
            runs = [run for run in runs if parts[3] in ("~", quote(run.run_id))]
        if parts[-1] == "taskInstances":
            rows = [make_task_instance(run, task, now) for run in runs for task in range(TASKS)]
            return listing("task_instances", choose([row for row in rows if row], asked))
        if parts[-1] == "tries" and runs:
            return listing("task_instances", make_tries(runs[0], int(parts[5].removeprefix("task_")), now))
        if parts[-1] == "tasks":
            return {
                "tasks": [{"task_id": f"task_{task}", "class_ref": {}} for task in range(TASKS)],
                "total_entries": TASKS,
            }
        if parts[-2:-1] == ["logs"]:
            return FAILED_LOG
        return listing("hitl_details", []) if parts[-1] == "hitlDetails" else None

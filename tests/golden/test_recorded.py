"""The whole exposition that the replies of a real Airflow 3.3.2 and 2.11.2, recorded once, lead to."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from exporter.config.settings import AirflowSettings, Settings
from exporter.engine import Engine
from exporter.store.exposition import Format, render
from tests.integration.airflow.stub import Answer, Asked, serve

GOLDEN = Path(__file__).parent
DATA = GOLDEN.parent / "data" / "api"
LOGS = GOLDEN.parent / "data" / "logs"
CORE = {
    "core": {"parallelism": "32"},
    "celery": {"worker_concurrency": "16"},
    "triggerer": {"capacity": "1000"},
    "database": {"sql_alchemy_pool_size": "5", "sql_alchemy_max_overflow": "10"},
}
OURS = (b"airflow_exporter_", b"process_")


class Recording:
    """An Airflow that answers what was recorded, whenever `now` says it is; rows are filtered by state, DAG and run."""

    def __init__(self, release: str) -> None:
        self.folder = DATA / release
        self.now = datetime(2026, 11, 23, 8, 30, tzinfo=UTC)

    def load(self, *names: str) -> dict[str, Any]:
        """A recorded reply; of several the rows of all."""
        replies: list[dict[str, Any]] = [json.loads((self.folder / f"{name}.json").read_text()) for name in names]
        [key] = [key for key, value in replies[0].items() if isinstance(value, list)] or [""]
        if len(replies) > 1:
            replies[0][key] = [row for reply in replies for row in reply[key]]
        return replies[0]

    def answer(self, asked: Asked) -> Answer:
        body = self.find(asked.path.removeprefix("/api/v2").removeprefix("/api/v1"), asked.query)
        headers = {"Date": format_datetime(self.now, usegmt=True)}
        if body is None or not asked.path.startswith(self.prefix):
            return Answer({"detail": "not found"}, 404, headers)
        return Answer(body, 201 if asked.method == "POST" else 200, headers)

    @property
    def prefix(self) -> str:
        return "/api/v2" if self.folder.name.startswith("v2") else "/api/v1"

    def find(self, path: str, query: dict[str, list[str]]) -> Any:
        parts = path.strip("/").split("/")
        plain = {
            "version": "version", "health": "health", "monitor/health": "health", "pools": "pools", "jobs": "jobs",
            "dags": "dags", "importErrors": "import_errors", "dagWarnings": "dag_warnings", "backfills": "backfills",
            "assets": "assets", "datasets": "datasets", "datasets/events": "dataset_events",
        }  # fmt: skip
        if path == "/config":
            return {"sections": [{"name": name, "options": to_options(options)} for name, options in CORE.items()]}
        if (name := plain.get(path.strip("/"))) and (self.folder / f"{name}.json").exists():
            return self.load(name)
        if parts[-1] == "dagRuns":
            return self.select("dag_runs", parts, query, "dag_runs_running", "dag_runs_updated_gte")
        if parts[-1] == "taskInstances":
            ended = "task_instances_wildcard" if self.prefix.endswith("2") else "task_instances_updated_gte"
            return self.select("task_instances", parts, query, "task_instances_running_queued", ended)
        if parts[-1] in ("queuedEvents", "queuedEvent"):
            queued = {"dag_id": parts[1], "created_at": "2026-11-23T08:29:00Z"}
            return {"queued_events": [queued] if parts[1] == "asset_mail" else []}
        if parts[-1] == "hitlDetails" and self.prefix.endswith("2"):
            return self.load("hitl_details")
        if parts[-2:-1] == ["logs"]:
            return (LOGS / self.folder.name / "network__wrapped.log").read_bytes()
        if parts[-1] == "tries" and "connection_error" in parts:
            return self.load("tries_connection_error")
        return None

    def select(self, key: str, parts: list[str], query: dict[str, list[str]], *names: str) -> dict[str, Any]:
        rows = self.load(*names)[key]
        states = query.get("state")
        wanted = {"dag_id": parts[1], "dag_run_id": parts[3] if len(parts) > 4 else "~"}
        kept = [
            row
            for row in rows
            if (states is None or row["state"] in states)
            and (row["end_date"] or "") < self.now.isoformat()
            and all(
                value == "~" or row[name] == value.replace("%3A", ":").replace("%2B", "+")
                for name, value in wanted.items()
            )
        ]
        return {key: kept[:100], "total_entries": len(kept), "next_cursor": None}


def to_options(options: dict[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in options.items()]


def leave_out_ours(text: bytes) -> bytes:
    """Without the exporter's own families, whose values are of this very run."""
    lines = text.splitlines(keepends=True)
    return b"".join(
        line for line in lines if not line.removeprefix(b"# HELP ").removeprefix(b"# TYPE ").startswith(OURS)
    )


def scrape(settings: Settings) -> bytes:
    """What an exporter exposes that starts, reads everything once and ends."""
    engine = Engine(settings)
    engine.read_once()
    text = b"".join(render(engine.store, Format.TEXT, reveal_all=True, mark_exposed=False))
    engine.stop(5.0)
    return text


@pytest.mark.parametrize(("release", "minute"), [("v1-2.11.2", 52), ("v2-3.3.2", 40)])
def test_recorded_replies_become_this_exposition(
    release: str,
    minute: int,
    tmp_path: Path,
    golden: Callable[[str, bytes], None],
) -> None:
    recording = Recording(release)
    with serve(recording.answer) as server:
        airflow = AirflowSettings(url=server.url)
        only = {"airflow": True, "host": False}
        settings = Settings(airflow=airflow, collectors=only, state_file=tmp_path / "state.db")
        before = scrape(settings)
        assert b"airflow_task_tries_total{" not in before
        recording.now = recording.now.replace(minute=minute)
        scrape(settings)
        text = scrape(settings)
    golden(f"recorded-{release}.txt", leave_out_ours(text))


@pytest.mark.parametrize("release", ["v1-2.11.2", "v2-3.3.2"])
def test_promtool_has_nothing_to_say_of_it(release: str, lint_metrics: Callable[[bytes], str]) -> None:
    assert lint_metrics((GOLDEN / f"recorded-{release}.txt").read_bytes()) == ""

"""Simulates the REST API of an Airflow 3.3 of some size: python -m benchmarks.simulated_api DAGS WORKERS TRIES_A_MINUTE

Rows have the form of recorded ones. Tries end at an even rate: their time alone says which ones are in a window, so
nothing is kept. Prints its port. `GET /polls` tells how often the active task instances were read.
"""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

RECORDED = Path(__file__).resolve().parents[1] / "tests/data/api/v2-3.3.2"
TASKS = 10
"""Tasks of each DAG."""
SLOTS = 8
"""Tasks that each worker runs."""
FAILING = 20
"""Every so many tries one fails."""
SECONDS = 60.0
"""How long a try runs."""
PAGE = 100
SMALL = {
    "/monitor/health": "health",
    "/version": "version",
    "/pools": "pools",
    "/jobs": "jobs",
    "/importErrors": "import_errors",
    "/dagWarnings": "dag_warnings",
    "/backfills": "backfills",
    "/assets": "assets",
}
"""Replies that do not grow with the Airflow: as recorded."""
Query = dict[str, list[str]]


class Size(NamedTuple):
    """An Airflow."""

    dags: int
    workers: int
    tries_per_minute: int

    @property
    def running(self) -> int:
        """Task instances that run."""
        return self.workers * SLOTS


def record(name: str) -> Any:  # noqa: ANN401 - as sent
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))


def write_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def read_time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def make_token() -> str:
    """A token that is valid for a day."""
    now = int(time.time())
    parts = ({"alg": "HS512"}, {"sub": "1", "iat": now, "exp": now + 86_400})
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
    return ".".join([*encoded, "signature"])


class SimulatedApi:
    """The replies of the API."""

    def __init__(self, size: Size) -> None:
        self.size = size
        self.polls = 0
        self._dag = record("dags")["dags"][0]
        self._run = record("dag_runs_running")["dag_runs"][0]
        self._task = record("task_instances_running_queued")["task_instances"][0]
        self._small = {path: record(name) for path, name in SMALL.items()}

    def reply(self, path: str, query: Query) -> Any:  # noqa: ANN401 - as sent
        """The reply to a request, or None for HTTP 404."""
        path = path.removeprefix("/api/v2")
        if path == "/dags":
            return self._page(query, "dags", self.size.dags, self._make_dag)
        if path == "/dags/~/dagRuns/~/taskInstances":
            return self._list(query, "task_instances", self._make_running, self.size.running, self._make_ended, 1)
        if path == "/dags/~/dagRuns":
            runs = min(self.size.dags, self.size.running)
            return self._list(query, "dag_runs", self._make_active_run, runs, self._make_ended_run, TASKS)
        if path.endswith("/dagRuns"):
            return {"dag_runs": [], "total_entries": 0, "next_cursor": None}
        return self._small.get(path)

    def _list(
        self,
        query: Query,
        key: str,
        make_active: Callable[[int], Any],
        active: int,
        make_ended: Callable[[int], Any],
        every: int,
    ) -> Any:  # noqa: ANN401
        """Active rows, or those that ended in a window; one row ends with `every` tries."""
        if "running" in query.get("state", []):
            self.polls += key == "task_instances" and query.get("cursor") in (None, [""])
            return self._page(query, key, active, make_active)
        pace = self.size.tries_per_minute / 60.0 / every
        first = int(read_time(query["updated_at_gte"][0]) * pace) if "updated_at_gte" in query else 0
        last = int(min(time.time(), read_time(query.get("updated_at_lte", [write_time(time.time())])[0])) * pace)
        if "updated_at_gte" not in query:
            first = last
        return self._page(query, key, max(0, last - first), lambda number: make_ended((first + number) * every))

    def _page(self, query: Query, key: str, total: int, make: Callable[[int], Any]) -> Any:  # noqa: ANN401
        start = int((query.get("cursor") or query.get("offset") or ["0"])[0] or 0)
        end = min(total, start + min(PAGE, int(query.get("limit", ["50"])[0])))
        following = str(end) if end < total else None
        rows = [make(number) for number in range(start, end)]
        return {key: rows, "total_entries": total, "next_cursor": following, "previous_cursor": None}

    def _make_dag(self, number: int) -> Any:  # noqa: ANN401
        name = f"team_{number % 40}_pipeline_{number}"
        return self._dag | {"dag_id": name, "dag_display_name": name, "relative_fileloc": f"{name}.py"}

    def _make_task(self, number: int) -> Any:  # noqa: ANN401
        """A task instance: the DAGs in turn, then their next task, then the next run."""
        dag, turn = number % self.size.dags, number // self.size.dags
        return self._task | {
            "id": f"01a2078f-7a1b-7c90-a0cc-{number:012d}",
            "dag_id": f"team_{dag % 40}_pipeline_{dag}",
            "task_id": f"task_{turn % TASKS}",
            "dag_run_id": f"scheduled__{turn // TASKS}",
            "pool": f"pool_{dag % 20}",
            "queue": f"queue_{dag % 5}",
            "hostname": f"worker-{number % self.size.workers}",
        }

    def _make_running(self, number: int) -> Any:  # noqa: ANN401
        began = time.time() - number % SECONDS
        times = {"queued_when": write_time(began - 1), "scheduled_when": write_time(began - 2)}
        return self._make_task(number) | times | {"start_date": write_time(began), "state": "running"}

    def _make_ended(self, number: int) -> Any:  # noqa: ANN401
        ended = number * 60.0 / self.size.tries_per_minute
        times = {
            "queued_when": ended - SECONDS - 1,
            "scheduled_when": ended - SECONDS - 2,
            "start_date": ended - SECONDS,
        }
        return (
            self._make_task(number)
            | {name: write_time(seconds) for name, seconds in times.items()}
            | {"end_date": write_time(ended), "duration": SECONDS, "pid": 1 + number % 30_000}
            | {"state": "failed" if number % FAILING == 0 else "success"}
        )

    def _make_active_run(self, number: int) -> Any:  # noqa: ANN401
        began = write_time(time.time() - SECONDS)
        dag = f"team_{number % 40}_pipeline_{number}"
        return self._run | {"dag_id": dag, "dag_run_id": "scheduled__now", "start_date": began, "run_after": began}

    def _make_ended_run(self, number: int) -> Any:  # noqa: ANN401
        ended, dag = number * 60.0 / self.size.tries_per_minute, number % self.size.dags
        began = write_time(ended - 2 * SECONDS)
        return self._run | {
            "dag_id": f"team_{dag % 40}_pipeline_{dag}",
            "dag_run_id": f"scheduled__{number}",
            "start_date": began,
            "run_after": began,
            "end_date": write_time(ended),
            "state": "success",
        }


class ApiServer(ThreadingHTTPServer):
    """The web server of the simulation."""

    daemon_threads = True

    def __init__(self, simulation: SimulatedApi) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.simulation = simulation


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ApiServer

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path == "/polls":
            self._send(self.server.simulation.polls)
        else:
            self._send(self.server.simulation.reply(parts.path, parse_qs(parts.query, keep_blank_values=True)))

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._send({"access_token": make_token()}, 201)

    def _send(self, content: Any, status: int = 200) -> None:  # noqa: ANN401
        body = json.dumps({"detail": "Not Found"} if content is None else content).encode()
        self.send_response(404 if content is None else status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Nothing is logged."""


def read_size(arguments: list[str]) -> Size:
    dags, workers, tries = map(int, arguments)
    return Size(dags, workers, tries)


def main() -> None:
    with ApiServer(SimulatedApi(read_size(sys.argv[1:]))) as server:
        print(server.server_port, flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main()

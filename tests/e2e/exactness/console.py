"""What a user does to an Airflow by hand (pause, trigger, clear, mark, delete, backfill), by API v1 and v2."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import requests

from demo.airflow import Airflow
from demo.environment import release

TIMEOUT = 60.0
MAX_RETRY_SECONDS = 60.0


class Console:
    """An administrator's access to one Airflow, not through the proxy."""

    def __init__(self, airflow: Airflow) -> None:
        self._airflow = airflow
        self.is_3 = release(airflow.version) >= (3,)
        self._session = requests.Session()
        self._session.trust_env = False

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def pause_all(self, paused: bool) -> None:
        """Pause or unpause every DAG."""
        query = {"dag_id_pattern": "%" if self.is_3 else "~", "limit": "100"}
        self._call("PATCH", "dags", {"is_paused": paused}, query)

    def pause(self, dag_id: str, paused: bool) -> None:
        """Pause or unpause one DAG."""
        self._call("PATCH", f"dags/{_part(dag_id)}", {"is_paused": paused})

    def dag_ids(self) -> set[str]:
        """The DAGs that Airflow has found so far."""
        return {dag["dag_id"] for dag in self._call("GET", "dags", query={"limit": "100"})["dags"]}

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Trigger a run; returns its id."""
        body: dict[str, Any] = {"conf": dict(conf or {})}
        if self.is_3:
            body["logical_date"] = None
        return str(self._call("POST", f"dags/{_part(dag_id)}/dagRuns", body)["dag_run_id"])

    def clear(self, dag_id: str, run_id: str, tasks: Sequence[str], *, downstream: bool = False) -> None:
        """Clear tasks of a run, whatever their state."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": list(tasks),
            "only_failed": False,
            "only_running": False,
            "reset_dag_runs": True,
            "include_downstream": downstream,
        }
        self._call("POST", f"dags/{_part(dag_id)}/clearTaskInstances", body)

    def clear_by_command(self, dag_id: str, run_id: str, logical_date: str, tasks: Sequence[str]) -> None:
        """Clear tasks with Airflow's command line: the API of 2.x clears a running task only partly."""
        if self.is_3:  # 3.x has no such command
            self.clear(dag_id, run_id, tasks)
            return
        names = "^(" + "|".join(re.escape(task) for task in tasks) + ")$"
        span = ("--start-date", logical_date, "--end-date", logical_date)
        self._airflow.cli("tasks", "clear", "--yes", "--task-regex", names, *span, dag_id)

    def mark(self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int = -1) -> None:
        """Set the state of one task instance by hand."""
        where = f"dags/{_part(dag_id)}/dagRuns/{_part(run_id)}/taskInstances/{_part(task_id)}"
        mapped = f"/{map_index}" if map_index >= 0 else ""
        body: dict[str, Any] = {"new_state": state}
        if not self.is_3:
            body["dry_run"] = False
        self._call("PATCH", where + mapped, body)

    def mark_run(self, dag_id: str, run_id: str, state: str) -> None:
        """Set the state of a run by hand."""
        self._call("PATCH", f"dags/{_part(dag_id)}/dagRuns/{_part(run_id)}", {"state": state})

    def delete_run(self, dag_id: str, run_id: str) -> None:
        """Delete a run with all its task instances."""
        self._call("DELETE", f"dags/{_part(dag_id)}/dagRuns/{_part(run_id)}")

    def backfill(self, dag_id: str, first: str, last: str) -> None:
        """Create runs for past days; on 2.x this waits until they have ended."""
        if not self.is_3:
            self._airflow.cli("dags", "backfill", "--start-date", first, "--end-date", last, dag_id)
            return
        body = {
            "dag_id": dag_id,
            "from_date": f"{first}T00:00:00Z",
            "to_date": f"{last}T00:00:00Z",
            "run_backwards": False,
            "dag_run_conf": {},
            "reprocess_behavior": "none",
            "max_active_runs": 2,
        }
        self._call("POST", "backfills", body)

    def _call(self, method: str, path: str, body: Any = None, query: Mapping[str, str] | None = None) -> Any:
        """Send one request; repeat it while the server is unreachable or overloaded."""
        end = time.monotonic() + MAX_RETRY_SECONDS
        while True:
            try:
                reply = self._request(method, path, body, query)
            except requests.ConnectionError:
                if time.monotonic() > end:
                    raise
            else:
                if reply.status_code == 401:
                    self._session.headers.pop("Authorization", None)
                elif reply.status_code < 500 or time.monotonic() > end:
                    return _decoded(reply)
            time.sleep(1)

    def _request(self, method: str, path: str, body: Any, query: Mapping[str, str] | None) -> requests.Response:
        url = f"{self._airflow.url}/api/{'v2' if self.is_3 else 'v1'}/{path}"
        if self.is_3 and "Authorization" not in self._session.headers:
            self._session.headers["Authorization"] = f"Bearer {self._token()}"
        credentials = None if self.is_3 else ("admin", self._airflow.password)
        return self._session.request(method, url, json=body, params=query, auth=credentials, timeout=TIMEOUT)

    def _token(self) -> str:
        body = {"username": "admin", "password": self._airflow.password}
        reply = self._session.post(f"{self._airflow.url}/auth/token", json=body, timeout=TIMEOUT)
        reply.raise_for_status()
        return str(reply.json()["access_token"])


def _part(text: str) -> str:
    """A part of a URL's path, with every special character of the id quoted."""
    return quote(text, safe="")


def _decoded(reply: requests.Response) -> Any:
    if not reply.ok:
        message = f"{reply.request.method} {reply.url}: {reply.status_code} {reply.text[:300]}"
        raise requests.HTTPError(message, response=reply)
    return reply.json() if reply.content else None

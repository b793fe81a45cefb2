"""Alerts as Prometheus hands them over, and waiting for what becomes of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from tests.alertmanager.server import Inbox, Notice

PATIENCE = 30.0
SETTLED = 4.0
"""Seconds in which a hurried Alertmanager would have sent what else it had to send."""
NOTES = {
    "summary": "A DAG is late.",
    "description": "The run of 03:00 is late.",
    "runbook_url": "https://example.org/runbooks/AirflowDagLate.md",
    "dashboard_url": "https://grafana.example.org/d/airflow-dag",
    "dag_url": "https://airflow.example.org/dags/sales",
}


def make_alert(name: str, **labels: str) -> dict[str, Any]:
    return {"labels": {"alertname": name, "airflow": "production", **labels}, "annotations": NOTES}


def wait_for(done: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < end, "nothing came"
        time.sleep(0.1)


def notices_of(inbox: Inbox, name: str) -> list[Notice]:
    return [notice for notice in inbox.notices() if name in notice.names()]

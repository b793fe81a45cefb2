"""What is wrong now, why, and what to change: waits, blocked DAGs, failures, retries."""

from __future__ import annotations

from grafana.boards.kit.annotation import CHANGES
from grafana.boards.kit.dashboard import Dashboard
from grafana.boards.kit.variable import AIRFLOW_URL, COMMON, OWNER, RUNBOOKS, TAG
from grafana.boards.rows.diagnosis import BLOCKED_ROW, NOW_ROW, WAITS_ROW
from grafana.boards.rows.expenses import COSTS_ROW
from grafana.boards.rows.failures import FAILURES_ROW, RETRIES_ROW
from grafana.boards.rows.pods import PENDING_ROW

DASHBOARD = Dashboard(
    "airflow-diagnosis",
    "Airflow / Diagnosis",
    "What is wrong now, why, and which setting to change.",
    (*COMMON, OWNER, TAG, AIRFLOW_URL, RUNBOOKS),
    [NOW_ROW, WAITS_ROW, BLOCKED_ROW, FAILURES_ROW, RETRIES_ROW, COSTS_ROW, PENDING_ROW],
    CHANGES,
)

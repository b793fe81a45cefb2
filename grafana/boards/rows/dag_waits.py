"""What a DAG waits for besides slots: people who approve."""

from __future__ import annotations

from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import Stat, TimeSeries
from grafana.boards.kit.panel import NEUTRAL, Query
from grafana.boards.kit.promql import DAG, ago, one, total

NO_APPROVAL = "none waits"
WAITS = Row(
    "Approvals",
    [
        TimeSeries(
            "Pending approvals",
            "Task instances that wait for a person to approve or answer (human in the loop, Airflow 3.1 and"
            " later). Answer them under Required Actions in Airflow. Source: API.",
            Query(total(one("airflow_pending_approvals", **DAG)), "pending"),
        )
        .unit("short")
        .decimals(0)
        .size(8)
        .no_value(NO_APPROVAL),
        Stat(
            "Longest-waiting approval",
            "Time since the oldest approval that still waits was requested. Source: API.",
            ago("airflow_pending_approval_oldest_created_timestamp_seconds", **DAG),
        )
        .unit("s")
        .decimals(0)
        .thresholds(NEUTRAL)
        .size(4)
        .no_value(NO_APPROVAL),
    ],
)

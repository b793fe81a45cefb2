"""What a DAG waits for besides slots: assets that schedule it, and people who approve."""

from __future__ import annotations

from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import Stat, TimeSeries
from grafana.boards.kit.panel import GREY, NEUTRAL, Query
from grafana.boards.kit.promql import DAG, ago, one, pick, total
from grafana.boards.kit.table import Column, Key, Table

NO_APPROVAL = "none waits"
NO_ASSET = "no asset schedules it"
NEVER = {"0": ("never", GREY)}
SCHEDULE = f"max by(asset) ({pick('airflow_dag_schedule_asset_info', **DAG)})"
WAITS = Row(
    "Assets and approvals",
    [
        TimeSeries(
            "Queued asset events",
            "Assets that were updated since the DAG's last run, and the assets that schedule it. Below the"
            " line the DAG waits for the others. Source: API.",
            Query(f"max({pick('airflow_dag_queued_asset_events', **DAG)})", "updated"),
            Query(f"count({SCHEDULE})", "needed"),
        )
        .unit("short")
        .decimals(0)
        .limit_line("needed")
        .size(8)
        .no_value(NO_ASSET),
        Table(
            "Assets of the schedule",
            "The assets that schedule the DAG, the one it waits for longest first: when each was updated."
            " Airflow 2 calls them datasets. Source: API.",
            {"asset": Key("Asset")},
            [
                Column(
                    "Last event",
                    f"1000 * max by(asset) ({pick('airflow_asset_last_event_timestamp_seconds')})"
                    f" and on(asset) {SCHEDULE} or 0 * {SCHEDULE}",
                    "dateTimeFromNow",
                    mappings=NEVER,
                    width=140,
                ),
            ],
        )
        .sort_by("Last event", ascending=True)
        .size(8, 8)
        .no_value(NO_ASSET),
        Stat(
            "Oldest queued event",
            "Time since the oldest asset event that is queued for the DAG was queued: so long it has been"
            " waiting for its other assets. Source: API.",
            ago("airflow_dag_queued_asset_event_oldest_created_timestamp_seconds", **DAG),
        )
        .unit("s")
        .decimals(0)
        .thresholds(NEUTRAL)
        .size(8)
        .no_value("none is queued"),
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

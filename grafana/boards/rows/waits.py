"""What tasks wait for, by the diagnosis; and what a DAG waits for besides slots: assets, and people who approve."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import Stat, TimeSeries
from grafana.boards.kit.panel import GREY, NEUTRAL, NO_API, Query
from grafana.boards.kit.promql import DAG, age, ago, increase, one, pick, rate, total
from grafana.boards.kit.table import Column, Key, Table

SETTING = f"topk by(reason) (1, max by(reason, setting) ({one('airflow_reason_info')}))"
SINCE = one("airflow_object_waiting_since_timestamp_seconds")


def with_setting(family: str) -> str:
    """A gauge by reason and object, with the setting that changes the reason."""
    return f"max by(reason, object) ({one(family)}) * on(reason) group_left(setting) {SETTING}"


TASK_WAITS = Row(
    "Why tasks wait",
    [
        Table(
            "What stands in the way",
            "Task instances that wait, by the first of the scheduler's checks that they do not pass, and the pool, DAG,"
            " task, queue or executor that stops them. Setting: what to change; Try: a value with which all of it could"
            " start, at most twice the limit. Source: API.",
            {"reason": Key("Reason"), "object": Key("Object"), "setting": Key("Setting", wrap=True)},
            [
                Column("Waiting", with_setting("airflow_object_waiting_task_instances"), decimals=0, width=110),
                Column("In use", with_setting("airflow_object_limit_used"), decimals=0, width=90),
                Column("Limit", with_setting("airflow_object_limit"), decimals=0, width=90),
                Column("Try", with_setting("airflow_object_suggested_limit"), decimals=0, width=90),
                Column(
                    "Longest wait",
                    age(f"(time() - max by(reason, object) ({SINCE})) * on(reason) group_left(setting) {SETTING}"),
                    "s",
                    decimals=0,
                    width=130,
                ),
            ],
        )
        .sort_by("Waiting")
        .size(24, 7)
        .no_value("nothing waits"),
        TimeSeries(
            "Waiting task instances, by reason",
            "Each waiting task instance has one reason. Source: API.",
            Query(total(one("airflow_waiting_task_instances"), "reason"), "{{reason}}"),
        )
        .unit("short")
        .decimals(0)
        .stacked()
        .no_value("nothing waits"),
        TimeSeries(
            "Queued runs, by reason",
            "Each queued DAG run has one reason why it is not started. Source: API.",
            Query(total(one("airflow_waiting_dag_runs"), "reason"), "{{reason}}"),
        )
        .unit("short")
        .decimals(0)
        .stacked()
        .no_value("no run waits"),
        TimeSeries(
            "Waiting time per second, by reason",
            "Seconds that task instances waited in each second: 5 means that five waited all the time. Source: API.",
            Query(total(rate("airflow_waited_seconds_total"), "reason"), "{{reason}}"),
        )
        .unit("short")
        .stacked()
        .no_value(NO_API),
        Table(
            "Who holds the limits",
            "DAGs that hold most of each pool, executor or task that others wait for. Source: API.",
            {
                "dag_id": Key("DAG", [link.DAG_OF_ROW, link.DAG_IN_AIRFLOW]),
                "reason": Key("Reason"),
                "object": Key("Object"),
            },
            [
                Column(
                    "Held",
                    f"max by(dag_id, reason, object) ({one('airflow_object_held')})",
                    decimals=0,
                    width=90,
                )
            ],
        )
        .size(12, 8)
        .no_value("nothing waits"),
        Table(
            "What waiting has cost",
            "Time waited for each object over the selected time range, all task instances added up. Raise first what"
            " has cost most, if the machines have room. Source: API.",
            {"reason": Key("Reason"), "object": Key("Object")},
            [
                Column(
                    "Waited",
                    f"topk(20, {total(increase('airflow_object_waited_seconds_total'), 'reason', 'object')})",
                    "s",
                    decimals=0,
                    width=140,
                )
            ],
        )
        .sort_by("Waited")
        .size(24, 8)
        .no_value(NO_API),
    ],
)

NO_APPROVAL = "none waits"
NO_ASSET = "no asset schedules it"
NEVER = {"0": ("never", GREY)}
ASSETS_OF_DAG = f"max by(asset) ({pick('airflow_dag_schedule_asset_info', **DAG)})"
DAG_WAITS = Row(
    "Assets and approvals",
    [
        TimeSeries(
            "Queued asset events",
            "Assets that were updated since the DAG's last run, and the assets that schedule it. Below the"
            " line the DAG waits for the others. Source: API.",
            Query(f"max({pick('airflow_dag_queued_asset_events', **DAG)})", "updated"),
            Query(f"count({ASSETS_OF_DAG})", "needed"),
        )
        .unit("short")
        .decimals(0)
        .limit_line("needed")
        .size(10)
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
                    f" and on(asset) {ASSETS_OF_DAG} or 0 * {ASSETS_OF_DAG}",
                    "dateTimeFromNow",
                    mappings=NEVER,
                    width=140,
                ),
            ],
        )
        .sort_by("Last event", ascending=True)
        .size(10, 8)
        .no_value(NO_ASSET),
        Stat(
            "Oldest queued event",
            "Time since the oldest asset event that is queued for the DAG was queued: how long it has"
            " been waiting for its other assets. Source: API.",
            ago("airflow_dag_queued_asset_event_oldest_created_timestamp_seconds", **DAG),
        )
        .unit("s")
        .decimals(0)
        .thresholds(NEUTRAL)
        .size(4, 8)
        .no_value("none is queued"),
        TimeSeries(
            "Pending approvals",
            "Task instances that wait for a person to approve or answer (human in the loop, Airflow 3.1 and"
            " later). Answer them under Required Actions in Airflow. Source: API.",
            Query(total(one("airflow_pending_approvals", **DAG)), "pending"),
        )
        .unit("short")
        .decimals(0)
        .size(20)
        .no_value(NO_APPROVAL),
        Stat(
            "Longest-waiting approval",
            "Time since the oldest approval that still waits was requested. Source: API.",
            ago("airflow_pending_approval_oldest_created_timestamp_seconds", **DAG),
        )
        .unit("s")
        .decimals(0)
        .thresholds(NEUTRAL)
        .size(4, 8)
        .no_value(NO_APPROVAL),
    ],
)

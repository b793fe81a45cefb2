"""Why tasks wait: the reasons of the diagnosis, the objects that they name, and what each has cost."""

from __future__ import annotations

from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import TimeSeries
from grafana.boards.kit.panel import NO_API, Query
from grafana.boards.kit.promql import age, increase, one, rate, total
from grafana.boards.kit.table import Column, Key, Table

WAITING = f"max by(reason, object) ({one('airflow_object_waiting_task_instances')})"
SETTING = f"max by(reason, setting) ({one('airflow_reason_info')})"
SINCE = one("airflow_object_waiting_since_timestamp_seconds")

WAITS = Row(
    "Why tasks wait",
    [
        Table(
            "What stands in the way",
            "Task instances that wait, by the first of the scheduler's checks that they do not pass, and the pool, DAG,"
            " task, queue or executor that stops them. Setting: what to change. The page /diagnosis of the exporter"
            " shows limits, holders and a value to try. Source: API.",
            {"reason": Key("Reason"), "object": Key("Object"), "setting": Key("Setting")},
            [
                Column("Waiting", f"{WAITING} * on(reason) group_left(setting) {SETTING}", decimals=0, width=110),
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
        .size(12, 8)
        .no_value(NO_API),
    ],
)

"""The triggerer: its capacity, and what becomes of triggers."""

from __future__ import annotations

from grafana.boards.kit.dashboard import Row
from grafana.boards.kit.draw import Stat, TimeSeries
from grafana.boards.kit.panel import (
    BLUE,
    GREEN,
    NEUTRAL,
    NO_API,
    NO_STATSD,
    ORANGE,
    Query,
    rising,
)
from grafana.boards.kit.promql import API_READ, age, heard, or_zero, pick
from grafana.boards.kit.states import STATES

FULL = rising(0.8, 1)
TRIGGERER = Row(
    "Triggerer",
    [
        Stat(
            "Triggerer's heartbeat",
            "How old its newest heartbeat is. After 30 seconds Airflow calls it unhealthy.",
            age(pick("airflow_component:heartbeat:age_seconds", component="triggerer")),
        )
        .unit("s")
        .decimals(0)
        .thresholds(rising(30, 120))
        .size(6)
        .no_value("no triggerer"),
        Stat(
            "Capacity in use",
            "Triggers that run, of those that all triggerers together may run.",
            pick("airflow:triggerer_used:ratio"),
        )
        .unit("percentunit")
        .decimals(0)
        .thresholds(FULL)
        .size(6)
        .no_value("no triggerer"),
        Stat(
            "Deferred",
            "Task instances that are deferred. Many more than running triggers: the triggerer does not keep up.",
            or_zero(f"sum({pick('airflow:task_instances:sum', state='deferred')})", API_READ),
        )
        .unit("short")
        .decimals(0)
        .thresholds(NEUTRAL)
        .size(6)
        .no_value(NO_API),
        Stat(
            "Triggers that run",
            "Triggers that all triggerers run together (StatsD).",
            f"sum({pick('airflow_triggerer:running_triggers:max')})",
        )
        .unit("short")
        .decimals(0)
        .thresholds(NEUTRAL)
        .size(6)
        .no_value(NO_STATSD),
        TimeSeries(
            "Triggers by triggerer",
            "Triggers that each triggerer runs (StatsD).",
            Query(pick("airflow_triggerer:running_triggers:max"), "{{hostname}}"),
        )
        .unit("short")
        .decimals(0)
        .no_value(NO_STATSD),
        TimeSeries(
            "Capacity in use by triggerer",
            "Triggers that each triggerer runs, of those that it may run (StatsD).",
            Query(pick("airflow_triggerer:used:ratio"), "{{hostname}}"),
        )
        .unit("percentunit")
        .maximum(1)
        .no_value(NO_STATSD),
        TimeSeries(
            "What becomes of triggers, a minute",
            "Triggers that fired, that failed, and times that one held up all others of its triggerer (StatsD).",
            Query(heard("airflow_triggers_succeeded_total"), "fired"),
            Query(heard("airflow_triggers_failed_total"), "failed"),
            Query(heard("airflow_triggers_blocked_main_thread_total"), "held up others"),
        )
        .unit("short")
        .colors({"fired": STATES["success"], "failed": STATES["failed"], "held up others": ORANGE})
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "Deferred and rescheduled, a minute",
            "Times that tasks handed their wait to the triggerer, and that sensors gave up their slot until later"
            " (StatsD).",
            Query(heard("airflow_task_deferrals_total"), "deferred"),
            Query(heard("airflow_task_reschedules_total"), "rescheduled"),
        )
        .unit("short")
        .colors({"deferred": STATES["deferred"], "rescheduled": STATES["up_for_reschedule"]})
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "Assets, a minute",
            "Updates of assets, and the runs that they triggered (StatsD).",
            Query(heard("airflow_asset_updates_total"), "updates"),
            Query(heard("airflow_asset_triggered_dag_runs_total"), "runs triggered"),
        )
        .unit("short")
        .colors({"updates": BLUE, "runs triggered": GREEN})
        .size(8)
        .no_value(NO_STATSD),
    ],
)

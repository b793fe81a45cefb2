"""The triggerer: its capacity, and its triggers."""

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
from grafana.boards.kit.promql import API_READ, age, or_zero, pick, statsd_per_minute
from grafana.boards.kit.states import STATES

FULL = rising(0.8, 1)
TRIGGERER = Row(
    "Triggerer",
    [
        Stat(
            "Triggerer heartbeat",
            "Age of the newest heartbeat. Airflow calls the triggerer unhealthy after 30 seconds: check that"
            " it runs, and its log. Source: API.",
            age(pick("airflow_component:heartbeat:age_seconds", component="triggerer")),
        )
        .unit("s")
        .decimals(0)
        .thresholds(rising(30, 120))
        .size(6)
        .no_value("no triggerer"),
        Stat(
            "Triggerer capacity used",
            "Running triggers as a share of the capacity of all triggerers. At 100 % deferred tasks wait:"
            " add a triggerer or raise its capacity. Sources: API, StatsD.",
            pick("airflow:triggerer_used:ratio"),
        )
        .unit("percentunit")
        .decimals(0)
        .thresholds(FULL)
        .size(6)
        .no_value("no triggerer"),
        Stat(
            "Deferred",
            "Deferred task instances. If there are many more than running triggers, the triggerer does not"
            " keep up. Source: API.",
            or_zero(f"sum({pick('airflow:task_instances:sum', state='deferred')})", API_READ),
        )
        .unit("short")
        .decimals(0)
        .thresholds(NEUTRAL)
        .size(6)
        .no_value(NO_API),
        Stat(
            "Running triggers",
            "Triggers that all triggerers run together. Source: StatsD.",
            f"sum({pick('airflow_triggerer:running_triggers:max')})",
        )
        .unit("short")
        .decimals(0)
        .thresholds(NEUTRAL)
        .size(6)
        .no_value(NO_STATSD),
        TimeSeries(
            "Running triggers, by triggerer",
            "Triggers that each triggerer runs. Source: StatsD.",
            Query(pick("airflow_triggerer:running_triggers:max"), "{{hostname}}"),
        )
        .unit("short")
        .decimals(0)
        .no_value(NO_STATSD),
        TimeSeries(
            "Capacity used, by triggerer",
            "Running triggers of each triggerer as a share of its capacity. Source: StatsD.",
            Query(pick("airflow_triggerer:used:ratio"), "{{hostname}}"),
        )
        .unit("percentunit")
        .maximum(1)
        .no_value(NO_STATSD),
        TimeSeries(
            "Trigger events per minute",
            "Triggers that fired, that failed, and times that one blocked all others of its triggerer. A"
            " trigger that blocks has code that is not asynchronous. Source: StatsD.",
            Query(statsd_per_minute("airflow_triggers_succeeded_total"), "fired"),
            Query(statsd_per_minute("airflow_triggers_failed_total"), "failed"),
            Query(statsd_per_minute("airflow_triggers_blocked_main_thread_total"), "blocked others"),
        )
        .unit("short")
        .colors({"fired": STATES["success"], "failed": STATES["failed"], "blocked others": ORANGE})
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "Deferrals and reschedules per minute",
            "Times that tasks handed their wait to the triggerer, and that sensors gave up their slot until"
            " the next poke. Source: StatsD.",
            Query(statsd_per_minute("airflow_task_deferrals_total"), "deferred"),
            Query(statsd_per_minute("airflow_task_reschedules_total"), "rescheduled"),
        )
        .unit("short")
        .colors({"deferred": STATES["deferred"], "rescheduled": STATES["up_for_reschedule"]})
        .size(8)
        .no_value(NO_STATSD),
        TimeSeries(
            "Asset updates per minute",
            "Updates of assets, and the runs that they triggered. Source: StatsD.",
            Query(statsd_per_minute("airflow_asset_updates_total"), "updates"),
            Query(statsd_per_minute("airflow_asset_triggered_dag_runs_total"), "runs triggered"),
        )
        .unit("short")
        .colors({"updates": BLUE, "runs triggered": GREEN})
        .size(8)
        .no_value(NO_STATSD),
    ],
)

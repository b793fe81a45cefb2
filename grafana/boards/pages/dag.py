"""One DAG: outcome, duration and delay of its runs, and the tasks that cause them."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.annotation import CHANGES, failed_runs
from grafana.boards.kit.dashboard import Dashboard, Row
from grafana.boards.kit.draw import Stat, TimeSeries
from grafana.boards.kit.panel import (
    BLUE,
    GREEN,
    GREY,
    NEUTRAL,
    NO_API,
    ORANGE,
    RED,
    YELLOW,
    Query,
    rising,
)
from grafana.boards.kit.promql import API_READ, DAG, age, ago, one, or_zero, pick, quantile, rate, total
from grafana.boards.kit.states import PERCENTILES, STATES
from grafana.boards.kit.table import Column, Key, Table
from grafana.boards.kit.variable import AIRFLOW_URL, COMMON, DAG_ID, EXPORTER_URL, OWNER, TAG
from grafana.boards.rows.costs import DAG_COSTS
from grafana.boards.rows.dag_tasks import TASKS
from grafana.boards.rows.dag_usage import RESOURCES
from grafana.boards.rows.waits import DAG_WAITS

MINUTE, HOUR = 60, 3600
DUE = {"0": ("due", BLUE)}
STATE_TEXT = {"1": ("paused", YELLOW), "0": ("active", GREEN)}


NOW = Row(
    "Now",
    [
        Stat(
            "Last run",
            "State of the newest finished run, without backfills. Source: API.",
            Query(f"max by(state) ({pick('airflow_dag_last_run_state', **DAG)}) == 1", "{{state}}"),
        )
        .unit("none")
        .show_name()
        .colors(STATES)
        .no_value("none yet"),
        Stat(
            "Since last success",
            "Time since the last successful run, without backfills. Source: API.",
            ago("airflow_dag_last_success_timestamp_seconds", **DAG),
        )
        .unit("s")
        .decimals(0)
        .thresholds(NEUTRAL)
        .no_value("none yet"),
        Stat(
            "Consecutive failures",
            "Runs that failed since the last successful one. From 1 on, look at Tasks below for the task"
            " that fails. Source: API.",
            f"max({pick('airflow_dag_consecutive_failed_runs', **DAG)})",
        )
        .unit("none")
        .thresholds(rising(1, 3))
        .no_value("none yet"),
        Stat(
            "Oldest unfinished run",
            "Time since the oldest unfinished scheduled run became due. If it grows, a task hangs or cannot"
            " start. Source: API.",
            age(f"max({pick('airflow_dag:dag_run_oldest_unfinished:age_seconds', **DAG)})"),
        )
        .unit("s")
        .decimals(0)
        .thresholds(rising(HOUR, 6 * HOUR))
        .no_value("none"),
        Stat(
            "Usage of max_active_runs",
            "Queued and running runs as a share of max_active_runs, without backfills. At 100 % the next run"
            " waits. Source: API.",
            or_zero(f"max({pick('airflow_dag:active_runs:ratio', **DAG)})", API_READ),
        )
        .unit("percentunit")
        .decimals(0)
        .thresholds(((None, GREEN), (1, YELLOW)))
        .no_value(NO_API),
        Stat(
            "Next run in",
            "Time until the next scheduled run may be created. Due: the scheduler creates it in one of its"
            " next loops. A paused DAG, and a DAG at max_active_runs, stays due. Source: API.",
            age(f"max({pick('airflow_dag_next_run_timestamp_seconds', **DAG)}) - time()"),
        )
        .unit("s")
        .decimals(0)
        .thresholds(NEUTRAL)
        .value_mappings(DUE)
        .no_value("no schedule"),
        Table(
            "DAG details",
            "Owners, tags, schedule and file of the DAG, whether it is paused, and when its last run"
            " finished. Source: API.",
            {
                "owners": Key("Owners"),
                "tags": Key("Tags"),
                "schedule": Key("Schedule"),
                "bundle": Key("Bundle"),
                "file": Key("File"),
            },
            [
                Column(
                    "State",
                    f"max by(owners, tags, schedule, bundle, file) ({pick('airflow_dag_info', **DAG)})"
                    f" * scalar(max({pick('airflow_dag_paused', **DAG)}))",
                    mappings=STATE_TEXT,
                    width=90,
                ),
                Column(
                    "Last run finished",
                    f"1000 * max by(owners, tags, schedule, bundle, file) ({pick('airflow_dag_info', **DAG)})"
                    f" * scalar(max({pick('airflow_dag_last_run_end_timestamp_seconds', **DAG)}))",
                    "dateTimeFromNow",
                    width=140,
                ),
            ],
        )
        .sort_by("State")
        .size(16, 5)
        .no_value(NO_API),
        Stat(
            "Data freshness",
            "Time since the end of the newest data interval with a successful run: data up to then is"
            " complete. Source: API.",
            ago("airflow_dag_last_success_data_interval_end_timestamp_seconds", **DAG),
        )
        .unit("s")
        .decimals(0)
        .thresholds(NEUTRAL)
        .size(height=5)
        .no_value("unknown"),
        Stat(
            "Parse time",
            "How long the DAG's file took to parse, last time. Slow files delay all DAGs: move work out of"
            " the top level of the file. Source: API.",
            f"max({pick('airflow_dag_parse_duration_seconds', **DAG)})",
        )
        .unit("s")
        .thresholds(rising(10, 30))
        .size(height=5)
        .no_value("Airflow 3 only"),
    ],
)
RUNS = Row(
    "Runs",
    [
        TimeSeries(
            "Finished runs per hour",
            "Finished runs per hour, by final state. Sources: API, StatsD.",
            Query(f"3600 * {total(rate('airflow_dag_runs_finished_total', **DAG), 'state')}", "{{state}}"),
        )
        .unit("short")
        .bars()
        .colors(STATES)
        .no_value("no run finished"),
        TimeSeries(
            "Run duration",
            "Duration of successful runs from start to end; p50 is the median. Compare with p95 of the last"
            " week. Sources: API, StatsD.",
            Query(quantile(0.5, "airflow_dag_run_duration_seconds", **DAG), "p50"),
            Query(quantile(0.95, "airflow_dag_run_duration_seconds", **DAG), "p95"),
            Query(
                pick("airflow_dag:dag_run_duration_seconds:quantile1w", quantile="0.95", **DAG),
                "p95, last week",
            ),
        )
        .unit("s")
        .sparse()
        .colors(PERCENTILES)
        .no_value("no run succeeded"),
        TimeSeries(
            "Run delay (p95)",
            "Time from when a scheduled run was due until it started and finished. Cleared runs are left"
            " out. A late start: look at Concurrency and pools. Sources: API, StatsD.",
            Query(quantile(0.95, "airflow_dag_run_schedule_delay_seconds", **DAG), "until start"),
            Query(quantile(0.95, "airflow_dag_run_since_run_after_seconds", **DAG), "until finish"),
        )
        .unit("s")
        .sparse()
        .size(8)
        .no_value("no scheduled run finished"),
        TimeSeries(
            "Active runs",
            "Queued and running runs, and max_active_runs. Source: API.",
            Query(total(one("airflow_dag_runs", **DAG), "state"), "{{state}}"),
            Query(f"max({pick('airflow_dag_max_active_runs', **DAG)})", "max_active_runs"),
        )
        .unit("short")
        .decimals(0)
        .colors(STATES)
        .limit_line("max_active_runs")
        .size(8)
        .no_value(NO_API),
        TimeSeries(
            "Deadlines and SLAs per hour",
            "Deadlines that were set, met and missed (Airflow 3.1 and later), and missed SLAs of tasks"
            " (Airflow 2). Source: StatsD.",
            Query(f"3600 * {total(rate('airflow_deadlines_created_total', **DAG))}", "set"),
            Query(f"3600 * {total(rate('airflow_deadlines_met_total', **DAG))}", "met"),
            Query(f"3600 * {total(rate('airflow_deadlines_missed_total', **DAG))}", "missed"),
            Query(f"3600 * {total(rate('airflow_sla_missed_total', **DAG))}", "SLAs missed"),
        )
        .unit("short")
        .bars()
        .colors({"set": GREY, "met": GREEN, "missed": RED, "SLAs missed": ORANGE})
        .size(8)
        .no_value("no deadline, or needs StatsD"),
    ],
)
DASHBOARD = Dashboard(
    "airflow-dag",
    "Airflow / DAG",
    "One DAG: outcome, duration and delay of its runs, and the tasks that cause them.",
    (*COMMON, OWNER, TAG, DAG_ID, AIRFLOW_URL, EXPORTER_URL),
    [NOW, RUNS, TASKS, DAG_COSTS, DAG_WAITS, RESOURCES],
    (*CHANGES, failed_runs(shown=True, **DAG)),
    [
        link.failed_log("${dag_id:percentencode}"),
        link.airflow("DAG in Airflow", "/dags/${dag_id:percentencode}"),
    ],
    time_from="now-24h",
)

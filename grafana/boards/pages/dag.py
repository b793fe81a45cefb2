"""One DAG: how its runs end, how long they take, how late they are, and which of its tasks are the reason."""

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
from grafana.boards.kit.variable import AIRFLOW_URL, COMMON, DAG_ID
from grafana.boards.rows.dag_tasks import TASKS
from grafana.boards.rows.dag_usage import RESOURCES

MINUTE, HOUR = 60, 3600
DUE = {"0": ("due", BLUE)}
STATE_TEXT = {"1": ("paused", YELLOW), "0": ("active", GREEN)}


NOW = Row(
    "Now",
    [
        Stat(
            "Last run",
            "How the DAG's newest finished run ended; backfills are left out.",
            Query(f"max by(state) ({pick('airflow_dag_last_run_state', **DAG)}) == 1", "{{state}}"),
        )
        .unit("none")
        .show_name()
        .colors(STATES)
        .no_value("none yet"),
        Stat(
            "Since last success",
            "How long ago a run last succeeded; backfills are left out.",
            ago("airflow_dag_last_success_timestamp_seconds", **DAG),
        )
        .unit("s")
        .decimals(0)
        .thresholds(NEUTRAL)
        .no_value("none yet"),
        Stat(
            "Failed in a row",
            "Runs that failed since the last success.",
            f"max({pick('airflow_dag_consecutive_failed_runs', **DAG)})",
        )
        .unit("none")
        .thresholds(rising(1, 3))
        .no_value("none yet"),
        Stat(
            "Oldest unfinished run",
            "How long the scheduled run that has been wanted longest has been: due, and not ended yet.",
            age(f"max({pick('airflow_dag:dag_run_oldest_unfinished:age_seconds', **DAG)})"),
        )
        .unit("s")
        .decimals(0)
        .thresholds(rising(HOUR, 6 * HOUR))
        .no_value("none is open"),
        Stat(
            "Active runs of those allowed",
            "Runs that are queued or running, of max_active_runs; at 100 % the next run waits. Backfills are left out.",
            or_zero(f"max({pick('airflow_dag:active_runs:ratio', **DAG)})", API_READ),
        )
        .unit("percentunit")
        .decimals(0)
        .thresholds(((None, GREEN), (1, YELLOW)))
        .no_value(NO_API),
        Stat(
            "Until the next run",
            "How long until the next scheduled run may be created. Due: the scheduler creates it in its next loops;"
            " a paused DAG, and one at its limit of runs, stays due.",
            age(f"max({pick('airflow_dag_next_run_timestamp_seconds', **DAG)}) - time()"),
        )
        .unit("s")
        .decimals(0)
        .thresholds(NEUTRAL)
        .value_mappings(DUE)
        .no_value("no schedule"),
        Table(
            "About this DAG",
            "What Airflow says of the DAG.",
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
                    "Last run ended",
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
            "Age of complete data",
            "How long ago the newest data interval ended whose run succeeded: the data are complete up to then.",
            ago("airflow_dag_last_success_data_interval_end_timestamp_seconds", **DAG),
        )
        .unit("s")
        .decimals(0)
        .thresholds(NEUTRAL)
        .size(height=5)
        .no_value("not known"),
        Stat(
            "Time to parse",
            "How long the DAG's file took to parse, the last time.",
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
            "Runs that end, an hour",
            "How many runs end, by the state they end in.",
            Query(f"3600 * {total(rate('airflow_dag_runs_finished_total', **DAG), 'state')}", "{{state}}"),
        )
        .unit("short")
        .bars()
        .colors(STATES)
        .no_value("no run ended"),
        TimeSeries(
            "How long runs take",
            "Of runs that succeeded, from their start to their end: p50 is the median.",
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
            "How late scheduled runs start and end",
            "95 of 100 scheduled runs start and end no later than this after they were due; cleared runs are left out.",
            Query(quantile(0.95, "airflow_dag_run_schedule_delay_seconds", **DAG), "start"),
            Query(quantile(0.95, "airflow_dag_run_since_run_after_seconds", **DAG), "end"),
        )
        .unit("s")
        .sparse()
        .size(8)
        .no_value("no scheduled run ended"),
        TimeSeries(
            "Active runs",
            "Runs that are queued or running, and how many may be.",
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
            "Deadlines and SLAs, an hour",
            "Deadlines of runs that were set, kept and missed (Airflow 3.1 and later), and SLAs of tasks that were"
            " missed (Airflow 2), by StatsD.",
            Query(f"3600 * {total(rate('airflow_deadlines_created_total', **DAG))}", "set"),
            Query(f"3600 * {total(rate('airflow_deadlines_met_total', **DAG))}", "kept"),
            Query(f"3600 * {total(rate('airflow_deadlines_missed_total', **DAG))}", "missed"),
            Query(f"3600 * {total(rate('airflow_sla_missed_total', **DAG))}", "SLA missed"),
        )
        .unit("short")
        .bars()
        .colors({"set": GREY, "kept": GREEN, "missed": RED, "SLA missed": ORANGE})
        .size(8)
        .no_value("no deadline, or needs StatsD"),
    ],
)
DASHBOARD = Dashboard(
    "airflow-dag",
    "Airflow / DAG",
    "One DAG: how its runs end, how long they take, how late they are, and which of its tasks are the reason.",
    (*COMMON, DAG_ID, AIRFLOW_URL),
    [NOW, RUNS, TASKS, RESOURCES],
    (*CHANGES, failed_runs(shown=True, **DAG)),
    [link.airflow("This DAG in Airflow", "/dags/${dag_id:percentencode}")],
    since="now-24h",
)

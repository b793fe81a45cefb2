"""One DAG: how its runs end, how long they take, how late they are, and which of its tasks are the reason."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.annotation import CHANGES, failed_runs
from grafana.boards.kit.dashboard import Dashboard, Row
from grafana.boards.kit.draw import graph, stat
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
    colored,
    mapping,
    rising,
)
from grafana.boards.kit.promql import API_READ, DAG, age, ago, one, or_zero, pick, quantile, rate, total
from grafana.boards.kit.states import QUANTILES, RESULTS, STATES, ceiling
from grafana.boards.kit.table import Column, Key, table
from grafana.boards.kit.variable import AIRFLOW_URL, COMMON, DAG_ID
from grafana.boards.rows.dag_tasks import TASKS
from grafana.boards.rows.dag_usage import RESOURCES

MINUTE, HOUR = 60, 3600
DUE = mapping({"0": ("due", BLUE)})
STATE_TEXT = mapping({"1": ("paused", YELLOW), "0": ("active", GREEN)})


NOW = Row(
    "Now",
    [
        stat(
            "Last run",
            "How the DAG's newest finished run ended; backfills are left out.",
            Query(f"max by(state) ({pick('airflow_dag_last_run_state', **DAG)}) == 1", "{{state}}"),
            "none",
            overrides=colored({"failed": RED, "success": GREEN}),
            text="name",
            no_value="none yet",
        ),
        stat(
            "Since last success",
            "How long ago a run last succeeded; backfills are left out.",
            ago("airflow_dag_last_success_timestamp_seconds", **DAG),
            "s",
            steps=NEUTRAL,
            decimals=0,
            no_value="none yet",
        ),
        stat(
            "Failed in a row",
            "Runs that failed since the last success.",
            f"max({pick('airflow_dag_consecutive_failed_runs', **DAG)})",
            "none",
            steps=rising(1, 3),
            no_value="none yet",
        ),
        stat(
            "Oldest unfinished run",
            "How long the scheduled run that has been wanted longest has been: due, and not ended yet.",
            age(f"max({pick('airflow_dag:dag_run_oldest_unfinished:age_seconds', **DAG)})"),
            "s",
            steps=rising(HOUR, 6 * HOUR),
            decimals=0,
            no_value="none is open",
        ),
        stat(
            "Active runs of those allowed",
            "Runs that are queued or running, of max_active_runs; at 100 % the next run waits. Backfills are left out.",
            or_zero(f"max({pick('airflow_dag:active_runs:ratio', **DAG)})", API_READ),
            "percentunit",
            steps=((None, GREEN), (1, YELLOW)),
            decimals=0,
            no_value=NO_API,
        ),
        stat(
            "Until the next run",
            "How long until the next scheduled run may be created. Due: the scheduler creates it in its next loops;"
            " a paused DAG, and one at its limit of runs, stays due.",
            age(f"max({pick('airflow_dag_next_run_timestamp_seconds', **DAG)}) - time()"),
            "s",
            decimals=0,
            steps=NEUTRAL,
            mappings=DUE,
            no_value="no schedule",
        ),
        table(
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
            sort="State",
            width=16,
            height=5,
            no_value=NO_API,
        ),
        stat(
            "Age of complete data",
            "How long ago the newest data interval ended whose run succeeded: the data are complete up to then.",
            ago("airflow_dag_last_success_data_interval_end_timestamp_seconds", **DAG),
            "s",
            decimals=0,
            height=5,
            steps=NEUTRAL,
            no_value="not known",
        ),
        stat(
            "Time to parse",
            "How long the DAG's file took to parse, the last time.",
            f"max({pick('airflow_dag_parse_duration_seconds', **DAG)})",
            "s",
            height=5,
            steps=rising(10, 30),
            no_value="Airflow 3 only",
        ),
    ],
)
RUNS = Row(
    "Runs",
    [
        graph(
            "Runs that end, an hour",
            "How many runs end, by the state they end in.",
            Query(f"3600 * {total(rate('airflow_dag_runs_finished_total', **DAG), 'state')}", "{{state}}"),
            "short",
            sparse=True,
            stacked=True,
            bars=True,
            overrides=RESULTS,
            no_value="no run ended",
        ),
        graph(
            "How long runs take",
            "Of runs that succeeded, from their start to their end: half take no longer than the median.",
            [
                Query(quantile(0.5, "airflow_dag_run_duration_seconds", **DAG), "median"),
                Query(quantile(0.95, "airflow_dag_run_duration_seconds", **DAG), "95 of 100"),
                Query(
                    pick("airflow_dag:dag_run_duration_seconds:quantile1w", quantile="0.95", **DAG),
                    "95 of 100, last week",
                ),
            ],
            "s",
            sparse=True,
            overrides=QUANTILES,
            no_value="no run succeeded",
        ),
        graph(
            "How late scheduled runs start and end",
            "95 of 100 scheduled runs start and end no later than this after they were due; cleared runs are left out.",
            [
                Query(quantile(0.95, "airflow_dag_run_schedule_delay_seconds", **DAG), "start"),
                Query(quantile(0.95, "airflow_dag_run_since_run_after_seconds", **DAG), "end"),
            ],
            "s",
            width=8,
            sparse=True,
            no_value="no scheduled run ended",
        ),
        graph(
            "Active runs",
            "Runs that are queued or running, and how many may be.",
            [
                Query(total(one("airflow_dag_runs", **DAG), "state"), "{{state}}"),
                Query(f"max({pick('airflow_dag_max_active_runs', **DAG)})", "max_active_runs"),
            ],
            "short",
            width=8,
            overrides=[*STATES, ceiling("max_active_runs")],
            decimals=0,
            no_value=NO_API,
        ),
        graph(
            "Deadlines and SLAs, an hour",
            "Deadlines of runs that were set, kept and missed (Airflow 3.1 and later), and SLAs of tasks that were"
            " missed (Airflow 2), by StatsD.",
            [
                Query(f"3600 * {total(rate('airflow_deadlines_created_total', **DAG))}", "set"),
                Query(f"3600 * {total(rate('airflow_deadlines_met_total', **DAG))}", "kept"),
                Query(f"3600 * {total(rate('airflow_deadlines_missed_total', **DAG))}", "missed"),
                Query(f"3600 * {total(rate('airflow_sla_missed_total', **DAG))}", "SLA missed"),
            ],
            "short",
            width=8,
            sparse=True,
            stacked=True,
            bars=True,
            overrides=colored({"set": GREY, "kept": GREEN, "missed": RED, "SLA missed": ORANGE}),
            no_value="no deadline, or needs StatsD",
        ),
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

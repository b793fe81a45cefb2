"""Is Airflow healthy, failing, late or full? One row of tiles for each question, and below them where to look."""

from __future__ import annotations

from grafana.boards.kit import link
from grafana.boards.kit.annotation import CHANGES, failed_runs
from grafana.boards.kit.dashboard import Dashboard, Row
from grafana.boards.kit.draw import BarGauge, TimeSeries
from grafana.boards.kit.panel import NO_API, RED, Query, rising
from grafana.boards.kit.promql import age, of_selected_dags, or_zero, pick
from grafana.boards.kit.states import ATTEMPTS, STATES, WAITS
from grafana.boards.kit.table import Column, Key, Table
from grafana.boards.kit.variable import AIRFLOW_URL, COMMON, FLEET, OWNER, RUNBOOKS, TAG
from grafana.boards.rows.answers import ANSWERS, HOUR
from grafana.boards.rows.compared import COMPARED, THROUGHPUT
from grafana.boards.rows.diagnosis import WRONG_ROW
from grafana.boards.rows.firing import FIRING_ROW
from grafana.boards.rows.fleet import FLEET_ROW

FAILED_RUNS = f"sum by(dag_id) ({pick('airflow_dag:dag_runs_finished:increase1h', state='failed')})"
WORST_DAGS = f"topk(8, {of_selected_dags(FAILED_RUNS)} > 0.5)"
FAILED_TRIES = (
    f"sum by(dag_id, task_id) (max without(instance, pod) (increase({pick('airflow_task_tries_failed_total')}[1h])))"
)
TRIES = pick("airflow:task_tries:rate5m")
WORST_TASKS = f"topk(8, {of_selected_dags(FAILED_TRIES)} > 0.5)"
LATEST = age(f"topk(8, {of_selected_dags(pick('airflow_dag:dag_run_oldest_unfinished:age_seconds'))})")
DAG = {"dag_id": Key("DAG", [link.DAG_OF_ROW, link.DAG_IN_AIRFLOW])}
TASK = {
    "dag_id": Key("DAG", [link.DAG_OF_ROW, link.DAG_IN_AIRFLOW]),
    "task_id": Key("Task", [link.TASK_OF_ROW, link.TASK_IN_AIRFLOW]),
}

ACTIVITY = Row(
    "Activity",
    [
        TimeSeries(
            "Task instances by state",
            "Task instances in each active state. Source: API.",
            Query(pick("airflow:task_instances:sum"), "{{state}}"),
        )
        .unit("short")
        .stacked()
        .colors(STATES)
        .no_value(NO_API),
        TimeSeries(
            "Finished attempts per minute",
            "Attempts (tries) that failed, and all others. Sources: API, StatsD.",
            Query(f"60 * {pick('airflow:task_tries_failed:rate5m')}", "failed"),
            Query(
                f"60 * ({TRIES} - ({or_zero(pick('airflow:task_tries_failed:rate5m'), TRIES)}))",
                "not failed",
            ),
        )
        .unit("short")
        .stacked()
        .colors(ATTEMPTS),
        TimeSeries(
            "Runs finished, trailing hour",
            "Runs that finished in the hour before each point, by final state. Sources: API, StatsD.",
            Query(f"sum by(state) ({pick('airflow:dag_runs_finished:increase1h')})", "{{state}}"),
        )
        .unit("short")
        .stacked()
        .colors(STATES),
        TimeSeries(
            "Waiting time (p95), trailing hour",
            "Attempts: time scheduled (waiting for a slot or limit) and queued (waiting for a worker). Runs:"
            " delay from due to start. Of the hour before each point. Sources: API, StatsD.",
            Query(pick("airflow:task_scheduled_seconds:quantile1h", quantile="0.95"), "scheduled (slot or limit)"),
            Query(pick("airflow:task_queued_seconds:quantile1h", quantile="0.95"), "queued (worker)"),
            Query(pick("airflow:dag_run_schedule_delay_seconds:quantile1h", quantile="0.95"), "schedule delay"),
        )
        .unit("s")
        .colors(WAITS),
    ],
)
WHERE = Row(
    "Where to look",
    [
        Table(
            "Failing DAGs",
            "The eight DAGs with the most failed runs in the last hour. A click opens the DAG. Sources: API, StatsD.",
            DAG,
            [
                Column("Failed runs", WORST_DAGS, decimals=0, thresholds=((None, RED),), width=110),
                Column(
                    "Consecutive",
                    f"max by(dag_id) ({pick('airflow_dag_consecutive_failed_runs')}) and on(dag_id) {WORST_DAGS}",
                    decimals=0,
                    width=90,
                ),
                Column(
                    "Last success",
                    f"1000 * max by(dag_id) ({pick('airflow_dag_last_success_timestamp_seconds')})"
                    f" and on(dag_id) {WORST_DAGS}",
                    unit="dateTimeFromNow",
                    width=140,
                ),
            ],
        )
        .size(height=7)
        .no_value("no run failed"),
        Table(
            "Failing tasks",
            "The eight tasks with the most failed attempts in the last hour, and how many of those were"
            " retried. A click opens the task. Sources: API, StatsD.",
            TASK,
            [
                Column("Failed attempts", WORST_TASKS, decimals=0, thresholds=((None, RED),), width=110),
                Column(
                    "Retried",
                    "sum by(dag_id, task_id) (max without(instance, pod) "
                    f"(increase({pick('airflow_task_retries_total')}[1h]))) and on(dag_id, task_id) {WORST_TASKS}",
                    decimals=0,
                    width=90,
                ),
            ],
        )
        .size(height=7)
        .no_value("no attempt failed"),
        Table(
            "Oldest unfinished runs",
            "DAGs by the time since their oldest unfinished scheduled run became due. Source: API.",
            DAG,
            [Column("Unfinished for", LATEST, unit="s", thresholds=rising(HOUR, 6 * HOUR), width=140, decimals=0)],
        )
        .size(height=7)
        .no_value("none"),
        BarGauge(
            "Usage of limits",
            "Used share of parallelism, of the triggerers' capacity, and of the fullest pools. At 100 %"
            " tasks wait. Sources: API, StatsD, host.",
            Query(pick("airflow:parallelism_used:ratio"), "parallelism"),
            Query(pick("airflow:triggerer_used:ratio"), "triggerers"),
            Query(f"topk(6, {pick('airflow_pool:occupied_slots:ratio')})", "pool {{pool}}"),
        )
        .unit("percentunit")
        .maximum(1)
        .thresholds(rising(0.8, 1))
        .size(height=7)
        .no_value(NO_API),
    ],
)
DASHBOARD = Dashboard(
    "airflow-overview",
    "Airflow / Overview",
    "What is wrong, why, and what to change? Is Airflow healthy, failing, late or full?",
    (*COMMON, OWNER, TAG, FLEET, AIRFLOW_URL, RUNBOOKS),
    [WRONG_ROW, FLEET_ROW, *ANSWERS, FIRING_ROW, ACTIVITY, WHERE, COMPARED, THROUGHPUT],
    (*CHANGES, failed_runs(shown=False)),
)

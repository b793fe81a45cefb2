"""Executor and triggerer: slots, waiting times, and deferred tasks."""

from __future__ import annotations

from grafana.boards.kit.annotation import CHANGES
from grafana.boards.kit.dashboard import Dashboard, Row
from grafana.boards.kit.draw import Stat, TimeSeries
from grafana.boards.kit.panel import GREEN, NEUTRAL, NO_API, NO_STATSD, ORANGE, RED, Query, rising
from grafana.boards.kit.promql import API_READ, age, busiest, or_zero, pick, quantile, rate, statsd_per_minute, total
from grafana.boards.kit.states import PERCENTILES
from grafana.boards.kit.table import Column, Key, Table
from grafana.boards.kit.variable import COMMON
from grafana.boards.rows.triggerer import TRIGGERER

FULL = rising(0.8, 1)
AGE = "airflow_dag:task_instance_oldest_state_entry:age_seconds"


EXECUTOR = Row(
    "Executor",
    [
        Stat(
            "Used slots",
            "Share of used slots of the fullest executor. At 100 % tasks wait: add workers or slots. The"
            " LocalExecutor of Airflow 3 does not report used slots by StatsD, so running tasks are taken"
            " from the API. Sources: API, StatsD, host.",
            f"max({pick('airflow_executor:slots_used:ratio')})",
        )
        .unit("percentunit")
        .decimals(0)
        .thresholds(FULL)
        .no_value(NO_STATSD),
        Stat(
            "Waiting in executors",
            "Task instances that wait inside an executor for a slot. Source: StatsD.",
            f"sum({pick('airflow_executor:queued_tasks:sum')})",
        )
        .unit("short")
        .decimals(0)
        .thresholds(NEUTRAL)
        .no_value(NO_STATSD),
        Stat(
            "Queued",
            "Task instances that are queued: handed to an executor, not yet started by a worker. Source: API.",
            or_zero(f"sum({pick('airflow:task_instances:sum', state='queued')})", API_READ),
        )
        .unit("short")
        .decimals(0)
        .thresholds(NEUTRAL)
        .no_value(NO_API),
        Stat(
            "Longest queued",
            "How long the oldest queued task instance has waited for a worker. If it grows, check that"
            " workers are alive and have free slots. Source: API.",
            age(f"max({pick(AGE, state='queued')})"),
        )
        .unit("s")
        .decimals(0)
        .thresholds(rising(120, 900))
        .no_value("nothing waits"),
        Stat(
            "Queued time (p95)",
            "95 % of the attempts of the last hour were queued for less than this. Sources: API, StatsD.",
            pick("airflow:task_queued_seconds:quantile1h", quantile="0.95"),
        )
        .unit("s")
        .thresholds(rising(30, 300))
        .no_value("nothing finished"),
        Stat(
            "Running",
            "Task instances that workers are running. Source: API.",
            or_zero(f"sum({pick('airflow:task_instances:sum', state='running')})", API_READ),
        )
        .unit("short")
        .decimals(0)
        .thresholds(NEUTRAL)
        .no_value(NO_API),
        TimeSeries(
            "Executor slots",
            "Slots of each executor as it reports them, summed over schedulers. The LocalExecutor of Airflow"
            " 3 reports all slots as open. Source: StatsD.",
            Query(pick("airflow_executor:slots:sum"), "{{executor}} {{state}}"),
        )
        .unit("short")
        .decimals(0)
        .no_value(NO_STATSD),
        TimeSeries(
            "Queued time, trailing hour",
            "Time from queued to running of attempts in the hour before each point; p50 is the median."
            " Sources: API, StatsD.",
            Query(pick("airflow:task_queued_seconds:quantile1h", quantile="0.5"), "p50"),
            Query(pick("airflow:task_queued_seconds:quantile1h", quantile="0.95"), "p95"),
            Query(pick("airflow:task_queued_seconds:quantile1h", quantile="0.99"), "p99"),
        )
        .unit("s")
        .colors(PERCENTILES)
        .no_value("nothing finished"),
        TimeSeries(
            "Executor heartbeat duration (p95)",
            "How long the executor's heartbeat takes in each scheduler loop (Airflow 3.3). If it takes"
            " seconds, the executor slows the scheduler down. Source: StatsD.",
            quantile(0.95, "airflow_scheduler_executor_heartbeat_duration_seconds"),
        )
        .unit("s")
        .sparse()
        .hide_legend()
        .no_value(NO_STATSD),
        TimeSeries(
            "Failed attempts per minute, by operator",
            "The ten operators with the most failed attempts. Source: StatsD.",
            Query(busiest(10, "airflow_operator_failures_total", "operator"), "{{operator}}"),
        )
        .unit("short")
        .stacked()
        .no_value("none failed, or needs StatsD"),
    ],
)
OTHERS = Row(
    "Celery, Kubernetes and Edge",
    [
        TimeSeries(
            "Celery send failures per minute",
            "Tasks that could not be sent to the broker in time, and task commands that ended with an error."
            " Check the broker and the workers' logs. Source: StatsD.",
            Query(statsd_per_minute("airflow_celery_task_timeout_errors_total"), "send timeout"),
            Query(statsd_per_minute("airflow_celery_execute_command_failures_total"), "command failed"),
        )
        .unit("short")
        .colors({"send timeout": ORANGE, "command failed": RED})
        .no_value(NO_STATSD),
        TimeSeries(
            "Kubernetes pod requests per minute",
            "Requests to the Kubernetes API for pods, by operation and status. Source: StatsD.",
            Query(
                f"60 * {total(rate('airflow_kubernetes_executor_pod_requests_total'), 'operation', 'status')}",
                "{{operation}} {{status}}",
            ),
        )
        .unit("short")
        .no_value("needs StatsD and Kubernetes"),
        Table(
            "Edge workers",
            "Workers of the Edge executor: running jobs and their limit. A worker that is not connected runs"
            " nothing. Source: StatsD.",
            {"worker": Key("Worker")},
            [
                Column(
                    "Connected",
                    f"max by(worker) ({pick('airflow_edge_worker_connected')})",
                    mappings={"1": ("yes", GREEN), "0": ("no", RED)},
                    width=95,
                ),
                Column("Running", f"max by(worker) ({pick('airflow_edge_worker_active_jobs')})", decimals=0, width=75),
                Column("Limit", f"max by(worker) ({pick('airflow_edge_worker_concurrency')})", decimals=0, width=75),
                Column(
                    "Free", f"max by(worker) ({pick('airflow_edge_worker_free_concurrency')})", decimals=0, width=70
                ),
                Column("Queues", f"max by(worker) ({pick('airflow_edge_worker_queues')})", decimals=0, width=70),
                Column(
                    "Maintenance",
                    f"max by(worker) ({pick('airflow_edge_worker_maintenance')})",
                    mappings={"1": ("yes", ORANGE), "0": ("no", GREEN)},
                    width=105,
                ),
                Column(
                    "Usage",
                    pick("airflow_worker:edge_slots_used:ratio"),
                    "percentunit",
                    bar=True,
                    thresholds=FULL,
                    width=150,
                ),
            ],
        )
        .sort_by("Usage")
        .no_value("needs StatsD and Edge workers"),
        TimeSeries(
            "Kubernetes request duration (p95)",
            "Duration of requests to the Kubernetes API for pods. Source: StatsD.",
            quantile(0.95, "airflow_kubernetes_executor_pod_request_duration_seconds"),
        )
        .unit("s")
        .sparse()
        .hide_legend()
        .no_value("needs StatsD and Kubernetes"),
    ],
    collapsed=True,
)
DASHBOARD = Dashboard(
    "airflow-executor",
    "Airflow / Executor and triggerer",
    "Slots and waiting times of executors and workers, and the state of the triggerer.",
    COMMON,
    [EXECUTOR, TRIGGERER, OTHERS],
    CHANGES,
)

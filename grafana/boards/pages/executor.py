"""Executor and triggerer: are there slots, do handed tasks start, and do deferred ones come back?"""

from __future__ import annotations

from grafana.boards.kit.annotation import CHANGES
from grafana.boards.kit.dashboard import Dashboard, Row
from grafana.boards.kit.draw import Stat, TimeSeries
from grafana.boards.kit.panel import GREEN, NEUTRAL, NO_API, NO_STATSD, ORANGE, RED, Query, rising
from grafana.boards.kit.promql import API_READ, age, busiest, heard, or_zero, pick, quantile, rate, total
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
            "Slots in use",
            "Slots of the fullest executor that run something (StatsD; on the LocalExecutor of Airflow 3, whose own"
            " account does not know what runs, by the API).",
            f"max({pick('airflow_executor:slots_used:ratio')})",
        )
        .unit("percentunit")
        .decimals(0)
        .thresholds(FULL)
        .no_value(NO_STATSD),
        Stat(
            "Waiting in executors",
            "Task instances that were handed to an executor and wait there for a slot (StatsD).",
            f"sum({pick('airflow_executor:queued_tasks:sum')})",
        )
        .unit("short")
        .decimals(0)
        .thresholds(NEUTRAL)
        .no_value(NO_STATSD),
        Stat(
            "Queued",
            "Task instances that are queued: handed out, and not yet started by a worker.",
            or_zero(f"sum({pick('airflow:task_instances:sum', state='queued')})", API_READ),
        )
        .unit("short")
        .decimals(0)
        .thresholds(NEUTRAL)
        .no_value(NO_API),
        Stat(
            "Longest queued",
            "How long the task instance that is longest queued has waited for a worker.",
            age(f"max({pick(AGE, state='queued')})"),
        )
        .unit("s")
        .decimals(0)
        .thresholds(rising(120, 900))
        .no_value("nothing waits"),
        Stat(
            "Wait for a worker",
            "95 of 100 tries of the last hour waited no longer than this from queued to running.",
            pick("airflow:task_queued_seconds:quantile1h", quantile="0.95"),
        )
        .unit("s")
        .thresholds(rising(30, 300))
        .no_value("nothing ended"),
        Stat(
            "Running",
            "Task instances that run.",
            or_zero(f"sum({pick('airflow:task_instances:sum', state='running')})", API_READ),
        )
        .unit("short")
        .decimals(0)
        .thresholds(NEUTRAL)
        .no_value(NO_API),
        TimeSeries(
            "Executor slots",
            "Slots of each executor by its own account, all schedulers together (StatsD). The LocalExecutor of"
            " Airflow 3 calls all of them open, whatever runs.",
            Query(pick("airflow_executor:slots:sum"), "{{executor}} {{state}}"),
        )
        .unit("short")
        .decimals(0)
        .no_value(NO_STATSD),
        TimeSeries(
            "Waits for a worker, in the hour before",
            "From queued to running: half of all tries waited no longer than the median.",
            Query(pick("airflow:task_queued_seconds:quantile1h", quantile="0.5"), "p50"),
            Query(pick("airflow:task_queued_seconds:quantile1h", quantile="0.95"), "p95"),
            Query(pick("airflow:task_queued_seconds:quantile1h", quantile="0.99"), "p99"),
        )
        .unit("s")
        .colors(PERCENTILES)
        .no_value("nothing ended"),
        TimeSeries(
            "Executor's part of a scheduler loop",
            "How long 95 of 100 heartbeats of the executor take in a loop of the scheduler (StatsD, Airflow 3.3).",
            quantile(0.95, "airflow_scheduler_executor_heartbeat_duration_seconds"),
        )
        .unit("s")
        .sparse()
        .hide_legend()
        .no_value(NO_STATSD),
        TimeSeries(
            "Operators that fail, a minute",
            "The ten operators with the most failed tries (StatsD).",
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
            "Celery: tasks that did not reach a worker, a minute",
            "Task instances that could not be handed to the broker in time, and commands that ended with an error"
            " (StatsD).",
            Query(heard("airflow_celery_task_timeout_errors_total"), "broker too slow"),
            Query(heard("airflow_celery_execute_command_failures_total"), "command failed"),
        )
        .unit("short")
        .colors({"broker too slow": ORANGE, "command failed": RED})
        .no_value(NO_STATSD),
        TimeSeries(
            "Kubernetes: calls for pods, a minute",
            "Calls of the Kubernetes API for pods, by operation and status (StatsD).",
            Query(
                f"60 * {total(rate('airflow_kubernetes_executor_pod_requests_total'), 'operation', 'status')}",
                "{{operation}} {{status}}",
            ),
        )
        .unit("short")
        .no_value("needs StatsD and Kubernetes"),
        Table(
            "Edge workers",
            "Workers of the Edge executor: what they run, of what they may run (StatsD).",
            {"worker": Key("Worker")},
            [
                Column(
                    "Connected",
                    f"max by(worker) ({pick('airflow_edge_worker_connected')})",
                    mappings={"1": ("yes", GREEN), "0": ("no", RED)},
                    width=110,
                ),
                Column("Runs", f"max by(worker) ({pick('airflow_edge_worker_active_jobs')})", decimals=0, width=90),
                Column("May run", f"max by(worker) ({pick('airflow_edge_worker_concurrency')})", decimals=0, width=90),
                Column(
                    "Free", f"max by(worker) ({pick('airflow_edge_worker_free_concurrency')})", decimals=0, width=80
                ),
                Column("Queues", f"max by(worker) ({pick('airflow_edge_worker_queues')})", decimals=0, width=80),
                Column(
                    "Maintenance",
                    f"max by(worker) ({pick('airflow_edge_worker_maintenance')})",
                    mappings={"1": ("yes", ORANGE), "0": ("no", GREEN)},
                    width=110,
                ),
                Column(
                    "Use",
                    pick("airflow_worker:edge_slots_used:ratio"),
                    "percentunit",
                    bar=True,
                    thresholds=FULL,
                    width=180,
                ),
            ],
        )
        .sort_by("Use")
        .no_value("needs StatsD and Edge workers"),
        TimeSeries(
            "Kubernetes: time of a call",
            "How long 95 of 100 calls of the Kubernetes API for pods take (StatsD).",
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
    "Are there slots, do the tasks that are handed out start, and do deferred ones come back?",
    COMMON,
    [EXECUTOR, TRIGGERER, OTHERS],
    CHANGES,
)

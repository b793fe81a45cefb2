"""Celery and its broker: queues, workers, reserved tasks, memory and response time of the broker."""

from __future__ import annotations

from grafana.boards.kit.annotation import CHANGES
from grafana.boards.kit.dashboard import Dashboard, Row
from grafana.boards.kit.draw import Stat, TimeSeries
from grafana.boards.kit.panel import GREEN, NEUTRAL, RED, Query, rising
from grafana.boards.kit.promql import age, pick
from grafana.boards.kit.table import Column, Key, Table
from grafana.boards.kit.variable import COMMON

NO_CELERY = "needs --celery.broker-url-file"


def by(label: str, family: str) -> str:
    """The value of each queue or worker, with replicas reduced to one."""
    return f"max by({label}) ({pick(family)})"


NOW = Row(
    "Now",
    [
        Stat(
            "Messages in queues",
            "Tasks that no worker has taken from the broker yet. If it grows, add workers or raise worker_concurrency."
            " Source: Celery.",
            f"sum({by('queue', 'airflow_celery_queue_messages')})",
        )
        .unit("short")
        .decimals(0)
        .thresholds(NEUTRAL)
        .no_value(NO_CELERY),
        Stat(
            "Queues without a worker",
            "Queues in which messages wait and that no worker consumes: start a worker for them. Source: Celery.",
            f"count({by('queue', 'airflow_celery_queue_messages')} > 0"
            f" and on(queue) {by('queue', 'airflow_celery_workers')} == 0)"
            f" or 0 * sum({by('queue', 'airflow_celery_queue_messages')})",
        )
        .unit("short")
        .decimals(0)
        .thresholds(rising(1, 1))
        .no_value(NO_CELERY),
        Stat(
            "Workers up",
            "Workers that answer. Fewer than you started: see Workers below. Source: Celery.",
            f"sum({by('worker', 'airflow_celery_worker_up')})",
        )
        .unit("short")
        .decimals(0)
        .thresholds(NEUTRAL)
        .no_value("no worker answers"),
        Stat(
            "Used slots",
            "Running tasks divided by the slots of all workers. At 100 % tasks wait in the queues. Source: Celery.",
            f"sum({by('worker', 'airflow_celery_worker_active_tasks')}"
            f" and on(worker) {by('worker', 'airflow_celery_worker_up')} == 1)"
            f" / (sum({by('worker', 'airflow_celery_worker_slots')}) > 0)",
        )
        .unit("percentunit")
        .decimals(0)
        .thresholds(rising(0.8, 1))
        .no_value("no worker answers"),
        Stat(
            "Oldest unacknowledged message",
            "For how long the longest task holds its message; at the visibility timeout it is delivered again and"
            " runs twice. Source: Celery.",
            age(f"time() - min({pick('airflow_celery_oldest_unacknowledged_timestamp_seconds')})"),
        )
        .unit("s")
        .decimals(0)
        .thresholds(NEUTRAL)
        .no_value("no message, or RabbitMQ"),
        Stat(
            "Visibility timeout",
            "After this time Redis delivers an unacknowledged message again: keep it above the longest task."
            " Source: Celery.",
            f"max({pick('airflow_celery_visibility_timeout_seconds')})",
        )
        .unit("s")
        .decimals(0)
        .thresholds(NEUTRAL)
        .no_value("workers do not say"),
    ],
)
QUEUES = Row(
    "Queues",
    [
        TimeSeries(
            "Messages by queue",
            "Tasks that wait in the broker, by queue. Source: Celery.",
            Query(by("queue", "airflow_celery_queue_messages"), "{{queue}}"),
        )
        .unit("short")
        .decimals(0)
        .sparse()
        .no_value(NO_CELERY),
        Table(
            "Queues",
            "Each queue with its messages, consumers and workers, the workers that it wants at the present load, and"
            " how long the backlog takes. Sources: API, StatsD, Celery.",
            {"queue": Key("Queue")},
            [
                Column("Messages", by("queue", "airflow_celery_queue_messages"), decimals=0, width=100),
                Column(
                    "Workers",
                    by("queue", "airflow_celery_workers"),
                    decimals=0,
                    thresholds=((None, RED), (1, "text")),
                    width=90,
                ),
                Column("Consumers", by("queue", "airflow_celery_queue_consumers"), decimals=0, width=100),
                Column("Wanted workers", pick("airflow_queue:wanted_workers:sum"), decimals=0, width=120),
                Column("Backlog takes", pick("airflow_queue:celery_backlog:seconds"), "s", width=130),
                Column(
                    "Held tasks",
                    by("queue", "airflow_celery_queue_held_tasks"),
                    decimals=0,
                    thresholds=rising(1, 1),
                    width=100,
                ),
            ],
        )
        .sort_by("Messages")
        .no_value(NO_CELERY),
    ],
)
WORKERS = Row(
    "Workers",
    [
        Table(
            "Workers",
            "Every worker that answered within the last hour. Down with running tasks: its tasks are lost. Reserved"
            " tasks wait for this worker only. Source: Celery.",
            {"worker": Key("Worker")},
            [
                Column(
                    "State",
                    by("worker", "airflow_celery_worker_up"),
                    mappings={"1": ("up", GREEN), "0": ("down", RED)},
                    width=80,
                ),
                Column("Slots", by("worker", "airflow_celery_worker_slots"), decimals=0, width=80),
                Column("Running", by("worker", "airflow_celery_worker_active_tasks"), decimals=0, width=90),
                Column("Reserved", by("worker", "airflow_celery_worker_reserved_tasks"), decimals=0, width=90),
                Column(
                    "Usage",
                    f"{by('worker', 'airflow_celery_worker_active_tasks')}"
                    f" / ({by('worker', 'airflow_celery_worker_slots')} > 0)",
                    "percentunit",
                    bar=True,
                    thresholds=rising(0.8, 1),
                    width=180,
                ),
            ],
        )
        .sort_by("Usage")
        .no_value("no worker answers"),
        TimeSeries(
            "Running tasks by worker",
            "Tasks that each worker runs. Uneven lines with reserved tasks: lower worker_prefetch_multiplier."
            " Source: Celery.",
            Query(by("worker", "airflow_celery_worker_active_tasks"), "{{worker}}"),
        )
        .unit("short")
        .decimals(0)
        .sparse()
        .no_value("no worker answers"),
    ],
)
BROKER = Row(
    "Broker",
    [
        TimeSeries(
            "Response time",
            "How long the broker takes for a simple request. Above 100 ms every task starts later. Source: Celery.",
            Query(f"max({pick('airflow_celery_broker_response_seconds')})", "response"),
        )
        .unit("s")
        .size(8)
        .no_value(NO_CELERY),
        TimeSeries(
            "Memory",
            "Memory of Redis, and its maxmemory if it has one: at the limit it refuses messages. Source: Celery.",
            Query(f"max({pick('airflow_celery_broker_memory_bytes')})", "used"),
            Query(f"max({pick('airflow_celery_broker_memory_limit_bytes')})", "limit"),
        )
        .unit("bytes")
        .size(8)
        .no_value("needs Redis"),
        TimeSeries(
            "Unacknowledged messages",
            "Tasks that workers have taken and not finished: running and reserved ones. Source: Celery.",
            Query(f"max({pick('airflow_celery_unacknowledged_messages')})", "messages"),
        )
        .unit("short")
        .decimals(0)
        .size(8)
        .no_value("needs Redis"),
    ],
)
DASHBOARD = Dashboard(
    "airflow-celery",
    "Airflow / Celery and broker",
    "Queues, workers and the broker of the CeleryExecutor.",
    COMMON,
    [NOW, QUEUES, WORKERS, BROKER],
    CHANGES,
)

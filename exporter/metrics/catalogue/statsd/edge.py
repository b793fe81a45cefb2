"""Edge workers, as they report themselves over StatsD: one sender a worker, so its newest report counts."""

from functools import partial

from exporter.metrics.family import Family, Kind

gauge = partial(
    Family, kind=Kind.GAUGE, source="statsd", reader="edge", labels=("worker", "team"), ttl=180.0, cap=5_000
)
counter = partial(Family, kind=Kind.COUNTER, source="statsd", reader="edge", cap=10_000)

STATUS = gauge(
    "airflow_edge_worker_status_level",
    help="The worker's status, as the level at which Python would log it: 20 is well, 30 and more is not",
    origin="edge_worker.status",
    audience="those who run Edge workers and compare queues and workers",
)
CONNECTED = gauge(
    "airflow_edge_worker_connected",
    help="Whether the worker is connected",
    origin="edge_worker.connected",
)
MAINTENANCE = gauge(
    "airflow_edge_worker_maintenance",
    help="Whether the worker is in maintenance",
    origin="edge_worker.maintenance",
)
ACTIVE_JOBS = gauge(
    "airflow_edge_worker_active_jobs",
    help="Task instances that the worker runs",
    origin="edge_worker.jobs_active",
)
CONCURRENCY = gauge(
    "airflow_edge_worker_concurrency",
    help="Task instances that the worker may run at once",
    origin="edge_worker.concurrency",
)
FREE_CONCURRENCY = gauge(
    "airflow_edge_worker_free_concurrency",
    help="Task instances that the worker could run besides those it runs",
    origin="edge_worker.free_concurrency",
)
QUEUES = gauge(
    "airflow_edge_worker_queues",
    help="Queues that the worker takes task instances from",
    origin="edge_worker.num_queues",
)
HEARTBEATS = counter(
    "airflow_edge_worker_heartbeats_total",
    help="Heartbeats of the worker",
    labels=("worker", "team"),
    origin="edge_worker.heartbeat_count",
    audience="those who run Edge workers and compare queues and workers",
)
TASK_STARTS = counter(
    "airflow_edge_worker_task_starts_total",
    help="Task instances that edge workers started",
    labels=("queue", "dag_id", "team"),
    origin="edge_worker.ti.start",
    audience="those who run Edge workers and compare queues and workers",
)
TASK_FINISHES = counter(
    "airflow_edge_worker_task_finishes_total",
    help="Task instances that ended on edge workers, by the state they ended in",
    labels=("queue", "dag_id", "state", "team"),
    origin="edge_worker.ti.finish",
    audience="those who run Edge workers and compare queues and workers",
)

FAMILIES = (
    STATUS,
    CONNECTED,
    MAINTENANCE,
    ACTIVE_JOBS,
    CONCURRENCY,
    FREE_CONCURRENCY,
    QUEUES,
    HEARTBEATS,
    TASK_STARTS,
    TASK_FINISHES,
)

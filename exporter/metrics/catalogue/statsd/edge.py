"""Edge workers, from StatsD: each worker is one sender, so its newest report is used."""

from functools import partial

from exporter.metrics.family import Family, Kind

gauge = partial(
    Family, kind=Kind.GAUGE, source="statsd", reader="edge", labels=("worker", "team"), ttl=180.0, cap=5_000
)
counter = partial(Family, kind=Kind.COUNTER, source="statsd", reader="edge", cap=10_000)

STATUS = gauge(
    "airflow_edge_worker_status_level",
    help="Status of the Edge worker as a Python log level: 20 is healthy, 30 and above is not",
    origin="edge_worker.status",
    audience="users of Edge workers, to compare queues and workers",
)
CONNECTED = gauge(
    "airflow_edge_worker_connected",
    help="1 if the Edge worker is connected, 0 otherwise",
    origin="edge_worker.connected",
)
MAINTENANCE = gauge(
    "airflow_edge_worker_maintenance",
    help="1 if the Edge worker is in maintenance mode, 0 otherwise",
    origin="edge_worker.maintenance",
)
ACTIVE_JOBS = gauge(
    "airflow_edge_worker_active_jobs",
    help="Number of task instances running on the Edge worker",
    origin="edge_worker.jobs_active",
)
CONCURRENCY = gauge(
    "airflow_edge_worker_concurrency",
    help="Maximum number of task instances on the Edge worker",
    origin="edge_worker.concurrency",
)
FREE_CONCURRENCY = gauge(
    "airflow_edge_worker_free_concurrency",
    help="Number of further task instances that the Edge worker can run",
    origin="edge_worker.free_concurrency",
)
QUEUES = gauge(
    "airflow_edge_worker_queues",
    help="Number of queues that the Edge worker serves",
    origin="edge_worker.num_queues",
)
HEARTBEATS = counter(
    "airflow_edge_worker_heartbeats_total",
    help="Total number of heartbeats of the Edge worker",
    labels=("worker", "team"),
    origin="edge_worker.heartbeat_count",
    audience="users of Edge workers, to compare queues and workers",
)
TASK_STARTS = counter(
    "airflow_edge_worker_task_starts_total",
    help="Total number of task instances started on Edge workers",
    labels=("queue", "dag_id", "team"),
    origin="edge_worker.ti.start",
    audience="users of Edge workers, to compare queues and workers",
)
TASK_FINISHES = counter(
    "airflow_edge_worker_task_finishes_total",
    help="Total number of task instances finished on Edge workers, by final state",
    labels=("queue", "dag_id", "state", "team"),
    origin="edge_worker.ti.finish",
    audience="users of Edge workers, to compare queues and workers",
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

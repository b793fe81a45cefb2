"""Executors: slots, and metrics of Celery and the cloud executors, from StatsD.

Each scheduler runs separate executors, so slots are summed over schedulers; the part of a scheduler expires when it
stops sending. Open and running slots of one executor add up to its parallelism.
"""

from functools import partial

from exporter.metrics.family import Family, Kind, Merge

BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
EXECUTOR = ("executor", "team")

gauge = partial(Family, kind=Kind.GAUGE, source="statsd", reader="executor", ttl=120.0, cap=500)
counter = partial(Family, kind=Kind.COUNTER, source="statsd", reader="executor", cap=500)
histogram = partial(Family, kind=Kind.HISTOGRAM, source="statsd", reader="executor", buckets=BUCKETS, cap=500)

SLOTS = gauge(
    "airflow_executor_slots",
    help="Number of executor slots by state, summed over schedulers; executor is empty where the Airflow release "
    "does not report it",
    labels=(*EXECUTOR, "state"),
    origin="executor.open_slots, executor.running_tasks",
    closed={"state": ("open", "running")},
    merge=Merge.SUM,
)
QUEUED_TASKS = gauge(
    "airflow_executor_queued_tasks",
    help="Number of task instances waiting in the executor for a slot, summed over schedulers",
    labels=EXECUTOR,
    origin="executor.queued_tasks",
    merge=Merge.SUM,
)
ADOPT_DURATION = histogram(
    "airflow_executor_adopt_task_instances_duration_seconds",
    help="Time that an executor took to adopt the task instances of a dead scheduler",
    labels=("executor",),
    origin="kubernetes_executor.adopt_task_instances.duration and those of batch_, ecs_ and lambda_executor",
    audience="users of several schedulers, to see how one takes over from another",
)
CELERY_TIMEOUTS = counter(
    "airflow_celery_task_timeout_errors_total",
    help="Total number of timeouts when sending task instances to Celery's broker",
    labels=("team",),
    origin="celery.task_timeout_error",
)
CELERY_COMMAND_FAILURES = counter(
    "airflow_celery_execute_command_failures_total",
    help="Total number of Celery task commands that ended with an error",
    origin="celery.execute_command.failure",
)
EDGE_SYNC_DURATION = histogram(
    "airflow_edge_executor_sync_duration_seconds",
    help="Duration of a heartbeat of the edge executor",
    labels=("team",),
    origin="edge_executor.sync.duration",
    audience="users of Edge workers, to compare queues and workers",
)
OPERATIONS = ("creation", "deletion", "patching")
POD_REQUESTS = counter(
    "airflow_kubernetes_executor_pod_requests_total",
    help="Total number of Kubernetes API requests for pods, by operation and by HTTP status or error",
    labels=("operation", "status", "team"),
    origin="kubernetes_executor.pod_{creation,deletion,patching}_status",
    closed={"operation": OPERATIONS},
)
POD_REQUEST_DURATION = histogram(
    "airflow_kubernetes_executor_pod_request_duration_seconds",
    help="Duration of Kubernetes API requests for pods",
    labels=("operation", "team"),
    origin="kubernetes_executor.pod_{creation,deletion,patching}",
    closed={"operation": OPERATIONS},
)
POD_BATCH_DURATION = histogram(
    "airflow_kubernetes_executor_pod_creation_batch_duration_seconds",
    help="Time that the executor took to create a batch of pods",
    origin="kubernetes_executor.pod_creation_batch_duration",
    since="3.4",
    audience="early users of Airflow 3.4; a dashboard will follow with its release",
)
POD_BATCH_SIZE = gauge(
    "airflow_kubernetes_executor_pod_creation_batch_size",
    help="Number of pods created in the executor's last loop; the maximum over schedulers",
    origin="kubernetes_executor.pod_creation_batch_size",
    audience="users of Airflow 3.4 and newer, which sends these StatsD names",
    since="3.4",
    merge=Merge.MAXIMUM,
)
CLEAR_NOT_LAUNCHED_DURATION = histogram(
    "airflow_kubernetes_executor_clear_not_launched_queued_tasks_duration_seconds",
    help="Time that the executor took to reset queued task instances without a pod",
    origin="kubernetes_executor.clear_not_launched_queued_tasks.duration",
    until="2.11",
    audience="users of Airflow 2 on Kubernetes",
)

FAMILIES = (
    SLOTS,
    QUEUED_TASKS,
    ADOPT_DURATION,
    CELERY_TIMEOUTS,
    CELERY_COMMAND_FAILURES,
    EDGE_SYNC_DURATION,
    POD_REQUESTS,
    POD_REQUEST_DURATION,
    POD_BATCH_DURATION,
    POD_BATCH_SIZE,
    CLEAR_NOT_LAUNCHED_DURATION,
)

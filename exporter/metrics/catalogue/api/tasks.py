"""Task instances: the active ones, and every try and every outcome, counted once; from the API.

A try counts as run if its row has a pid or a hostname. An outcome is a terminal state that a task instance reached.
"""

from functools import partial

from exporter.metrics.family import Family, Kind

DURATION_BUCKETS = (1.0, 10.0, 60.0, 300.0, 1800.0, 7200.0, 28800.0, 86400.0)
WAIT_BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0, 86400.0)
PER_TASK = 100_000
PER_DAG = 10_000

gauge = partial(Family, kind=Kind.GAUGE, source="airflow", reader="tasks")
counter = partial(
    Family, kind=Kind.COUNTER, source="airflow", reader="tasks", labels=("dag_id", "task_id"), cap=PER_TASK
)
histogram = partial(Family, kind=Kind.HISTOGRAM, source="airflow", reader="tasks")
ROWS = "/taskInstances"

ACTIVE = gauge(
    "airflow_task_instances",
    help="Number of task instances in each active state, from scheduled to up_for_retry",
    labels=("dag_id", "pool", "queue", "state"),
    origin=f"{ROWS}: state",
    cap=50_000,
)
OLDEST_STATE_ENTRY = gauge(
    "airflow_task_instance_oldest_state_entry_timestamp_seconds",
    help="Time at which the task instance that has been longest in this state entered it; absent if Airflow does "
    "not report it",
    labels=("dag_id", "state"),
    origin=f"{ROWS}: scheduled_when (3.x), queued_when, start_date",
)
FINISHED = counter(
    "airflow_task_instances_finished_total",
    help="Total number of task outcomes success and failed (retries exhausted); marking or clearing a task "
    "instance leads to a further outcome",
    labels=("dag_id", "task_id", "state"),
    origin=f"{ROWS}: state, end_date",
)
NOT_RUN = counter(
    "airflow_task_instances_not_run_total",
    help="Total number of task outcomes without a run: skipped, upstream_failed and removed",
    labels=("dag_id", "state"),
    origin=f"{ROWS}: state, end_date",
    cap=PER_DAG,
)
TRIES = counter(
    "airflow_task_tries_total",
    help="Total number of finished tries, whatever their result",
    origin=f"{ROWS}: try_number, pid, hostname",
)
TRIES_FAILED = counter(
    "airflow_task_tries_failed_total",
    help="Total number of failed tries, including those that are retried",
    origin=f"{ROWS}: state; /tries",
)
RETRIES = counter(
    "airflow_task_retries_total",
    help="Total number of failed tries that are followed by a retry",
    origin=f"{ROWS}: state up_for_retry; /tries",
)
TRIES_CLEARED = counter(
    "airflow_task_tries_cleared_total",
    help="Total number of tries that were cleared or deleted while running; they do not count as failed",
    origin=f"{ROWS}: state restarting, max_tries; /tries",
)
RUN_SECONDS = counter(
    "airflow_task_run_seconds_total",
    help="Total duration of finished tries, including deferred time",
    origin=f"{ROWS}: end_date - start_date",
)
FAILED_SECONDS = counter(
    "airflow_task_failed_seconds_total",
    help="Total duration of failed tries",
    origin=f"{ROWS}: end_date - start_date",
)
DURATION = histogram(
    "airflow_task_duration_seconds",
    help="Duration of successful tries (rescheduled sensors: of the last poke)",
    labels=("dag_id",),
    origin=f"{ROWS}: end_date - start_date",
    buckets=DURATION_BUCKETS,
    cap=5_000,
)
TASK_DURATION = histogram(
    "airflow_task_try_duration_seconds",
    help="Duration of successful tries by task, only for the DAGs that the configuration names, or with "
    "native histograms",
    labels=("dag_id", "task_id"),
    origin=f"{ROWS}: end_date - start_date",
    buckets=DURATION_BUCKETS,
    cap=2_000,
)
TASK_QUEUED_DURATION = histogram(
    "airflow_task_try_queued_duration_seconds",
    help="Time that tries waited from queued to running, by task; only with native histograms",
    labels=("dag_id", "task_id"),
    origin=f"{ROWS}: start_date - queued_when",
    cap=20_000,
    native_only=True,
    audience="own queries by task, where native histograms are on",
)
TASK_SCHEDULED_DURATION = histogram(
    "airflow_task_try_scheduled_duration_seconds",
    help="Time that tries waited from scheduled to queued, by task; only with native histograms",
    labels=("dag_id", "task_id"),
    origin=f"{ROWS}: queued_when - scheduled_when",
    since="3.0",
    cap=20_000,
    native_only=True,
    audience="own queries by task, where native histograms are on",
)
QUEUED_DURATION = histogram(
    "airflow_task_queued_duration_seconds",
    help="Time that tries waited from queued to running",
    labels=("queue",),
    origin=f"{ROWS}: start_date - queued_when",
    buckets=WAIT_BUCKETS,
    cap=500,
)
SCHEDULED_DURATION = histogram(
    "airflow_task_scheduled_duration_seconds",
    help="Time that tries waited from scheduled to queued, that is for a pool slot or a concurrency limit",
    labels=("pool",),
    origin=f"{ROWS}: queued_when - scheduled_when",
    since="3.0",
    buckets=WAIT_BUCKETS,
    cap=500,
)
DAG_QUEUED_SECONDS = counter(
    "airflow_dag_queued_seconds_total",
    help="Total time that the DAG's tries waited from queued to running",
    labels=("dag_id",),
    origin=f"{ROWS}: start_date - queued_when",
    cap=PER_DAG,
)
DAG_QUEUED_TRIES = counter(
    "airflow_dag_queued_tries_total",
    help="Total number of the DAG's tries whose wait from queued to running is known",
    labels=("dag_id",),
    origin=f"{ROWS}: queued_when",
    cap=PER_DAG,
)
DAG_SCHEDULED_SECONDS = counter(
    "airflow_dag_scheduled_seconds_total",
    help="Total time that the DAG's tries waited from scheduled to queued",
    labels=("dag_id",),
    origin=f"{ROWS}: queued_when - scheduled_when",
    since="3.0",
    cap=PER_DAG,
)
DAG_SCHEDULED_TRIES = counter(
    "airflow_dag_scheduled_tries_total",
    help="Total number of the DAG's tries whose wait from scheduled to queued is known",
    labels=("dag_id",),
    origin=f"{ROWS}: scheduled_when",
    since="3.0",
    cap=PER_DAG,
)
WAITS = ("queued", "scheduled")
WAIT_REASONS = ("unknown", "renewed")
WAIT_UNOBSERVABLE = counter(
    "airflow_task_wait_unobservable_total",
    help="Total number of tries whose wait cannot be determined: the start is unknown, or was overwritten after "
    "the end (deferred tries)",
    labels=("wait", "reason"),
    origin=f"{ROWS}: queued_when, scheduled_when",
    closed={"wait": WAITS, "reason": WAIT_REASONS},
)
UNACCOUNTED_REASONS = ("deleted", "not_in_history", "unanswered")
UNACCOUNTED = counter(
    "airflow_task_tries_unaccounted_total",
    help="Total number of tries whose outcome can no longer be determined",
    labels=("reason",),
    origin="/tries",
    closed={"reason": UNACCOUNTED_REASONS},
)

PENDING_APPROVALS = gauge(
    "airflow_pending_approvals",
    help="Number of task instances that wait for a person to approve or answer (human in the loop)",
    labels=("dag_id",),
    reader="approvals",
    origin="/hitlDetails?response_received=false",
    since="3.1",
    cap=PER_DAG,
)
OLDEST_PENDING_APPROVAL = gauge(
    "airflow_pending_approval_oldest_created_timestamp_seconds",
    help="Time at which the oldest approval of the DAG that still waits was requested",
    labels=("dag_id",),
    reader="approvals",
    origin="/hitlDetails?response_received=false: created_at",
    since="3.1",
    cap=PER_DAG,
)

FAMILIES = (
    ACTIVE,
    OLDEST_STATE_ENTRY,
    FINISHED,
    NOT_RUN,
    TRIES,
    TRIES_FAILED,
    RETRIES,
    TRIES_CLEARED,
    RUN_SECONDS,
    FAILED_SECONDS,
    DURATION,
    TASK_DURATION,
    TASK_QUEUED_DURATION,
    TASK_SCHEDULED_DURATION,
    QUEUED_DURATION,
    SCHEDULED_DURATION,
    DAG_QUEUED_SECONDS,
    DAG_QUEUED_TRIES,
    DAG_SCHEDULED_SECONDS,
    DAG_SCHEDULED_TRIES,
    WAIT_UNOBSERVABLE,
    UNACCOUNTED,
    PENDING_APPROVALS,
    OLDEST_PENDING_APPROVAL,
)

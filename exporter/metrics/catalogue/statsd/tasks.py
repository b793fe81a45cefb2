"""Runs, tasks and pools, as far as only StatsD reports them or reports them differently from the API.

A family that replaces one of the API which StatsD cannot feed exactly is not exposed while the API is on.
"""

from functools import partial

from exporter.metrics.family import Family, Kind, Merge

DURATION_BUCKETS = (1.0, 10.0, 60.0, 600.0, 3600.0, 21600.0)
DELAY_BUCKETS = (1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0)

gauge = partial(Family, kind=Kind.GAUGE, source="statsd", reader="tasks", ttl=120.0)
counter = partial(Family, kind=Kind.COUNTER, source="statsd", reader="tasks")
histogram = partial(Family, kind=Kind.HISTOGRAM, source="statsd", reader="tasks", buckets=DELAY_BUCKETS)

STARTS = counter(
    "airflow_task_starts_total",
    help="Total number of task instance starts; a rescheduled or resumed task instance counts each time",
    labels=("dag_id", "team"),
    origin="ti.start",
    audience="users of StatsD without the API; the API counts tries and outcomes exactly",
)
RESCHEDULES = counter(
    "airflow_task_reschedules_total",
    help="Total number of times that sensors released their slot until the next poke, over all DAGs",
    labels=("team",),
    origin="ti.finish: state up_for_reschedule",
)
DEFERRALS = counter(
    "airflow_task_deferrals_total",
    help="Total number of times that tasks were deferred to the triggerer, over all DAGs",
    labels=("team",),
    origin="ti.finish: state deferred",
)
EXECUTION_DURATION = histogram(
    "airflow_task_execution_duration_seconds",
    help="Duration of task instance runs, whatever their result; on 2.x each poke and each resumption counts "
    "separately",
    labels=("dag_id", "team"),
    origin="task.duration",
    buckets=DURATION_BUCKETS,
    cap=5_000,
    audience="users of StatsD without the API; the API counts tries and outcomes exactly",
)
SUCCESSES = counter(
    "airflow_task_instance_successes_total",
    help="Total number of successful task instances as Airflow counts them, over all DAGs",
    labels=("team",),
    origin="ti_successes",
    audience="users who compare with the totals of Airflow that older dashboards show",
)
FAILURES = counter(
    "airflow_task_instance_failures_total",
    help="Total number of failed tries as Airflow counts them; 3.0 to 3.1.7 count only those that schedulers handled",
    labels=("team",),
    origin="ti_failures",
    audience="users who compare with the totals of Airflow that older dashboards show",
)
OPERATOR_SUCCESSES = counter(
    "airflow_operator_successes_total",
    help="Total number of successful task instances by operator",
    labels=("operator", "team"),
    origin="operator_successes",
    cap=1_000,
    audience="authors of operators, to compare with airflow_operator_failures_total",
)
OPERATOR_FAILURES = counter(
    "airflow_operator_failures_total",
    help="Total number of failed tries by operator; 3.0 to 3.1.7 count only those that schedulers handled",
    labels=("operator", "team"),
    origin="operator_failures",
    cap=1_000,
)
CREATED = counter(
    "airflow_task_instances_created_total",
    help="Total number of task instances created, by operator",
    labels=("operator", "team"),
    origin="task_instance_created",
    cap=1_000,
    audience="authors of operators, to see which are used",
)
REMOVED = counter(
    "airflow_task_instances_removed_total",
    help="Total number of task instances whose task is no longer in the DAG",
    labels=("dag_id", "team"),
    origin="task_removed_from_dag",
    audience="authors of DAGs whose tasks come and go",
)
RESTORED = counter(
    "airflow_task_instances_restored_total",
    help="Total number of removed task instances whose task is in the DAG again",
    labels=("dag_id", "team"),
    origin="task_restored_to_dag",
    audience="authors of DAGs whose tasks come and go",
)
PREVIOUSLY_SUCCEEDED = counter(
    "airflow_task_instances_previously_succeeded_total",
    help="Total number of task instances that were about to run but had already succeeded",
    labels=("team",),
    origin="previously_succeeded",
    audience="developers of Airflow: it stays near 0",
)
ACTIVE = gauge(
    "airflow_task_active_instances",
    help="Number of instances of the task by state; absent if there are none",
    labels=("dag_id", "task_id", "queue", "state", "team"),
    origin="ti.scheduled, ti.queued, ti.running, ti.deferred",
    since="3.0",
    closed={"state": ("scheduled", "queued", "running", "deferred")},
    cap=20_000,
)
CPU_USAGE = gauge(
    "airflow_task_cpu_usage_ratio",
    help="CPU usage of the task's process in CPUs; the maximum over its running instances",
    labels=("dag_id", "task_id"),
    origin="task.cpu_usage",
    until="2.11",
    cap=20_000,
    merge=Merge.MAXIMUM,
    audience="users of Airflow 2; the host source covers all releases",
)
MEMORY_USAGE = gauge(
    "airflow_task_memory_usage_ratio",
    help="Memory of the task's process as a share of its host's memory; the maximum over its running instances",
    labels=("dag_id", "task_id"),
    origin="task.mem_usage",
    until="2.11",
    cap=20_000,
    merge=Merge.MAXIMUM,
    audience="users of Airflow 2; the host source covers all releases",
)
RUN_FAILED_SECONDS = counter(
    "airflow_dag_run_failed_seconds_total",
    help="Total duration of the DAG's failed runs",
    labels=("dag_id", "team"),
    origin="dagrun.duration.failed",
    audience="users who need the time of failed runs; dashboards show that of failed tries",
)
FIRST_TASK_SCHEDULING_DELAY = histogram(
    "airflow_dag_run_first_task_scheduling_delay_seconds",
    help="Time from when a run was due until its first task started, over all DAGs",
    labels=("team",),
    origin="dagrun.first_task_scheduling_delay",
)
FIRST_TASK_START_DELAY = histogram(
    "airflow_dag_run_first_task_start_delay_seconds",
    help="Time from when a run was queued until its first task started, over all DAGs",
    labels=("team",),
    origin="dagrun.first_task_start_delay",
    since="3.3",
)
POOL_OPEN = gauge(
    "airflow_pool_open_slots",
    help="Number of free slots of the pool; +Inf if unlimited",
    labels=("pool", "team"),
    origin="pool.open_slots",
    cap=2_000,
)
POOL_DEFERRED = gauge(
    "airflow_pool_deferred_slots",
    help="Number of slots of the pool's deferred task instances, even if the pool does not count them as occupied",
    labels=("pool", "team"),
    origin="pool.deferred_slots",
    cap=2_000,
)
POOL_STARVING = gauge(
    "airflow_pool_starving_tasks",
    help="Number of task instances that the last scheduler loop did not queue because the pool had no free slot",
    labels=("pool", "team"),
    origin="pool.starving_tasks",
    cap=2_000,
    merge=Merge.MAXIMUM,
)

FAMILIES = (
    STARTS,
    RESCHEDULES,
    DEFERRALS,
    EXECUTION_DURATION,
    SUCCESSES,
    FAILURES,
    OPERATOR_SUCCESSES,
    OPERATOR_FAILURES,
    CREATED,
    REMOVED,
    RESTORED,
    PREVIOUSLY_SUCCEEDED,
    ACTIVE,
    CPU_USAGE,
    MEMORY_USAGE,
    RUN_FAILED_SECONDS,
    FIRST_TASK_SCHEDULING_DELAY,
    FIRST_TASK_START_DELAY,
    POOL_OPEN,
    POOL_DEFERRED,
    POOL_STARVING,
)

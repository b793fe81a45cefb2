"""The scheduler: heartbeats, loop and critical section, from StatsD.

All schedulers compute some gauges from the same database; of these the newest report is used. `airflow_scheduler_tasks`
is the result of each scheduler's last loop; the maximum over schedulers is exposed, because they see the same waiting
tasks and a sum would count those several times.
"""

from functools import partial

from exporter.metrics.family import Family, Kind, Merge

LOOP_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

gauge = partial(Family, kind=Kind.GAUGE, source="statsd", reader="scheduler", ttl=120.0)
counter = partial(Family, kind=Kind.COUNTER, source="statsd", reader="scheduler")
histogram = partial(Family, kind=Kind.HISTOGRAM, source="statsd", reader="scheduler", buckets=LOOP_BUCKETS)

HEARTBEATS = counter(
    "airflow_scheduler_heartbeats_total",
    help="Total number of heartbeats of all schedulers",
    origin="scheduler_heartbeat",
)
LOOP_DURATION = histogram(
    "airflow_scheduler_loop_duration_seconds",
    help="Duration of the scheduler loop",
    origin="scheduler.scheduler_loop_duration",
)
CRITICAL_SECTION_DURATION = histogram(
    "airflow_scheduler_critical_section_duration_seconds",
    help="Time that a scheduler spent in the critical section, where one scheduler at a time sends tasks to executors",
    origin="scheduler.critical_section_duration",
)
CRITICAL_SECTION_QUERY_DURATION = histogram(
    "airflow_scheduler_critical_section_query_duration_seconds",
    help="Duration of the task instance query in the critical section",
    origin="scheduler.critical_section_query_duration",
)
CRITICAL_SECTION_BUSY = counter(
    "airflow_scheduler_critical_section_busy_total",
    help="Total number of attempts to enter the critical section while another scheduler held it",
    origin="scheduler.critical_section_busy",
)
EXECUTOR_HEARTBEAT_DURATION = histogram(
    "airflow_scheduler_executor_heartbeat_duration_seconds",
    help="Duration of the executor's heartbeat in the scheduler loop",
    labels=("executor",),
    origin="scheduler.executor_heartbeat_duration",
    since="3.3",
    cap=100,
)
DEPENDENCY_CHECK_DURATION = histogram(
    "airflow_scheduler_dependency_check_duration_seconds",
    help="Time that a scheduler took to check the dependencies of all tasks of one DAG run",
    labels=("team",),
    origin="dagrun.dependency-check",
)
DAG_DEPENDENCY_CHECK_SECONDS = counter(
    "airflow_dag_dependency_check_seconds_total",
    help="Total time that schedulers spent on checking the dependencies of the DAG's tasks",
    labels=("dag_id", "team"),
    origin="dagrun.dependency-check",
)
TASKS = gauge(
    "airflow_scheduler_tasks",
    help="Number of task instances that the last scheduler loop sent to executors (executable) or could not "
    "because no slot was free (starving)",
    labels=("state",),
    origin="scheduler.tasks.executable, scheduler.tasks.starving",
    closed={"state": ("executable", "starving")},
    merge=Merge.MAXIMUM,
)
DAG_RUNS = gauge(
    "airflow_scheduler_dag_runs",
    help="Number of DAG runs by state as schedulers count them; dag_id is set only with Airflow's "
    "dagrun_metrics_per_dag_id",
    labels=("dag_id", "state"),
    origin="scheduler.dagruns.running, scheduler.dagruns.queued",
    since="3.2",
    closed={"state": ("running", "queued")},
    audience="users of StatsD without the API; the API counts runs by DAG",
)
ORPHANED_TASKS = counter(
    "airflow_scheduler_orphaned_tasks_total",
    help="Total number of task instances of dead schedulers that were adopted or reset (cleared)",
    labels=("action",),
    origin="scheduler.orphaned_tasks.adopted, scheduler.orphaned_tasks.cleared",
    closed={"action": ("adopted", "cleared")},
)
KILLED_EXTERNALLY = counter(
    "airflow_scheduler_tasks_killed_externally_total",
    help="Total number of task instances that something other than Airflow ended; labels are empty in plain StatsD",
    labels=("dag_id", "task_id", "team"),
    origin="scheduler.tasks.killed_externally",
)
WITHOUT_HEARTBEAT = counter(
    "airflow_task_instances_without_heartbeat_killed_total",
    help="Total number of running task instances failed because their heartbeat stopped; labels are empty in plain"
    " StatsD",
    labels=("dag_id", "task_id", "team"),
    origin="task_instances_without_heartbeats_killed (2.x: zombies_killed)",
)
LOOP_EXCEPTIONS = counter(
    "airflow_scheduler_loop_exceptions_total",
    help="Total number of scheduler loops ended by an exception, by exception class; the label is empty in plain "
    "StatsD",
    labels=("exception_class",),
    cap=100,
    origin="scheduler.loop_exceptions",
    since="3.4",
    audience="early users of Airflow 3.4; a dashboard will follow with its release",
)
EXECUTOR_EVENTS_PROCESSED = counter(
    "airflow_scheduler_executor_events_processed_total",
    help="Total number of executor events that schedulers processed",
    origin="scheduler.executor_events.processed",
    since="3.4",
    audience="early users of Airflow 3.4; a dashboard will follow with its release",
)
EXECUTOR_EVENTS_FAILED = counter(
    "airflow_scheduler_executor_events_failed_total",
    help="Total number of failures to process executor events, by exception class; the label is empty in plain StatsD",
    labels=("exception_class",),
    cap=100,
    origin="scheduler.executor_events.failed",
    since="3.4",
    audience="early users of Airflow 3.4; a dashboard will follow with its release",
)
EXECUTOR_EVENTS_BATCH = gauge(
    "airflow_scheduler_executor_events_batch_size",
    help="Number of executor events in the last batch that a scheduler processed; the maximum over schedulers",
    origin="scheduler.executor_events.batch_size",
    audience="users of Airflow 3.4 and newer, which sends these StatsD names",
    since="3.4",
    merge=Merge.MAXIMUM,
)
ZOMBIES_DETECTED = counter(
    "airflow_scheduler_zombies_detected_total",
    help="Total number of running task instances found without a live process, by reason",
    labels=("reason",),
    origin="scheduler.zombies.detected",
    since="3.4",
    cap=100,
    audience="early users of Airflow 3.4; a dashboard will follow with its release",
)
CALLBACK_EXCEPTIONS = counter(
    "airflow_dag_callback_exceptions_total",
    help="Total number of failed DAG callbacks; the label is empty in plain StatsD",
    labels=("dag_id", "team"),
    origin="dag.callback_exceptions",
)
COLLECT_DB_DAGS_DURATION = histogram(
    "airflow_collect_db_dags_duration_seconds",
    help="Time that it took to read all serialized DAGs from the metadata database",
    origin="collect_db_dags",
    until="2.11",
    audience="users of Airflow 2 with slow schedulers",
)

FAMILIES = (
    HEARTBEATS,
    LOOP_DURATION,
    CRITICAL_SECTION_DURATION,
    CRITICAL_SECTION_QUERY_DURATION,
    CRITICAL_SECTION_BUSY,
    EXECUTOR_HEARTBEAT_DURATION,
    DEPENDENCY_CHECK_DURATION,
    DAG_DEPENDENCY_CHECK_SECONDS,
    TASKS,
    DAG_RUNS,
    ORPHANED_TASKS,
    KILLED_EXTERNALLY,
    WITHOUT_HEARTBEAT,
    LOOP_EXCEPTIONS,
    EXECUTOR_EVENTS_PROCESSED,
    EXECUTOR_EVENTS_FAILED,
    EXECUTOR_EVENTS_BATCH,
    ZOMBIES_DETECTED,
    CALLBACK_EXCEPTIONS,
    COLLECT_DB_DAGS_DURATION,
)

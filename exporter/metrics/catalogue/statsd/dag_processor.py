"""The DAG processor: files, parsing and callbacks, from StatsD.

Several processors either share the files by bundle or read the same files. Only queue lengths are summed, because each
processor has a separate queue; of totals the maximum is exposed, which never counts a file twice. The label `file` is
the API's name of the file (its path in the bundle) if that is known, otherwise the file name alone.
"""

from functools import partial

from exporter.metrics.family import Family, Kind, Merge

PARSE_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
OF_FILE = ("bundle", "file", "team")

gauge = partial(Family, kind=Kind.GAUGE, source="statsd", reader="dag_processor", ttl=600.0, merge=Merge.MAXIMUM)
counter = partial(Family, kind=Kind.COUNTER, source="statsd", reader="dag_processor")
file_gauge = partial(gauge, labels=OF_FILE, ttl=900.0, merge=Merge.NEWEST, periodic=True)

HEARTBEATS = counter(
    "airflow_dag_processor_heartbeats_total",
    help="Total number of heartbeats of all DAG processors",
    origin="dag_processor_heartbeat",
    since="3.0",
)
DAGS = gauge(
    "airflow_dag_processor_dags",
    help="Number of DAGs found in the last pass over all files",
    origin="dagbag_size",
)
TOTAL_PARSE_DURATION = gauge(
    "airflow_dag_processor_total_parse_duration_seconds",
    help="Duration of the last pass over all files",
    origin="dag_processing.total_parse_time",
)
QUEUED_FILES = gauge(
    "airflow_dag_processor_queued_files",
    help="Number of files that are waiting to be parsed, over all DAG processors",
    origin="dag_processing.file_path_queue_size",
    merge=Merge.SUM,
)
QUEUE_UPDATES = counter(
    "airflow_dag_processor_queue_updates_total",
    help="Total number of scans of the DAG folder that queued all its files",
    origin="dag_processing.file_path_queue_update_count",
    audience="users who investigate why a new DAG file is not found",
)
PARSE_DURATION = Family(
    "airflow_dag_processor_parse_duration_seconds",
    Kind.HISTOGRAM,
    help="Duration of parsing a file",
    source="statsd",
    reader="dag_processor",
    origin="dag_processing.last_duration",
    buckets=PARSE_BUCKETS,
)
FILE_DURATION = file_gauge(
    "airflow_dag_processor_file_duration_seconds",
    help="Duration of the last parse of the file",
    origin="dag_processing.last_duration",
)
FILE_LAST_RUN_AGE = file_gauge(
    "airflow_dag_processor_file_last_run_age_seconds",
    help="Time since the last parse of the file, as of Airflow's last report; constant between two reports",
    origin="dag_processing.last_run.seconds_ago",
)
FILE_DB_QUERIES = file_gauge(
    "airflow_dag_processor_file_db_queries",
    help="Number of metadata database queries during the last parse of the file",
    origin="dag_processing.last_num_of_db_queries",
    until="2.11",
    audience="users of Airflow 2, to find files that query Airflow's database while they are parsed",
)
ACTIONS = ("start", "finish", "stop", "timeout", "terminate")
PROCESSES = counter(
    "airflow_dag_processor_processes_total",
    help="Total number of parsing processes by what happened to them; 3.x reports an end only if the process was "
    "stopped",
    labels=("action", "team"),
    origin="dag_processing.processes",
    closed={"action": ACTIONS},
    audience="developers of Airflow who look at the processes that parse files",
)
TIMEOUTS = counter(
    "airflow_dag_processor_timeouts_total",
    help="Total number of parsing processes killed because of the timeout for one file; labels are empty in plain "
    "StatsD",
    labels=("bundle", "file", "team"),
    origin="dag_processing.processor_timeouts",
)
CALLBACKS = counter(
    "airflow_dag_processor_callbacks_total",
    help="Total number of callbacks requested from the DAG processor, without those of SLAs",
    labels=("team",),
    origin="dag_processing.other_callback_count",
)
CALLBACK_ONLY = counter(
    "airflow_dag_processor_callback_only_runs_total",
    help="Total number of processes that ran only callbacks and parsed no file",
    labels=("team",),
    origin="dag_processing.callback_only_count",
    since="3.1",
    audience="developers of Airflow who look at the processes that parse files",
)
SLA_CALLBACKS = counter(
    "airflow_dag_processor_sla_callbacks_total",
    help="Total number of callbacks of missed SLAs requested from the DAG processor",
    origin="dag_processing.sla_callback_count",
    until="2.11",
    audience="users of Airflow 2 with SLAs",
)
MANAGER_STALLS = counter(
    "airflow_dag_processor_manager_stalls_total",
    help="Total number of stalls of the DAG processor manager",
    origin="dag_processing.manager_stalls",
    until="2.11",
    audience="users of Airflow 2",
)
REFRESH_ERRORS = counter(
    "airflow_dag_processor_refresh_errors_total",
    help="Total number of failed loads of DAG files; the label is empty in plain StatsD",
    labels=("file",),
    origin="dag_file_refresh_error",
    until="2.11",
    audience="users of Airflow 2; airflow_import_errors covers all releases",
)
VERSIONS = counter(
    "airflow_dag_versions_total",
    help="Total number of DAG versions written, by action: created or updated",
    labels=("action", "dag_id", "bundle"),
    origin="dag.serialization.version_created, dag.serialization.version_updated",
    since="3.4",
    closed={"action": ("created", "updated")},
    audience="early users of Airflow 3.4; a dashboard will follow with its release",
)

FAMILIES = (
    HEARTBEATS,
    DAGS,
    TOTAL_PARSE_DURATION,
    QUEUED_FILES,
    QUEUE_UPDATES,
    PARSE_DURATION,
    FILE_DURATION,
    FILE_LAST_RUN_AGE,
    FILE_DB_QUERIES,
    PROCESSES,
    TIMEOUTS,
    CALLBACKS,
    CALLBACK_ONLY,
    SLA_CALLBACKS,
    MANAGER_STALLS,
    REFRESH_ERRORS,
    VERSIONS,
)

"""What is known of each DAG between its runs."""

from functools import partial

from exporter.metrics.family import Family, Kind

gauge = partial(Family, kind=Kind.GAUGE, source="airflow", reader="dags")
history = partial(Family, kind=Kind.GAUGE, source="airflow", reader="runs", labels=("dag_id",))

DAGS = gauge(
    "airflow_dags",
    help="DAGs by state: a stale DAG is one whose file is gone",
    labels=("state",),
    origin="/dags: is_paused, is_stale (2.x: is_active)",
    closed={"state": ("active", "paused", "stale")},
)
DAG_INFO = gauge(
    "airflow_dag_info",
    help="1, with what describes the DAG; owners and tags are sorted and joined by commas",
    labels=("dag_id", "owners", "tags", "schedule", "bundle", "file"),
    origin="/dags",
)
DAG_PAUSED = gauge(
    "airflow_dag_paused",
    help="Whether the DAG is paused",
    labels=("dag_id",),
    origin="/dags: is_paused",
)
DAG_NEXT_RUN = gauge(
    "airflow_dag_next_run_timestamp_seconds",
    help="From when on the next scheduled run may be created; in the past for a paused DAG and at max_active_runs",
    labels=("dag_id",),
    origin="/dags: next_dagrun_run_after (2.x: next_dagrun_create_after)",
)
DAG_OBJECTIVE = gauge(
    "airflow_dag_objective_seconds",
    help="How long after it was due a run of the DAG should have succeeded, by its tag slo:<duration>, as in slo:6h",
    labels=("dag_id",),
    origin="/dags: tags",
)
DAG_MAX_ACTIVE_RUNS = gauge(
    "airflow_dag_max_active_runs",
    help="Runs of the DAG that may be active at once; 3.x leaves backfill runs out, each backfill has its own limit",
    labels=("dag_id",),
    origin="/dags: max_active_runs",
)
DAG_MAX_ACTIVE_TASKS = gauge(
    "airflow_dag_max_active_tasks",
    help="Task instances of all the DAG's runs together that may be active at once, where Airflow counts so (2.x)",
    labels=("dag_id",),
    origin="/dags: max_active_tasks",
)
RUN_ACTIVE_TASKS_MAX = gauge(
    "airflow_dag_run_active_tasks_max",
    help="Task instances of one run of the DAG that may be active at once, where Airflow counts so (3.x)",
    labels=("dag_id",),
    origin="/dags: max_active_tasks",
    since="3.0",
)
DAG_PARSE_DURATION = gauge(
    "airflow_dag_parse_duration_seconds",
    help="How long the DAG's file took to parse, the last time",
    labels=("dag_id",),
    origin="/dags: last_parse_duration",
    since="3.0",
)
LAST_RUN_STATE = gauge(
    "airflow_dag_last_run_state",
    help="1 for the state in which the DAG's newest finished run ended; backfill runs are left out",
    reader="runs",
    labels=("dag_id", "state"),
    origin="/dagRuns: state",
)
LAST_RUN_END = history(
    "airflow_dag_last_run_end_timestamp_seconds",
    help="When the DAG's newest finished run ended; backfill runs are left out",
    origin="/dagRuns: end_date",
)
LAST_SUCCESS = history(
    "airflow_dag_last_success_timestamp_seconds",
    help="When a run of the DAG last ended in success; absent until known, backfill runs are left out",
    origin="/dagRuns: end_date",
)
LAST_SUCCESS_DATA = history(
    "airflow_dag_last_success_data_interval_end_timestamp_seconds",
    help="Up to when the DAG's data is complete: the newest data interval end of a successful run, without backfills",
    origin="/dagRuns: data_interval_end",
)
CONSECUTIVE_FAILED_RUNS = history(
    "airflow_dag_consecutive_failed_runs",
    help="Runs that failed since the DAG's last success (of the newest 25 when the exporter first saw the DAG)",
    origin="/dagRuns: state",
)
MAX_CONSECUTIVE_FAILED_RUNS = gauge(
    "airflow_dag_max_consecutive_failed_runs",
    help="After how many failed runs in a row Airflow pauses the DAG; absent where it never does",
    labels=("dag_id",),
    origin="/dags: max_consecutive_failed_dag_runs",
)

FAMILIES = (
    DAGS,
    DAG_INFO,
    DAG_PAUSED,
    DAG_NEXT_RUN,
    DAG_OBJECTIVE,
    LAST_RUN_STATE,
    LAST_RUN_END,
    LAST_SUCCESS,
    LAST_SUCCESS_DATA,
    CONSECUTIVE_FAILED_RUNS,
    DAG_PARSE_DURATION,
    DAG_MAX_ACTIVE_RUNS,
    DAG_MAX_ACTIVE_TASKS,
    RUN_ACTIVE_TASKS_MAX,
    MAX_CONSECUTIVE_FAILED_RUNS,
)

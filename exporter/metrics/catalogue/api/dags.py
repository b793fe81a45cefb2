"""DAGs: state, schedule, limits and results of the last runs, from the API."""

from functools import partial

from exporter.metrics.family import Family, Kind

gauge = partial(Family, kind=Kind.GAUGE, source="airflow", reader="dags")
asset = partial(Family, kind=Kind.GAUGE, source="airflow", reader="assets", labels=("dag_id",))
history = partial(Family, kind=Kind.GAUGE, source="airflow", reader="runs", labels=("dag_id",))

DAGS = gauge(
    "airflow_dags",
    help="Number of DAGs by state; stale means that the DAG's file is gone",
    labels=("state",),
    origin="/dags: is_paused, is_stale (2.x: is_active)",
    closed={"state": ("active", "paused", "stale")},
)
DAG_INFO = gauge(
    "airflow_dag_info",
    help="Constant 1, labelled with the DAG's description; owners and tags are sorted and joined by commas",
    labels=("dag_id", "owners", "tags", "schedule", "bundle", "file"),
    origin="/dags",
)
DAG_PAUSED = gauge(
    "airflow_dag_paused",
    help="1 if the DAG is paused, 0 otherwise",
    labels=("dag_id",),
    origin="/dags: is_paused",
)
DAG_NEXT_RUN = gauge(
    "airflow_dag_next_run_timestamp_seconds",
    help="Time from which the next scheduled run may be created; in the past for paused DAGs and DAGs at "
    "max_active_runs",
    labels=("dag_id",),
    origin="/dags: next_dagrun_run_after (2.x: next_dagrun_create_after)",
)
DAG_OBJECTIVE = gauge(
    "airflow_dag_objective_seconds",
    help="Time within which a run should succeed after it was due, from the DAG's tag slo:<duration> (for example "
    "slo:6h)",
    labels=("dag_id",),
    origin="/dags: tags",
)
DAG_MAX_ACTIVE_RUNS = gauge(
    "airflow_dag_max_active_runs",
    help="Maximum number of active runs of the DAG; on 3.x backfill runs do not count, each backfill has a "
    "separate limit",
    labels=("dag_id",),
    origin="/dags: max_active_runs",
)
DAG_MAX_ACTIVE_TASKS = gauge(
    "airflow_dag_max_active_tasks",
    help="Maximum number of active task instances over all runs of the DAG (2.x, where the limit is per DAG)",
    labels=("dag_id",),
    origin="/dags: max_active_tasks",
)
RUN_ACTIVE_TASKS_MAX = gauge(
    "airflow_dag_run_active_tasks_max",
    help="Maximum number of active task instances in one run of the DAG (3.x, where the limit is per run)",
    labels=("dag_id",),
    origin="/dags: max_active_tasks",
    since="3.0",
)
DAG_PARSE_DURATION = gauge(
    "airflow_dag_parse_duration_seconds",
    help="Duration of the last parse of the DAG's file",
    labels=("dag_id",),
    origin="/dags: last_parse_duration",
    since="3.1",
)
LAST_RUN_STATE = gauge(
    "airflow_dag_last_run_state",
    help="1 for the state in which the DAG's newest finished run ended; backfill runs are excluded",
    reader="runs",
    labels=("dag_id", "state"),
    origin="/dagRuns: state",
)
LAST_RUN_END = history(
    "airflow_dag_last_run_end_timestamp_seconds",
    help="Time at which the DAG's newest finished run ended; backfill runs are excluded",
    origin="/dagRuns: end_date",
)
LAST_SUCCESS = history(
    "airflow_dag_last_success_timestamp_seconds",
    help="Time at which a run of the DAG last succeeded; absent until known; backfill runs are excluded",
    origin="/dagRuns: end_date",
)
LAST_SUCCESS_DATA = history(
    "airflow_dag_last_success_data_interval_end_timestamp_seconds",
    help="Newest data interval end of a successful run: the DAG's data is complete up to here; backfill runs are "
    "excluded",
    origin="/dagRuns: data_interval_end",
)
CONSECUTIVE_FAILED_RUNS = history(
    "airflow_dag_consecutive_failed_runs",
    help="Number of runs that failed since the DAG's last success (at most 25 at the exporter's first start)",
    origin="/dagRuns: state",
)
MAX_CONSECUTIVE_FAILED_RUNS = gauge(
    "airflow_dag_max_consecutive_failed_runs",
    help="Number of consecutive failed runs after which Airflow pauses the DAG; absent if it never does",
    labels=("dag_id",),
    origin="/dags: max_consecutive_failed_dag_runs",
)

ASSET_LAST_EVENT = asset(
    "airflow_asset_last_event_timestamp_seconds",
    help="Time of the newest event of the asset (2.x: dataset, named by its URI); absent if it was never updated",
    labels=("asset",),
    origin="/assets: last_asset_event; /assets/events: timestamp (2.x: /datasets/events)",
)
DAG_SCHEDULE_ASSET_INFO = asset(
    "airflow_dag_schedule_asset_info",
    help="Constant 1 for each asset that schedules the DAG",
    labels=("dag_id", "asset"),
    origin="/assets: scheduled_dags (2.x: /datasets: consuming_dags)",
)
QUEUED_ASSET_EVENTS = asset(
    "airflow_dag_queued_asset_events",
    help="Number of assets of the DAG's schedule that were updated since its last run; it waits for the others",
    origin="/dags/{dag_id}/assets/queuedEvents (2.x: /dags/{dag_id}/datasets/queuedEvent)",
)
OLDEST_QUEUED_ASSET_EVENT = asset(
    "airflow_dag_queued_asset_event_oldest_created_timestamp_seconds",
    help="Time at which the oldest asset event that is queued for the DAG was queued",
    origin="/dags/{dag_id}/assets/queuedEvents: created_at",
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
    ASSET_LAST_EVENT,
    DAG_SCHEDULE_ASSET_INFO,
    QUEUED_ASSET_EVENTS,
    OLDEST_QUEUED_ASSET_EVENT,
)

"""DAG runs: the active ones, and every finished run, counted once; from the API."""

from functools import partial

from exporter.metrics.family import Family, Kind

BUCKETS = (1.0, 10.0, 60.0, 300.0, 1800.0, 7200.0, 28800.0, 86400.0)

gauge = partial(Family, kind=Kind.GAUGE, source="airflow", reader="runs")
counter = partial(Family, kind=Kind.COUNTER, source="airflow", reader="runs", cap=20_000)
histogram = partial(
    Family, kind=Kind.HISTOGRAM, source="airflow", reader="runs", labels=("dag_id",), buckets=BUCKETS, cap=5_000
)

RUNS = gauge(
    "airflow_dag_runs",
    help="Number of queued and running DAG runs",
    labels=("dag_id", "run_type", "state"),
    origin="/dagRuns?state=queued&state=running",
)
OLDEST_STATE_ENTRY = gauge(
    "airflow_dag_run_oldest_state_entry_timestamp_seconds",
    help="Time at which the run that has been longest in this state entered it (2.x: only for running)",
    labels=("dag_id", "state"),
    origin="/dagRuns: queued_at, start_date",
)
OLDEST_UNFINISHED = gauge(
    "airflow_dag_run_oldest_unfinished_run_after_timestamp_seconds",
    help="Time at which the oldest unfinished scheduled run was due; absent if every run has finished",
    labels=("dag_id",),
    origin="/dagRuns: run_after (2.x: data_interval_end)",
    audience="users who count lateness from the due date alone; dashboards and alerts use …_wanted_timestamp_seconds",
)
OLDEST_UNFINISHED_WANTED = gauge(
    "airflow_dag_run_oldest_unfinished_wanted_timestamp_seconds",
    help="Time at which the oldest unfinished scheduled run became due, or was created or cleared (2.x: or "
    "started) if that was later; absent if every run has finished",
    labels=("dag_id",),
    origin="/dagRuns: run_after, queued_at (2.x: data_interval_end, start_date)",
)
FINISHED = counter(
    "airflow_dag_runs_finished_total",
    help="Total number of finished runs by final state; a cleared run counts again when it ends again",
    labels=("dag_id", "run_type", "state"),
    origin="/dagRuns: state, end_date",
)
DURATION = histogram(
    "airflow_dag_run_duration_seconds",
    help="Duration of successful runs, from start to end",
    origin="/dagRuns: end_date - start_date",
)
SCHEDULE_DELAY = histogram(
    "airflow_dag_run_schedule_delay_seconds",
    help="Time from when a scheduled run was due until it started; cleared runs are excluded",
    origin="/dagRuns: start_date - run_after",
)
SINCE_RUN_AFTER = histogram(
    "airflow_dag_run_since_run_after_seconds",
    help="Time from when a scheduled run was due until it ended; cleared runs are excluded",
    origin="/dagRuns: end_date - run_after",
)
BACKFILL_RUNS = gauge(
    "airflow_backfill_runs",
    help="Number of queued and running runs of unfinished backfills",
    labels=("dag_id", "state"),
    reader="backfills",
    origin="/dagRuns?state=queued&state=running: run_type",
)
BACKFILL_MAX_ACTIVE_RUNS = gauge(
    "airflow_backfill_max_active_runs",
    help="Maximum number of active runs, summed over the DAG's unfinished backfills",
    labels=("dag_id",),
    reader="backfills",
    origin="/backfills: max_active_runs",
    since="3.0",
)
BACKFILL_OLDEST_START = gauge(
    "airflow_backfill_oldest_created_timestamp_seconds",
    help="Time at which the DAG's oldest unfinished backfill was created",
    labels=("dag_id",),
    reader="backfills",
    origin="/backfills: created_at",
    since="3.0",
)

FAMILIES = (
    RUNS,
    OLDEST_STATE_ENTRY,
    OLDEST_UNFINISHED,
    OLDEST_UNFINISHED_WANTED,
    FINISHED,
    DURATION,
    SCHEDULE_DELAY,
    SINCE_RUN_AFTER,
    BACKFILL_RUNS,
    BACKFILL_MAX_ACTIVE_RUNS,
    BACKFILL_OLDEST_START,
)

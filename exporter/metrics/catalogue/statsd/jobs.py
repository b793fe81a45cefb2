"""Jobs, assets, SLAs, deadlines and resumable jobs, from StatsD."""

from functools import partial

from exporter.metrics.family import Family, Kind

gauge = partial(Family, kind=Kind.GAUGE, source="statsd", reader="jobs")
counter = partial(Family, kind=Kind.COUNTER, source="statsd", reader="jobs", cap=5_000)
ended = partial(counter, until="2.11")

STARTED = counter("airflow_jobs_started_total", help="Total number of Airflow jobs started", origin="job_start")
ENDED = counter("airflow_jobs_ended_total", help="Total number of Airflow jobs ended", origin="job_end")
HEARTBEAT_FAILURES = counter(
    "airflow_job_heartbeat_failures_total",
    help="Total number of failed heartbeats of Airflow jobs",
    origin="job_heartbeat_failure",
)
SCHEDULER_ENDS = counter(
    "airflow_scheduler_ends_total",
    help="Total number of schedulers that ended regularly",
    origin="schedulerjobrunner_end",
)
TASK_EXITS = ended(
    "airflow_local_task_job_exits_total",
    help="Total number of finished task jobs, by return code of the task's process",
    labels=("dag_id", "return_code"),
    origin="local_task_job.task_exit",
    cap=10_000,
    audience="users of Airflow 2, to distinguish a kill (-9) from an error (1)",
)
PROLONGED_HEARTBEAT_FAILURES = ended(
    "airflow_local_task_job_prolonged_heartbeat_failures_total",
    help="Total number of task jobs whose heartbeat failed for too long",
    origin="local_task_job_prolonged_heartbeat_failure",
    audience="users of Airflow 2",
)
SLA_MISSED = ended(
    "airflow_sla_missed_total",
    help="Total number of missed SLAs; labels are empty in plain StatsD",
    labels=("dag_id", "task_id"),
    origin="sla_missed",
)
SLA_CALLBACK_FAILURES = ended(
    "airflow_sla_callback_notification_failures_total",
    help="Total number of failed callbacks for missed SLAs; the label is empty in plain StatsD",
    labels=("dag_id",),
    origin="sla_callback_notification_failure",
    audience="users of Airflow 2 with SLAs",
)
SLA_EMAIL_FAILURES = ended(
    "airflow_sla_email_notification_failures_total",
    help="Total number of e-mails about missed SLAs that could not be sent; the label is empty in plain StatsD",
    labels=("dag_id",),
    origin="sla_email_notification_failure",
    audience="users of Airflow 2 with SLAs",
)
ASSET_UPDATES = counter(
    "airflow_asset_updates_total",
    help="Total number of asset updates",
    labels=("team",),
    origin="asset.updates (2.x: dataset.updates)",
)
ASSET_RUNS = counter(
    "airflow_asset_triggered_dag_runs_total",
    help="Total number of DAG runs triggered by asset updates",
    labels=("team",),
    origin="asset.triggered_dagruns (2.x: dataset.triggered_dagruns)",
)
ASSETS_ORPHANED = gauge(
    "airflow_assets_orphaned",
    help="Number of assets that no DAG references any more",
    origin="asset.orphaned (2.x: dataset.orphaned)",
    ttl=300.0,
    audience="authors of DAGs that are scheduled by assets",
)
OF_DEADLINE = partial(counter, labels=("dag_id",), since="3.2")
DEADLINES_CREATED = OF_DEADLINE(
    "airflow_deadlines_created_total",
    help="Total number of deadlines created for runs; the label is empty in plain StatsD",
    origin="deadline_alerts.deadline_created",
)
DEADLINES_MISSED = OF_DEADLINE(
    "airflow_deadlines_missed_total",
    help="Total number of missed deadlines; the label is empty in plain StatsD",
    origin="deadline_alerts.deadline_missed",
)
DEADLINES_MET = OF_DEADLINE(
    "airflow_deadlines_met_total",
    help="Total number of deadlines that were met; the label is empty in plain StatsD",
    origin="deadline_alerts.deadline_not_missed",
)
DEADLINE_CALLBACKS = counter(
    "airflow_deadline_callbacks_total",
    help="Total number of callbacks for missed deadlines, by final state",
    labels=("status", "team"),
    origin="deadline_alerts.callback_{status}",
    since="3.2",
    cap=50,
    audience="authors of deadlines, to see whether callbacks work",
)
RESUMABLE = partial(counter, labels=("operator", "team"), since="3.3")
RESUMABLE_SUBMITTED = RESUMABLE(
    "airflow_resumable_job_fresh_submits_total",
    help="Total number of first submissions by resumable operators; the label is empty in plain StatsD",
    origin="resumable_job.fresh_submit",
    audience="authors of resumable operators, to see how often a job is resumed",
)
RESUMABLE_SUCCEEDED = RESUMABLE(
    "airflow_resumable_job_already_succeeded_total",
    help="Total number of resumed jobs that had already succeeded; the label is empty in plain StatsD",
    origin="resumable_job.already_succeeded",
    audience="authors of resumable operators, to see how often a job is resumed",
)
RESUMABLE_RESUBMITTED = RESUMABLE(
    "airflow_resumable_job_terminal_resubmits_total",
    help="Total number of jobs submitted again by resumable operators after a failure; the label is empty in plain"
    " StatsD",
    origin="resumable_job.terminal_resubmit",
    audience="authors of resumable operators, to see how often a job is resumed",
)
RESUMABLE_ATTEMPTS = RESUMABLE(
    "airflow_resumable_job_reconnect_attempts_total",
    help="Total number of attempts of resumable operators to reconnect to a running job; the label is empty in "
    "plain StatsD",
    origin="resumable_job.reconnect_attempt",
    audience="authors of resumable operators, to see how often a job is resumed",
)
RESUMABLE_RECONNECTED = RESUMABLE(
    "airflow_resumable_job_reconnects_total",
    help="Total number of running jobs that resumable operators reconnected to; the label is empty in plain StatsD",
    origin="resumable_job.reconnect_success",
    audience="authors of resumable operators, to see how often a job is resumed",
)

FAMILIES = (
    STARTED,
    ENDED,
    HEARTBEAT_FAILURES,
    SCHEDULER_ENDS,
    TASK_EXITS,
    PROLONGED_HEARTBEAT_FAILURES,
    SLA_MISSED,
    SLA_CALLBACK_FAILURES,
    SLA_EMAIL_FAILURES,
    ASSET_UPDATES,
    ASSET_RUNS,
    ASSETS_ORPHANED,
    DEADLINES_CREATED,
    DEADLINES_MISSED,
    DEADLINES_MET,
    DEADLINE_CALLBACKS,
    RESUMABLE_SUBMITTED,
    RESUMABLE_SUCCEEDED,
    RESUMABLE_RESUBMITTED,
    RESUMABLE_ATTEMPTS,
    RESUMABLE_RECONNECTED,
)

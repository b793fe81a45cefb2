"""Airflow's jobs, assets, SLAs, deadlines and resumable jobs, as they are reported over StatsD."""

from functools import partial

from exporter.metrics.family import Family, Kind

gauge = partial(Family, kind=Kind.GAUGE, source="statsd", reader="jobs")
counter = partial(Family, kind=Kind.COUNTER, source="statsd", reader="jobs", cap=5_000)
ended = partial(counter, until="2.11")

STARTED = counter("airflow_jobs_started_total", help="Jobs of Airflow that started", origin="job_start")
ENDED = counter("airflow_jobs_ended_total", help="Jobs of Airflow that ended", origin="job_end")
HEARTBEAT_FAILURES = counter(
    "airflow_job_heartbeat_failures_total",
    help="Heartbeats of Airflow's jobs that failed",
    origin="job_heartbeat_failure",
)
SCHEDULER_ENDS = counter(
    "airflow_scheduler_ends_total",
    help="Schedulers that ended in good order",
    origin="schedulerjobrunner_end",
)
TASK_EXITS = ended(
    "airflow_local_task_job_exits_total",
    help="Jobs of tasks that ended, by the return code of the task's process",
    labels=("dag_id", "return_code"),
    origin="local_task_job.task_exit",
    cap=10_000,
    audience="those who still run Airflow 2, to tell a kill (-9) from an error (1)",
)
PROLONGED_HEARTBEAT_FAILURES = ended(
    "airflow_local_task_job_prolonged_heartbeat_failures_total",
    help="Jobs of tasks that could not send a heartbeat for too long",
    origin="local_task_job_prolonged_heartbeat_failure",
    audience="those who still run Airflow 2",
)
SLA_MISSED = ended(
    "airflow_sla_missed_total",
    help="SLAs that were missed; the labels are empty in plain StatsD",
    labels=("dag_id", "task_id"),
    origin="sla_missed",
)
SLA_CALLBACK_FAILURES = ended(
    "airflow_sla_callback_notification_failures_total",
    help="Callbacks of missed SLAs that failed; the label is empty in plain StatsD",
    labels=("dag_id",),
    origin="sla_callback_notification_failure",
    audience="those who still run Airflow 2 with SLAs",
)
SLA_EMAIL_FAILURES = ended(
    "airflow_sla_email_notification_failures_total",
    help="E-mails about missed SLAs that could not be sent; the label is empty in plain StatsD",
    labels=("dag_id",),
    origin="sla_email_notification_failure",
    audience="those who still run Airflow 2 with SLAs",
)
ASSET_UPDATES = counter(
    "airflow_asset_updates_total",
    help="Updates of assets",
    labels=("team",),
    origin="asset.updates (2.x: dataset.updates)",
)
ASSET_RUNS = counter(
    "airflow_asset_triggered_dag_runs_total",
    help="DAG runs that updates of assets triggered",
    labels=("team",),
    origin="asset.triggered_dagruns (2.x: dataset.triggered_dagruns)",
)
ASSETS_ORPHANED = gauge(
    "airflow_assets_orphaned",
    help="Assets that no DAG refers to any more",
    origin="asset.orphaned (2.x: dataset.orphaned)",
    ttl=300.0,
    audience="authors of DAGs that are scheduled by assets",
)
OF_DEADLINE = partial(counter, labels=("dag_id",), since="3.1")
DEADLINES_CREATED = OF_DEADLINE(
    "airflow_deadlines_created_total",
    help="Deadlines that were set for runs; the label is empty in plain StatsD",
    origin="deadline_alerts.deadline_created",
)
DEADLINES_MISSED = OF_DEADLINE(
    "airflow_deadlines_missed_total",
    help="Deadlines that runs missed; the label is empty in plain StatsD",
    origin="deadline_alerts.deadline_missed",
)
DEADLINES_MET = OF_DEADLINE(
    "airflow_deadlines_met_total",
    help="Deadlines that runs kept; the label is empty in plain StatsD",
    origin="deadline_alerts.deadline_not_missed",
)
DEADLINE_CALLBACKS = counter(
    "airflow_deadline_callbacks_total",
    help="Callbacks of missed deadlines, by how they ended",
    labels=("status", "team"),
    origin="deadline_alerts.callback_{status}",
    since="3.1",
    cap=50,
    audience="authors of deadlines, to see whether callbacks work",
)
RESUMABLE = partial(counter, labels=("operator", "team"), since="3.3")
RESUMABLE_SUBMITTED = RESUMABLE(
    "airflow_resumable_job_fresh_submits_total",
    help="Jobs that resumable operators submitted for the first time; the label is empty in plain StatsD",
    origin="resumable_job.fresh_submit",
    audience="authors of resumable operators, to see how often a job is taken up again",
)
RESUMABLE_SUCCEEDED = RESUMABLE(
    "airflow_resumable_job_already_succeeded_total",
    help="Jobs of resumable operators that had succeeded meanwhile; the label is empty in plain StatsD",
    origin="resumable_job.already_succeeded",
    audience="authors of resumable operators, to see how often a job is taken up again",
)
RESUMABLE_RESUBMITTED = RESUMABLE(
    "airflow_resumable_job_terminal_resubmits_total",
    help="Jobs that resumable operators submitted anew after a failure; the label is empty in plain StatsD",
    origin="resumable_job.terminal_resubmit",
    audience="authors of resumable operators, to see how often a job is taken up again",
)
RESUMABLE_ATTEMPTS = RESUMABLE(
    "airflow_resumable_job_reconnect_attempts_total",
    help="Attempts of resumable operators to find a running job again; the label is empty in plain StatsD",
    origin="resumable_job.reconnect_attempt",
    audience="authors of resumable operators, to see how often a job is taken up again",
)
RESUMABLE_RECONNECTED = RESUMABLE(
    "airflow_resumable_job_reconnects_total",
    help="Running jobs that resumable operators found again; the label is empty in plain StatsD",
    origin="resumable_job.reconnect_success",
    audience="authors of resumable operators, to see how often a job is taken up again",
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

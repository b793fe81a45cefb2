"""Jobs, assets, SLAs, deadlines and resumable jobs."""

from exporter.metrics.catalogue.statsd import jobs
from exporter.sources.statsd.airflow_names.event import Event, FamilyBinding
from exporter.sources.statsd.airflow_names.events.scheduler import BOTH, counter, gauge
from exporter.sources.statsd.model import MetricType

DAG = ("dag_id",)

EVENTS = (
    counter("job_start", jobs.STARTED),
    counter("job_end", jobs.ENDED),
    counter("job_heartbeat_failure", jobs.HEARTBEAT_FAILURES),
    counter("schedulerjobrunner_end", jobs.SCHEDULER_ENDS),
    Event(
        "local_task_job.task_exit",
        MetricType.COUNTER,
        bindings=(FamilyBinding(jobs.TASK_EXITS),),
        legacy=("local_task_job.task_exit.{job_id}.{dag_id}.{task_id}.{return_code}",),
        releases="2.x",
    ),
    counter("local_task_job_prolonged_heartbeat_failure", jobs.PROLONGED_HEARTBEAT_FAILURES, "2.x"),
    counter("sla_missed", jobs.SLA_MISSED, "2.x", tags=BOTH),
    counter("sla_callback_notification_failure", jobs.SLA_CALLBACK_FAILURES, "2.x", tags=DAG),
    counter("sla_email_notification_failure", jobs.SLA_EMAIL_FAILURES, "2.x", tags=DAG),
    counter("asset.updates", jobs.ASSET_UPDATES, "3.0+"),
    counter("dataset.updates", jobs.ASSET_UPDATES, "2.x"),
    counter("asset.triggered_dagruns", jobs.ASSET_RUNS, "3.0+"),
    counter("dataset.triggered_dagruns", jobs.ASSET_RUNS, "2.x"),
    gauge("asset.orphaned", jobs.ASSETS_ORPHANED, "3.0+"),
    gauge("dataset.orphaned", jobs.ASSETS_ORPHANED, "2.x"),
    counter("deadline_alerts.deadline_created", jobs.DEADLINES_CREATED, "3.2+", tags=DAG),
    counter("deadline_alerts.deadline_missed", jobs.DEADLINES_MISSED, "3.2+", tags=DAG),
    counter("deadline_alerts.deadline_not_missed", jobs.DEADLINES_MET, "3.2+", tags=DAG),
    Event(
        "deadline_alerts.callback",
        MetricType.COUNTER,
        bindings=(FamilyBinding(jobs.DEADLINE_CALLBACKS),),
        legacy=("deadline_alerts.callback_{status}",),
        releases="3.2+",
        twins=False,
        note="the callback's result and data, which Airflow sends as tags, are left out: they have no bound",
    ),
    *(
        counter(f"resumable_job.{name}", family, "3.3+", tags=("operator",))
        for name, family in {
            "fresh_submit": jobs.RESUMABLE_SUBMITTED,
            "already_succeeded": jobs.RESUMABLE_SUCCEEDED,
            "terminal_resubmit": jobs.RESUMABLE_RESUBMITTED,
            "reconnect_attempt": jobs.RESUMABLE_ATTEMPTS,
            "reconnect_success": jobs.RESUMABLE_RECONNECTED,
        }.items()
    ),
)

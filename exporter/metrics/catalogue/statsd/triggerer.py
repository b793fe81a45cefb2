"""Triggerers, from StatsD: each reports under the name of its host, so its newest report is used."""

from functools import partial

from exporter.metrics.family import Family, Kind

BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

gauge = partial(
    Family, kind=Kind.GAUGE, source="statsd", reader="triggerer", labels=("hostname", "team"), ttl=120.0, cap=1_000
)
counter = partial(Family, kind=Kind.COUNTER, source="statsd", reader="triggerer")
histogram = partial(Family, kind=Kind.HISTOGRAM, source="statsd", reader="triggerer", buckets=BUCKETS)

HEARTBEATS = counter(
    "airflow_triggerer_heartbeats_total",
    help="Total number of heartbeats of all triggerers",
    labels=("team",),
    origin="triggerer_heartbeat",
)
RUNNING = gauge(
    "airflow_triggerer_running_triggers",
    help="Number of triggers that the triggerer runs",
    origin="triggers.running",
)
CAPACITY_LEFT = gauge(
    "airflow_triggerer_capacity_left",
    help="Number of further triggers that the triggerer can run",
    origin="triggerer.capacity_left",
    since="3.0",
)
SUCCEEDED = counter(
    "airflow_triggers_succeeded_total",
    help="Total number of triggers that fired an event",
    labels=("team",),
    origin="triggers.succeeded",
)
FAILED = counter(
    "airflow_triggers_failed_total",
    help="Total number of triggers that failed before they fired an event",
    labels=("team",),
    origin="triggers.failed",
)
BLOCKED_MAIN_THREAD = counter(
    "airflow_triggers_blocked_main_thread_total",
    help="Total number of times that a trigger blocked all others of its triggerer, usually because it is not "
    "asynchronous",
    labels=("team",),
    origin="triggers.blocked_main_thread",
)
STATE_MISMATCH = counter(
    "airflow_triggers_state_mismatch_total",
    help="Total number of triggers whose task instance had left the state for which they were created",
    origin="triggers.state_mismatch",
    since="3.4",
    audience="early users of Airflow 3.4; a dashboard will follow with its release",
)
CREATION_DURATION = histogram(
    "airflow_triggerer_batch_creation_duration_seconds",
    help="Time that a triggerer took to create a batch of triggers",
    origin="triggerer.batch_trigger_creation_duration",
    since="3.4",
    audience="early users of Airflow 3.4; a dashboard will follow with its release",
)
QUEUE_DELAY = histogram(
    "airflow_triggerer_queue_delay_seconds",
    help="Time that triggers waited for a triggerer",
    origin="triggerer.trigger_queue_delay",
    since="3.4",
    audience="early users of Airflow 3.4; a dashboard will follow with its release",
)

FAMILIES = (
    HEARTBEATS,
    RUNNING,
    CAPACITY_LEFT,
    SUCCEEDED,
    FAILED,
    BLOCKED_MAIN_THREAD,
    STATE_MISMATCH,
    CREATION_DURATION,
    QUEUE_DELAY,
)

"""Why tries fail and whether retries help: the class of each failed try, from its log, exit codes and signals."""

from functools import partial

from exporter.metrics.family import Family, Kind

PER_DAG = 10_000
ORIGIN = "/taskInstances, and the log of the try: see docs/diagnosis.md"
ERROR_CLASSES = (
    "network",
    "timeout",
    "memory",
    "database",
    "killed",
    "dependency",
    "configuration",
    "disk",
    "code",
    "command",
    "unknown",
)
"""All values of the label `error_class`; exporter/diagnosis/error_classes.py describes them."""
CLOSED = {"error_class": ERROR_CLASSES}
counter = partial(
    Family,
    kind=Kind.COUNTER,
    source="airflow",
    reader="failures",
    labels=("dag_id", "error_class"),
    closed=CLOSED,
    origin=ORIGIN,
    cap=PER_DAG,
)

FAILED_BY_CLASS = counter(
    "airflow_task_tries_failed_by_class_total",
    help="Total number of failed tries, including those that are retried, by what made them fail; each is counted "
    "under one class, once its log was read",
)
RETRIED_BY_CLASS = counter(
    "airflow_task_tries_retried_by_class_total",
    help="Total number of failed tries that are followed by a retry, by what made them fail",
)
RECOVERED_BY_CLASS = counter(
    "airflow_task_tries_recovered_by_class_total",
    help="Total number of failed tries whose next try succeeded, by what made them fail",
)
RETRY_DELAY = counter(
    "airflow_task_retry_delay_seconds_total",
    help="Total time from the end of a failed try to the start of the next one, by what made it fail",
)
TRY_NUMBERS = ("1", "2", "3", "4+")
SUCCEEDED = counter(
    "airflow_task_tries_succeeded_total",
    help="Total number of successful tries, by their number: 1 is a success without a retry",
    labels=("dag_id", "try_number"),
    closed={"try_number": TRY_NUMBERS},
    origin="/taskInstances: state, try_number",
    reader="tasks",
)
CLASS_INFO = Family(
    "airflow_task_error_class_info",
    kind=Kind.GAUGE,
    source="airflow",
    reader="failures",
    help="Always 1: what a class of failed tries means, and which settings to look at",
    labels=("error_class", "meaning", "setting"),
    closed=CLOSED,
    origin=ORIGIN,
)
FAILED_BY_EXCEPTION = counter(
    "airflow_task_tries_failed_by_exception_total",
    help="Total number of failed tries by the type of the exception that ended them (empty without one), only with "
    "airflow.exception_labels",
    labels=("dag_id", "error_class", "exception"),
    cap=2_000,
    audience="users who turned airflow.exception_labels on, in queries by type of exception",
)
LOG_OUTCOMES = ("read", "gone", "forbidden", "timeout", "over_budget", "too_long", "error")
LOGS_READ = counter(
    "airflow_task_logs_read_total",
    help="Total number of failed tries by what came of reading their log: read, gone (no longer there), forbidden, "
    "timeout, over_budget (not read: too many at once), too_long (the end was not reached), error",
    labels=("outcome",),
    closed={"outcome": LOG_OUTCOMES},
    origin="/logs",
    audience="users whose failed tries are of the class unknown; runbooks ask for it",
)

FAMILIES = (
    FAILED_BY_CLASS,
    RETRIED_BY_CLASS,
    RECOVERED_BY_CLASS,
    RETRY_DELAY,
    SUCCEEDED,
    CLASS_INFO,
    LOGS_READ,
    FAILED_BY_EXCEPTION,
)

"""Why task instances and DAG runs wait: what the diagnosis makes of each reading of Airflow's API."""

from functools import partial

from exporter.metrics.family import Family, Kind

ORIGIN = "computed from active task instances and runs, pools, DAGs and limits: see docs/diagnosis.md"
gauge = partial(Family, kind=Kind.GAUGE, source="airflow", reader="waits", origin=ORIGIN)
counter = partial(Family, kind=Kind.COUNTER, source="airflow", reader="waits", origin=ORIGIN)

WAITING_TASKS = gauge(
    "airflow_waiting_task_instances",
    help="Number of task instances that wait, each counted under one reason: the first of the scheduler's checks that "
    "it does not pass",
    labels=("dag_id", "reason"),
)
WAITING_RUNS = gauge(
    "airflow_waiting_dag_runs",
    help="Number of DAG runs that wait, each counted under one reason: queued ones that are not started, and running "
    "ones in which no task instance is active",
    labels=("dag_id", "reason"),
)
DAG_BLOCKED = gauge(
    "airflow_dag_blocked",
    help="Always 1: the DAG is meant to run and does not, with the one reason why",
    labels=("dag_id", "reason"),
)
SUSPICIOUS_TASKS = gauge(
    "airflow_suspicious_task_instances",
    help="Number of running task instances that hang, lack CPU, poll, or have lost their process or their heartbeat",
    labels=("dag_id", "reason"),
)
OBJECT_WAITING = gauge(
    "airflow_object_waiting_task_instances",
    help="Number of task instances that wait for an object: the pool, DAG, task (dag_id.task_id), queue or executor "
    "that the reason names",
    labels=("reason", "object"),
    cap=2_000,
)
OBJECT_WAITING_SINCE = gauge(
    "airflow_object_waiting_since_timestamp_seconds",
    help="Time since which the task instance or run that waits longest for the object has waited (the first "
    "sight of it where Airflow 2 does not say)",
    labels=("reason", "object"),
    cap=2_000,
)
OBJECT_WAITING_RUNS = gauge(
    "airflow_object_waiting_dag_runs",
    help="Number of DAG runs that wait for an object: the DAG or task (dag_id.task_id) that the reason names",
    labels=("reason", "object"),
    cap=2_000,
)
REASON_INFO = gauge(
    "airflow_reason_info",
    help="Always 1: the setting that changes a reason, and whether waiting alone ever helps (never, busy or normal)",
    labels=("reason", "setting", "patience"),
)
WAITED_SECONDS = counter(
    "airflow_waited_seconds_total",
    help="Seconds that task instances have waited, all added up, by the reason at the time",
    labels=("dag_id", "reason"),
)
OBJECT_WAITED_SECONDS = counter(
    "airflow_object_waited_seconds_total",
    help="Seconds that task instances have waited for an object, all added up: what each limit has cost",
    labels=("reason", "object"),
    cap=2_000,
)

FAMILIES = (
    WAITING_TASKS,
    WAITING_RUNS,
    DAG_BLOCKED,
    SUSPICIOUS_TASKS,
    OBJECT_WAITING,
    OBJECT_WAITING_SINCE,
    OBJECT_WAITING_RUNS,
    REASON_INFO,
    WAITED_SECONDS,
    OBJECT_WAITED_SECONDS,
)

"""Queries that may be empty on an Airflow 3.3 with a LocalExecutor on one machine, and why. No other query may be."""

from __future__ import annotations

from collections.abc import Mapping

from tests.grafana.boards import BOARDS

CELERY = "there is no Celery worker: LocalExecutor runs the tasks"
KUBERNETES = "there is no Kubernetes"
EDGE = "there is no Edge worker"
RELEASE_2 = "Airflow 2 only"
WEEK = "recorded at whole hours, and only after ten runs and a day"
CGROUP = "only where the machine has a control group with such a limit"
NETWORK = "tasks are in the network namespace of their host"
RELAY = "the exporter has no relay target"
READABLE = "only where the exporter's user may not read something"
UNLIMITED = "these DAGs have no max_consecutive_failed_dag_runs"
NO_ASSETS = "no asset schedules the DAG that is selected"
NO_APPROVALS = "no task asks a person for approval"
QUEUED = "tasks that can start are queued at once: the LocalExecutor of Airflow 3 accepts any number"
PATIENT = "nothing waits for ten minutes"
NOTHING_WAITS = "no limit is in use: tasks that wait, wait for nothing that can be changed"
NOT_BLOCKED = "every DAG and every run goes on"
ALONE = "a single scheduler never has to wait for the critical section"
NO_COSTS = "the DAGs have neither poking sensors nor retries that waited, or none is selected"
IDLE = "no run skipped everything, and no time of a schedule was left out"
FEW_ATTEMPTS = "needs attempts that follow each other: twenty for the start of a try, five for the growth of a task"
NO_LOCKS = "no session waits for a lock, or is idle in a transaction for long"
NO_REPLICA = "the database has no replica"
NO_VACUUM = "no table was vacuumed yet"
BUSY = "recorded where less runs than in most of the last week"
CRITICAL = "critical alerts hold for minutes: make e2e-alerts fires them"

ABSENT = frozenset({KUBERNETES, EDGE, RELEASE_2, NO_REPLICA, CGROUP})
"""Reasons of queries about parts that this Airflow does not have at all: nothing done to it could give them data."""

EMPTY: Mapping[str, str] = {
    "alert AirflowTasksCannotStart: airflow_object:waiting_task_instances": "no pool is missing or too small",
    "airflow-concurrency: Usage of global limits C": CELERY,
    "airflow-celery: Queues C": "Redis does not know its consumers",
    "rule airflow:worker_slots": CELERY,
    "alert AirflowNoProgress: airflow:worker_slots": CELERY,
    "alert AirflowDagRunsFailingInARow: airflow_dag_max_consecutive_failed_runs": UNLIMITED,
    "rule airflow:task_instances_unexplained": QUEUED,
    "alert AirflowNoProgress: airflow:task_instances_unexplained": QUEUED,
    "rule airflow_object:waited_long": PATIENT,
    "alert AirflowTasksWaitingFor": PATIENT,
    "alert AirflowDagRunsWaitingForLimit": PATIENT,
    "alert AirflowBackfillRunsWaiting": PATIENT,
    "alert AirflowDagRunBlocked": NOT_BLOCKED,
    "alert AirflowDagBlocked": NOT_BLOCKED,
    "alert AirflowDagRunsFailingInARow: airflow_dag_blocked": NOT_BLOCKED,
    "alert AirflowDagBehindSchedule": NOT_BLOCKED,
    "alert AirflowTaskSuspicious": NOT_BLOCKED,
    "airflow-diagnosis: DAGs that do not run": NOT_BLOCKED,
    "airflow-diagnosis: Runs that wait": NOT_BLOCKED,
    "airflow-diagnosis: Suspicious running tasks": NOT_BLOCKED,
    "airflow-diagnosis: What waits, and what to change": NOTHING_WAITS,
    "airflow-overview: What waits, and what to change": NOTHING_WAITS,
    "airflow-concurrency: Who holds the limits": NOTHING_WAITS,
    "airflow-concurrency: What stands in the way": NOTHING_WAITS,
    "rule airflow_object:held": NOTHING_WAITS,
    "alert AirflowTasksWaitingForLong": "nothing waits for hours",
    "alert AirflowSensorsHoldSlots": NOT_BLOCKED,
    "alert AirflowTaskMemoryGrowing": "no task grows",
    "airflow-diagnosis: Growing memory": "no task grows",
    "airflow-diagnosis: Costs by DAG, selected time range": "nothing costs more than it needs to",
    "alert AirflowRunsSkipEverything": "some task of each run does something",
    "alert AirflowIntervalsSkipped": "no time of a schedule is left out",
    "rule airflow_dag:task_tries_failed_by_class:mean1w": "recorded at whole hours, and not of the last one",
    "rule airflow:task_tries_failed_by_class:mean1w": "recorded at whole hours, and not of the last one",
    "airflow-diagnosis: Failures by class B": "recorded at whole hours, and not of the last one",
    "airflow-overview: What fails, and where to look B": "recorded at whole hours, and not of the last one",
    "alert AirflowTasksFailing: airflow_dag:task_tries_failed_by_class:mean1w": "recorded at whole hours",
    "alert AirflowTasksFailingInManyDags: airflow:task_tries_failed_by_class:mean1w": "recorded at whole hours",
    "rule airflow_object:waiting_dag_runs": NOT_BLOCKED,
    "airflow-database: Longest transaction by component": "no transaction was open when the database was read",
    "rule airflow:sensors_hold_slots": "sensors do not hold half of all slots",
    "rule airflow:machines_full": "the machine has CPU and memory to spare",
    "airflow-database: Who blocks whom": NO_LOCKS,
    "airflow-database: Waiting sessions, deadlocks A": NO_LOCKS,
    "airflow-database: Longest idle transaction": NO_LOCKS,
    "alert AirflowDatabaseBlocksScheduler": NO_LOCKS,
    "alert AirflowDatabaseIdleTransaction": NO_LOCKS,
    "airflow-database: Replication delay": NO_REPLICA,
    "airflow-database: Log to be replayed": NO_REPLICA,
    "airflow-database: Tables of Airflow E": NO_VACUUM,
    "airflow-database: Tables of Airflow F": NO_VACUUM,
    "airflow-database: Tables of Airflow G": NO_VACUUM,
    "alert AirflowDatabaseCleanupDue: airflow_database_cleanable_rows": NO_VACUUM,
    "airflow-executor: Kubernetes": KUBERNETES,
    "airflow-diagnosis: Pending pods of tasks": KUBERNETES,
    "airflow-diagnosis: Tasks whose pods are pending": KUBERNETES,
    "airflow-task: CPU of pods": KUBERNETES,
    "airflow-task: Memory of pods": KUBERNETES,
    "airflow-task: Memory limit in use": KUBERNETES,
    "airflow-task: Network of pods": KUBERNETES,
    "airflow-task: Pending pods": KUBERNETES,
    "airflow-task: Killed, evicted": KUBERNETES,
    "airflow-workers: CPU of the busiest tasks in pods": KUBERNETES,
    "airflow-workers: Memory of the largest tasks in pods": KUBERNETES,
    "airflow-workers: Pending pods": KUBERNETES,
    "airflow-workers: Killed, evicted": KUBERNETES,
    "rule airflow_pod:": KUBERNETES,
    "rule airflow_task:pod": KUBERNETES,
    "alert AirflowTaskPod": KUBERNETES,
    "airflow-executor: Edge workers": EDGE,
    "rule airflow_worker:edge_slots_used": EDGE,
    "airflow-dag: Deadlines and SLAs per hour D": RELEASE_2,
    "alert AirflowDeadlineMissed: airflow_sla_missed_total": RELEASE_2,
    "airflow-dag: Queued asset events": NO_ASSETS,
    "airflow-dag: Assets of the schedule": NO_ASSETS,
    "airflow-dag: Oldest queued event": NO_ASSETS,
    "airflow-dag: Pending approvals": NO_APPROVALS,
    "airflow-dag: Longest-waiting approval": NO_APPROVALS,
    "alert AirflowApprovalsWaiting: airflow_pending_approval": NO_APPROVALS,
    "airflow-dag: Where the time goes B": NO_COSTS,
    "airflow-dag: Where the time goes C": NO_COSTS,
    "airflow-dag: Where the time goes E": NO_COSTS,
    "airflow-dag: Slots held by sensors": NO_COSTS,
    "airflow-dag: Short attempts": FEW_ATTEMPTS,
    "airflow-dag: Growth of peak memory": FEW_ATTEMPTS,
    "airflow-dag: Runs without work per hour": IDLE,
    "rule airflow_dag:retry_delay_seconds:increase1h": NO_COSTS,
    "rule airflow_dag:sensor_poke_seconds:increase1h": NO_COSTS,
    "airflow-overview: Most expensive DAGs, last hour": NO_COSTS,
    "airflow-dag: Run duration C": WEEK,
    "rule airflow_dag:dag_run_duration_seconds_count:increase1w": WEEK,
    "rule airflow_dag:dag_run_duration_seconds:mean1": WEEK,
    "rule airflow_dag:dag_run_duration:ratio1d_1w": WEEK,
    "rule airflow_dag:dag_run_duration_seconds:quantile1w": WEEK,
    "alert AirflowDagRunStuck: airflow_dag:dag_run_duration_seconds:quantile1w": WEEK,
    "rule airflow:critical_section_busy": ALONE,
    "alert AirflowCriticalSectionContended: airflow:critical_section_busy": ALONE,
    "airflow-overview: DAGs, last hour J": WEEK,
    "airflow-task: Network I/O": NETWORK,
    "airflow-exporter: Ambiguous names, connections, relay, per minute C": RELAY,
    "airflow-exporter: Ambiguous names, connections, relay, per minute D": RELAY,
    "airflow-exporter: StatsD connections B": RELAY,
    "airflow-exporter: Closed StatsD connections per minute A": "StatsD comes by UDP alone",
    "airflow-exporter: Unreadable API rows": "Airflow serves all of its rows",
    "airflow-exporter: Unanswered API objects": "Airflow answers for each object",
    "airflow-exporter: Missing machine metrics": READABLE,
    "airflow-exporter: Unreadable processes": READABLE,
    "airflow-workers: Control groups": CGROUP,
    "rule airflow_cgroup:": CGROUP,
    "alert AirflowCpuThrottled": CGROUP,
    "alert AirflowHostMemoryHigh: airflow_cgroup": CGROUP,
    "airflow-tuning: Waiting by limit": NOTHING_WAITS,
    "airflow-tuning: Wanted slots of pools": NOTHING_WAITS,
    "airflow-tuning: Waiting runs": NOT_BLOCKED,
    "airflow-tuning: Due runs": IDLE,
    "rule airflow_task:quiet_run_seconds": BUSY,
    "rule airflow_object:waited_seconds": NOTHING_WAITS,
    "rule airflow:dag_runs_due": "no run is due in the next minute",
    "rule airflow_minute:dag_runs_due": "no run is due in the next minute",
    "rule airflow_dag:retry_delay_seconds_by_class": NO_COSTS,
    "rule airflow_dag:task_tries_recovered_by_class:increase15m": NO_COSTS,
    "rule airflow_dag:short_tries": FEW_ATTEMPTS,
    "rule airflow_dag:skipped_intervals": IDLE,
    **{f"{uid}: Critical alerts": CRITICAL for uid in BOARDS},
}
"""By the beginning of `Question.where`."""


def reason(where: str) -> str | None:
    """Why a query may be empty, or None where it may not."""
    return next((why for beginning, why in EMPTY.items() if where.startswith(beginning)), None)

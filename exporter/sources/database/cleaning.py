"""What `airflow db clean` looks at, and the indices that Airflow's migrations create."""

RECENCY_COLUMNS = {
    "asset_event": "timestamp",
    "callback": "created_at",
    "callback_request": "created_at",
    "celery_taskmeta": "date_done",
    "dag_run": "start_date",
    "dag_version": "created_at",
    "dataset_event": "timestamp",
    "deadline": "deadline_time",
    "import_error": "timestamp",
    "job": "latest_heartbeat",
    "log": "dttm",
    "sla_miss": "timestamp",
    "task_fail": "start_date",
    "task_instance": "start_date",
    "task_instance_history": "start_date",
    "task_reschedule": "start_date",
    "trigger": "created_date",
    "xcom": "timestamp",
}
"""The column by which `airflow db clean` decides that a row is old, by table."""

INDICES = (
    ("dag_run", ("dag_id",)),
    ("job", ("state", "latest_heartbeat")),
    ("log", ("dttm",)),
    ("log", ("dag_id",)),
    ("task_instance", ("dag_id",)),
    ("task_instance", ("dag_id", "run_id")),
    ("task_instance", ("state",)),
    ("xcom", ("dag_id",)),
)
"""Indices of Airflow 2.10 to 3.3 without which its statements read whole tables: the table and the first columns."""

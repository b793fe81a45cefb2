"""The label values of the metadata database's families: components, states, tables, and what statements are for."""

from exporter.metrics.catalogue.host import processes

COMPONENTS = (
    *processes.COMPONENTS,
    "task",
    "exporter",
    "other_application",
    "other_database",
    "database_server",
    "unknown",
)
"""Who holds a connection. `task` is the process of a task; `other_application` names itself, but not as a component;
`other_database` uses another database of the same server; `database_server` is a process of the server itself, such as
autovacuum; `unknown` could not be identified."""

STATES = ("active", "idle", "idle_in_transaction", "other")
"""What a connection does. `idle_in_transaction` has an open transaction and sends no statement."""

TABLES = (
    "asset_dag_run_queue",
    "asset_event",
    "callback",
    "callback_request",
    "celery_taskmeta",
    "dag",
    "dag_code",
    "dag_run",
    "dag_version",
    "dag_warning",
    "dataset_dag_run_queue",
    "dataset_event",
    "deadline",
    "import_error",
    "job",
    "log",
    "rendered_task_instance_fields",
    "serialized_dag",
    "session",
    "sla_miss",
    "slot_pool",
    "task_fail",
    "task_instance",
    "task_instance_history",
    "task_map",
    "task_reschedule",
    "trigger",
    "variable",
    "xcom",
)
"""Airflow's tables that grow or are locked; not every release has each of them."""

LOCKED = (*TABLES, "other", "unknown")
"""Tables that a session waits for. `other` is another table, `unknown` could not be identified."""

PURPOSES = (
    "critical_section",
    "dag_run_scheduling",
    "job_heartbeat",
    "task_heartbeat",
    "task_state",
    "task_instance_list",
    "dag_run_list",
    "dag_run_state",
    "dag_list",
    "dag_serialization",
    "audit_log",
    "xcom",
    "rendered_fields",
    "variables_and_connections",
    "pools",
    "triggers",
    "assets",
    "reschedules",
    "deletion",
    "celery_results",
    "login_sessions",
    "migration",
    "transaction",
    "maintenance",
    "monitoring",
    "other",
)
"""What statements are for. `critical_section` is the scheduler's choice of the next tasks, with the pools locked."""

CLEANED = (
    "asset_event",
    "callback",
    "callback_request",
    "celery_taskmeta",
    "dag_run",
    "dag_version",
    "dataset_event",
    "deadline",
    "import_error",
    "job",
    "log",
    "sla_miss",
    "task_fail",
    "task_instance",
    "task_instance_history",
    "task_reschedule",
    "trigger",
    "xcom",
)
"""Tables from which `airflow db clean` removes old rows."""

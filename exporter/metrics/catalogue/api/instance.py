"""What is known of one Airflow as a whole: version, health, limits, import errors and warnings.

Where StatsD feeds import errors, the largest report of several DAG processors counts: they may read the same files.
"""

from functools import partial

from exporter.metrics.family import Family, Kind, Merge

COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")

gauge = partial(Family, kind=Kind.GAUGE, source="airflow")

INFO = gauge(
    "airflow_info",
    help="1, with the version that Airflow's API says it has",
    labels=("version",),
    reader="health",
    origin="/version",
)
COMPONENT_HEALTHY = gauge(
    "airflow_component_healthy",
    help="Whether Airflow calls the component healthy; absent where it says nothing of it",
    labels=("component",),
    reader="health",
    origin="health: <component>.status",
)
COMPONENT_LAST_HEARTBEAT = gauge(
    "airflow_component_last_heartbeat_timestamp_seconds",
    help="When the component's newest heartbeat was, on Airflow's clock",
    labels=("component",),
    reader="health",
    origin="health: <component>.latest_<component>_heartbeat",
)
COMPONENT_INSTANCES = gauge(
    "airflow_component_instances",
    help="Instances of the component that have a heartbeat of the last minute",
    labels=("component",),
    reader="jobs",
    origin="/jobs",
    since="3.0",
    closed={"component": ("scheduler", "triggerer", "dag_processor")},
)
IMPORT_ERRORS = gauge(
    "airflow_import_errors",
    help="DAG files that cannot be imported",
    reader="import_errors",
    origin="/importErrors",
    ttl=600.0,
    merge=Merge.MAXIMUM,
)
IMPORT_ERROR_TIMESTAMP = gauge(
    "airflow_import_error_timestamp_seconds",
    help="When the file was last found broken; absent once it is mended",
    labels=("bundle", "file"),
    reader="import_errors",
    origin="/importErrors: timestamp",
    cap=1_000,
)
DAG_WARNINGS = gauge(
    "airflow_dag_warnings",
    help="Warnings about DAGs, by their type",
    labels=("type",),
    reader="dag_warnings",
    origin="/dagWarnings",
)
PARALLELISM_SLOTS = gauge(
    "airflow_parallelism_slots",
    help="Task instances that all live schedulers together may run: parallelism times schedulers, +Inf where unlimited",
    reader="config",
    origin="/config: core.parallelism, or the configuration; /jobs",
)
EXECUTOR_INFO = gauge(
    "airflow_executor_info",
    help="1 for each executor of `[core] executor`, by its class; default is true for the one that tasks use unless "
    "they name another, team is empty for executors of all teams",
    labels=("executor", "team", "default"),
    reader="config",
    origin="/config: core.executor",
    closed={"default": ("true", "false")},
)
WORKER_CONCURRENCY = gauge(
    "airflow_worker_concurrency",
    help="Task instances that one Celery worker may run; with autoscaling the upper limit",
    reader="config",
    origin="/config: celery.worker_concurrency, or the configuration",
)
TRIGGERER_CAPACITY = gauge(
    "airflow_triggerer_capacity",
    help="Triggers that one triggerer may run",
    reader="config",
    origin="/config: triggerer.capacity (2.x: triggerer.default_capacity), or the configuration",
)

FAMILIES = (
    INFO,
    COMPONENT_HEALTHY,
    COMPONENT_LAST_HEARTBEAT,
    COMPONENT_INSTANCES,
    IMPORT_ERRORS,
    IMPORT_ERROR_TIMESTAMP,
    DAG_WARNINGS,
    PARALLELISM_SLOTS,
    EXECUTOR_INFO,
    WORKER_CONCURRENCY,
    TRIGGERER_CAPACITY,
)

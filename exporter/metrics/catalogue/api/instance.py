"""Airflow as a whole: version, health, limits, import errors and warnings, from the API.

If import errors come from StatsD, the maximum over DAG processors is exposed, because they may read the same files.
"""

from functools import partial

from exporter.metrics.family import Family, Kind, Merge

COMPONENTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")

gauge = partial(Family, kind=Kind.GAUGE, source="airflow")

INFO = gauge(
    "airflow_info",
    help="Constant 1, labelled with the Airflow version that the API reports",
    labels=("version",),
    reader="health",
    origin="/version",
)
COMPONENT_HEALTHY = gauge(
    "airflow_component_healthy",
    help="1 if Airflow reports the component as healthy, 0 if not; absent if Airflow does not report the component",
    labels=("component",),
    reader="health",
    origin="health: <component>.status",
)
COMPONENT_LAST_HEARTBEAT = gauge(
    "airflow_component_last_heartbeat_timestamp_seconds",
    help="Time of the component's newest heartbeat, by Airflow's clock",
    labels=("component",),
    reader="health",
    origin="health: <component>.latest_<component>_heartbeat",
)
COMPONENT_INSTANCES = gauge(
    "airflow_component_instances",
    help="Number of instances of the component with a heartbeat in the last minute",
    labels=("component",),
    reader="jobs",
    origin="/jobs",
    since="3.0",
    closed={"component": ("scheduler", "triggerer", "dag_processor")},
)
IMPORT_ERRORS = gauge(
    "airflow_import_errors",
    help="Number of DAG files that cannot be imported",
    reader="import_errors",
    origin="/importErrors",
    ttl=600.0,
    merge=Merge.MAXIMUM,
)
IMPORT_ERROR_TIMESTAMP = gauge(
    "airflow_import_error_timestamp_seconds",
    help="Time at which the import of the file last failed; absent once it is fixed",
    labels=("bundle", "file"),
    reader="import_errors",
    origin="/importErrors: timestamp",
    cap=1_000,
)
DAG_WARNINGS = gauge(
    "airflow_dag_warnings",
    help="Number of DAG warnings by type",
    labels=("type",),
    reader="dag_warnings",
    origin="/dagWarnings",
)
PARALLELISM_SLOTS = gauge(
    "airflow_parallelism_slots",
    help="Maximum number of running task instances over all live schedulers (parallelism * schedulers); +Inf if "
    "unlimited",
    reader="config",
    origin="/config: core.parallelism, or the configuration; /jobs",
)
EXECUTOR_INFO = gauge(
    "airflow_executor_info",
    help="Constant 1 per executor of `[core] executor`, by class; default is true for the executor of tasks "
    "that name none, team is empty for executors of all teams",
    labels=("executor", "team", "default"),
    reader="config",
    origin="/config: core.executor",
    closed={"default": ("true", "false")},
)
WORKER_CONCURRENCY = gauge(
    "airflow_worker_concurrency",
    help="Maximum number of task instances per Celery worker; with autoscaling the upper limit",
    reader="config",
    origin="/config: celery.worker_autoscale or celery.worker_concurrency, or the configuration",
)
TRIGGERER_CAPACITY = gauge(
    "airflow_triggerer_capacity",
    help="Maximum number of triggers per triggerer",
    reader="config",
    origin="/config: triggerer.capacity (2.x: triggerer.default_capacity), or the configuration",
)
DATABASE_CONNECTIONS = gauge(
    "airflow_database_connections_per_process",
    help="Most connections to the metadata database that one process of Airflow opens: the size of its pool and "
    "the overflow; absent where Airflow uses no pool",
    reader="config",
    origin="/config: database.sql_alchemy_pool_size + database.sql_alchemy_max_overflow, or the configuration",
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
    DATABASE_CONNECTIONS,
)

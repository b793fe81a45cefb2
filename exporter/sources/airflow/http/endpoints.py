"""The endpoints that are read, in both API versions: the one place that knows their paths and permissions."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint of the REST API."""

    name: str
    """Short and stable, for telemetry and messages."""
    path: str
    """Below the base URL, a name in braces for each part that varies."""
    permission: str = ""
    """What FAB calls the right to read it; empty where nobody needs one."""
    operation: str = ""
    """The call of the generated client that reads it, as `Class.method`."""


_RUN = "/dags/{dag_id}/dagRuns/{dag_run_id}"

V1_VERSION = Endpoint("version", "/api/v1/version")
V1_HEALTH = Endpoint("health", "/api/v1/health")
V1_CONFIG = Endpoint("config", "/api/v1/config", "Configurations")
V1_DAGS = Endpoint("dags", "/api/v1/dags", "DAGs")
V1_DAG_RUNS = Endpoint("dagRuns", "/api/v1/dags/{dag_id}/dagRuns", "DAG Runs")
V1_TASK_INSTANCES = Endpoint("taskInstances", f"/api/v1{_RUN}/taskInstances", "Task Instances")
V1_TRIES = Endpoint("tries", f"/api/v1{_RUN}/taskInstances/{{task_id}}/tries", "Task Instances")
V1_MAPPED_TRIES = Endpoint("tries", f"/api/v1{_RUN}/taskInstances/{{task_id}}/{{map_index}}/tries", "Task Instances")
V1_POOLS = Endpoint("pools", "/api/v1/pools", "Pools")
V1_IMPORT_ERRORS = Endpoint("importErrors", "/api/v1/importErrors", "ImportError")
V1_DAG_WARNINGS = Endpoint("dagWarnings", "/api/v1/dagWarnings", "DAG Warnings")

V2_VERSION = Endpoint("version", "/api/v2/version", operation="VersionApi.get_version")
V2_HEALTH = Endpoint("health", "/api/v2/monitor/health", operation="MonitorApi.get_health")
V2_CONFIG = Endpoint("config", "/api/v2/config", "Configurations", "ConfigApi.get_config")
V2_DAGS = Endpoint("dags", "/api/v2/dags", "DAGs", "DAGApi.get_dags")
V2_DAG_RUNS = Endpoint("dagRuns", "/api/v2/dags/{dag_id}/dagRuns", "DAG Runs", "DagRunApi.get_dag_runs")
V2_TASK_INSTANCES = Endpoint(
    "taskInstances", f"/api/v2{_RUN}/taskInstances", "Task Instances", "TaskInstanceApi.get_task_instances"
)
V2_TRIES = Endpoint(
    "tries",
    f"/api/v2{_RUN}/taskInstances/{{task_id}}/tries",
    "Task Instances",
    "TaskInstanceApi.get_task_instance_tries",
)
V2_MAPPED_TRIES = Endpoint(
    "tries",
    f"/api/v2{_RUN}/taskInstances/{{task_id}}/{{map_index}}/tries",
    "Task Instances",
    "TaskInstanceApi.get_mapped_task_instance_tries",
)
V2_POOLS = Endpoint("pools", "/api/v2/pools", "Pools", "PoolApi.get_pools")
V2_IMPORT_ERRORS = Endpoint("importErrors", "/api/v2/importErrors", "ImportError", "ImportErrorApi.get_import_errors")
V2_DAG_WARNINGS = Endpoint("dagWarnings", "/api/v2/dagWarnings", "DAG Warnings", "DagWarningApi.list_dag_warnings")
V2_JOBS = Endpoint("jobs", "/api/v2/jobs", "Jobs", "JobApi.get_jobs")
V2_BACKFILLS = Endpoint("backfills", "/api/v2/backfills", "Backfills", "BackfillApi.list_backfills")

"""The migration guide says of each name of other tools which family it becomes: the one that its line feeds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exporter.config.settings import StatsdSettings
from exporter.metrics.catalogue.families import FAMILIES
from exporter.sources.directory import Directory
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.parser import parse_line

GUIDE = (Path(__file__).parents[2] / "docs/migrating.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `([\w.]+)` \| `(airflow_\w+)` \|", re.MULTILINE)
CHART, DATADOG, EPOCH8 = (
    dict(ROW.findall(part)) for part in re.split(r"^## From (?:Datadog|the epoch8)", GUIDE, flags=re.MULTILINE)
)
LINES = {
    "airflow_dagrun_dependency_check": "airflow.dagrun.dependency-check.etl:5|ms",
    "airflow_operator_successes": "airflow.operator_successes_PythonOperator:1|c",
    "airflow_operator_failures": "airflow.operator_failures_PythonOperator:1|c",
    "airflow_scheduler_heartbeat": "airflow.scheduler_heartbeat:1|c",
    "airflow_task_duration": "airflow.dag.etl.load.duration:5|ms",
    "airflow_dagrun_duration": "airflow.dagrun.duration.success.etl:5|ms",
    "airflow_dagrun_failed": "airflow.dagrun.duration.failed.etl:5|ms",
    "airflow_dagrun_schedule_delay": "airflow.dagrun.schedule_delay.etl:5|ms",
    "airflow_dag_processing_last_runtime": "airflow.dag_processing.last_duration.etl:5|ms",
    "airflow_dag_processing_last_run_seconds_ago": "airflow.dag_processing.last_run.seconds_ago.etl:5|g",
    "airflow_pool_open_slots": "airflow.pool.open_slots.narrow:5|g",
    "airflow_pool_used_slots": "airflow.pool.running_slots.narrow:5|g",
    "airflow_pool_starving_tasks": "airflow.pool.starving_tasks.narrow:5|g",
    "airflow_executor_open_slots": "airflow.executor.open_slots.LocalExecutor:5|g",
    "airflow_executor_queued_tasks": "airflow.executor.queued_tasks.LocalExecutor:5|g",
    "airflow_executor_running_tasks": "airflow.executor.running_tasks.LocalExecutor:5|g",
}
"""The chart's names, each with a line that Airflow sends for it today."""


DATADOG_LINES = {
    "airflow.collect_db_dags": "airflow.collect_db_dags:5|ms",
    "airflow.job.start": "airflow.job_start:1|c",
    "airflow.job.end": "airflow.job_end:1|c",
    "airflow.job.heartbeat.failure": "airflow.job_heartbeat_failure:1|c",
    "airflow.operator_failures": "airflow.operator_failures_PythonOperator:1|c",
    "airflow.operator_successes": "airflow.operator_successes_PythonOperator:1|c",
    "airflow.ti_failures": "airflow.ti_failures:1|c",
    "airflow.ti_successes": "airflow.ti_successes:1|c",
    "airflow.previously_succeeded": "airflow.previously_succeeded:1|c",
    "airflow.zombies_killed": "airflow.zombies_killed:1|c",
    "airflow.scheduler_heartbeat": "airflow.scheduler_heartbeat:1|c",
    "airflow.dag_processing.manager_stalls": "airflow.dag_processing.manager_stalls:1|c",
    "airflow.dag_file_refresh_error": "airflow.dag_file_refresh_error:1|c",
    "airflow.scheduler.critical_section_duration": "airflow.scheduler.critical_section_duration:5|ms",
    "airflow.scheduler.tasks.killed_externally": "airflow.scheduler.tasks.killed_externally:1|c",
    "airflow.scheduler.orphaned_tasks.cleared": "airflow.scheduler.orphaned_tasks.cleared:1|c",
    "airflow.scheduler.orphaned_tasks.adopted": "airflow.scheduler.orphaned_tasks.adopted:1|c",
    "airflow.scheduler.critical_section_busy": "airflow.scheduler.critical_section_busy:1|c",
    "airflow.scheduler.tasks.starving": "airflow.scheduler.tasks.starving:1|g",
    "airflow.scheduler.tasks.executable": "airflow.scheduler.tasks.executable:1|g",
    "airflow.dagbag_size": "airflow.dagbag_size:1|g",
    "airflow.dag_processing.import_errors": "airflow.dag_processing.import_errors:1|g",
    "airflow.dag_processing.total_parse_time": "airflow.dag_processing.total_parse_time:1|g",
    "airflow.dag_processing.last_run.seconds_ago": "airflow.dag_processing.last_run.seconds_ago.etl:5|g",
    "airflow.dag_processing.last_duration": "airflow.dag_processing.last_duration.etl:5|ms",
    "airflow.dag_processing.processor_timeouts": "airflow.dag_processing.processor_timeouts:1|c",
    "airflow.executor.open_slots": "airflow.executor.open_slots.LocalExecutor:5|g",
    "airflow.executor.queued_tasks": "airflow.executor.queued_tasks.LocalExecutor:5|g",
    "airflow.executor.running_tasks": "airflow.executor.running_tasks.LocalExecutor:5|g",
    "airflow.pool.open_slots": "airflow.pool.open_slots.narrow:5|g",
    "airflow.pool.queued_slots": "airflow.pool.queued_slots.narrow:5|g",
    "airflow.pool.running_slots": "airflow.pool.running_slots.narrow:5|g",
    "airflow.pool.starving_tasks": "airflow.pool.starving_tasks.narrow:5|g",
    "airflow.dagrun.dependency_check": "airflow.dagrun.dependency-check.etl:5|ms",
    "airflow.dag.task.duration": "airflow.dag.etl.load.duration:5|ms",
    "airflow.dag.queue_duration": "airflow.dag.etl.load.queued_duration:5|ms",
    "airflow.dagrun.duration.success": "airflow.dagrun.duration.success.etl:5|ms",
    "airflow.dagrun.duration.failed": "airflow.dagrun.duration.failed.etl:5|ms",
    "airflow.dagrun.schedule_delay": "airflow.dagrun.schedule_delay.etl:5|ms",
    "airflow.dagrun.first_task_scheduling_delay": "airflow.dagrun.first_task_scheduling_delay:5|ms",
    "airflow.dag.task_removed": "airflow.task_removed_from_dag.etl:1|c",
    "airflow.dag.task_restored": "airflow.task_restored_to_dag.etl:1|c",
    "airflow.task.instance_created": "airflow.task_instance_created_PythonOperator:1|c",
    "airflow.ti.start": "airflow.ti.start.etl.load:1|c",
    "airflow.ti.finish": "airflow.ti.finish.etl.load.success:1|c",
    "airflow.dag.callback_exceptions": "airflow.dag.callback_exceptions:1|c",
    "airflow.celery.task_timeout_error": "airflow.celery.task_timeout_error:1|c",
}
"""The names of Datadog's mapper profile, each with a line that Airflow sends for it today."""
DATADOG_LINES_2 = {
    "airflow.local_task_job.task_exit": "airflow.local_task_job.task_exit.7.etl.load.0:1|c",
    "airflow.sla_email_notification_failure": "airflow.sla_email_notification_failure:1|c",
}
"""Those that only Airflow 2 sends."""
FROM_API = {"airflow.can_connect", "airflow.healthy", "airflow.dag_processing.processes"}
"""Names that no plain line feeds."""
FAMILY_NAMES = {family.name for family in FAMILIES}


def feeds(line: str, release: str) -> set[str]:
    """The families that a line feeds."""
    (sample,) = parse_line(line.encode()).samples
    found = AirflowNameResolver(Directory(), StatsdSettings(release=release, mode="plain")).resolve(sample.signature)
    return {target.family.name for target in found.targets}


def test_every_name_of_the_chart_is_there() -> None:
    assert set(CHART) == set(LINES)


def test_every_name_of_the_mapper_profile_is_there() -> None:
    assert set(DATADOG) == {*DATADOG_LINES, *DATADOG_LINES_2, *FROM_API}


@pytest.mark.parametrize("release", ["2.11.2", "3.3.2"])
@pytest.mark.parametrize("old", LINES)
def test_the_family_of_the_guide_is_what_the_line_feeds(old: str, release: str) -> None:
    assert CHART[old] in feeds(LINES[old], release)


@pytest.mark.parametrize("release", ["2.11.2", "3.3.2"])
@pytest.mark.parametrize("old", DATADOG_LINES)
def test_the_family_of_datadogs_name_is_what_the_line_feeds(old: str, release: str) -> None:
    assert DATADOG[old] in feeds(DATADOG_LINES[old], release)


@pytest.mark.parametrize("old", DATADOG_LINES_2)
def test_the_family_of_datadogs_name_is_what_a_line_of_airflow_2_feeds(old: str) -> None:
    assert DATADOG[old] in feeds(DATADOG_LINES_2[old], "2.11.2")


def test_every_family_and_label_of_the_guide_exists() -> None:
    assert len(EPOCH8) == 4
    assert {*DATADOG.values(), *EPOCH8.values()} <= FAMILY_NAMES
    assert {
        name for name in re.findall(r"`(airflow_[a-z0-9_]+)`", GUIDE) if name not in {*CHART, *EPOCH8}
    } <= FAMILY_NAMES

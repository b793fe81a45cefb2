"""The migration guide says of each name of the Helm chart which family it becomes: the one that its line feeds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exporter.config.settings import StatsdSettings
from exporter.sources.directory import Directory
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.parser import parse_line

GUIDE = (Path(__file__).parents[2] / "docs/migrating.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `(airflow_\w+)` \| `(airflow_\w+)` \|", GUIDE, re.MULTILINE))
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


def test_every_name_of_the_chart_is_there() -> None:
    assert set(ROWS) == set(LINES)


@pytest.mark.parametrize("release", ["2.11.2", "3.3.2"])
@pytest.mark.parametrize("old", LINES)
def test_the_family_of_the_guide_is_what_the_line_feeds(old: str, release: str) -> None:
    (sample,) = parse_line(LINES[old].encode()).samples
    found = AirflowNameResolver(Directory(), StatsdSettings(release=release, mode="plain")).resolve(sample.signature)
    assert ROWS[old] in {target.family.name for target in found.targets}

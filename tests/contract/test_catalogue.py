"""The catalogue, the readers and what is really exposed say the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.metrics.catalogue.families import FAMILIES
from exporter.metrics.family import Kind
from exporter.sources.airflow.source import LEDGER, READERS

GOLDEN = Path(__file__).parents[1] / "golden"
OF_API = [family for family in FAMILIES if family.source == "airflow"]
NOT_RECORDED = {
    "airflow_task_try_queued_duration_seconds": "native histograms are off",
    "airflow_task_try_scheduled_duration_seconds": "native histograms are off",
    "airflow_task_tries_failed_by_exception_total": "airflow.exception_labels is off",
    "airflow_task_tries_recovered_by_class_total": "no retry succeeded when the replies were recorded",
    "airflow_waiting_dag_runs": "no run was queued",
    "airflow_object_waiting_dag_runs": "no run was queued",
    "airflow_suspicious_task_instances": "no task hung when the replies were recorded",
    "airflow_waited_seconds_total": "one reading alone has no time between readings",
    "airflow_object_waited_seconds_total": "one reading alone has no time between readings",
    "airflow_task_least_overhead_seconds": "each start learns it again, and nothing ended after the last",
    "airflow_dag_sensor_seconds_total": "no sensor ran",
    "airflow_dag_runs_all_skipped_total": "only runs count that started while the exporter ran",
    "airflow_dag_skipped_intervals_total": "the schedule left out nothing",
    "airflow_backfill_runs": "no backfill ran when the replies were recorded",
    "airflow_backfill_max_active_runs": "no backfill ran when the replies were recorded",
    "airflow_backfill_oldest_created_timestamp_seconds": "no backfill ran when the replies were recorded",
    "airflow_dag_warnings": "there were none",
    "airflow_task_tries_cleared_total": "nothing was cleared",
    "airflow_task_try_duration_seconds": "only for DAGs that the configuration names",
    "airflow_dag_objective_seconds": "no DAG had such a tag",
    "airflow_executor_info": "the recorded configuration names no executor",
    "airflow_dag_max_consecutive_failed_runs": "Airflow paused no DAG for failing",
    "airflow_pool_oldest_waiting_timestamp_seconds": "2.x does not tell, and nothing waited on 3.3 then",
}


def test_no_name_is_declared_twice_not_even_without_its_suffix() -> None:
    names = [family.base_name for family in FAMILIES]
    assert len(set(names)) == len(names)


def test_every_family_of_the_api_says_where_it_comes_from() -> None:
    assert not [
        family.name for family in FAMILIES if family.source == "airflow" and not (family.origin and family.reader)
    ]


def test_every_state_family_is_fed_by_the_reader_that_it_names() -> None:
    declared = {
        family.name: family.reader for family in FAMILIES if family.source == "airflow" and family not in LEDGER
    }
    fed = {family.name: reader.name for reader in READERS for family in reader.families}
    assert fed == declared


def test_what_only_grows_is_in_the_ledger() -> None:
    growing = [family for family in FAMILIES if family.source == "airflow" and family.kind is not Kind.GAUGE]
    assert list(LEDGER) == growing


@pytest.mark.parametrize(
    "family", [family for family in FAMILIES if family.source == "airflow"], ids=lambda one: one.name
)
def test_every_family_of_the_api_is_seen_in_a_recording_or_has_a_reason(family: object) -> None:
    name = getattr(family, "name", "")
    seen = any(f"# TYPE {name} " in path.read_text() for path in GOLDEN.glob("recorded-*.txt"))
    assert seen != (name in NOT_RECORDED)

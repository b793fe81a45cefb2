"""The catalogue's StatsD families, the table of StatsD's names and the published matrix say the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from docs.matrix import API, SPANS, exists, is_fed, is_sent, name_releases
from exporter.metrics.catalogue.families import FAMILIES
from exporter.metrics.family import Family, Kind
from exporter.sources.statsd.airflow_names.event import Event
from exporter.sources.statsd.airflow_names.events.table import EVENTS
from exporter.sources.statsd.airflow_names.lookup import EventLookup
from exporter.sources.statsd.model import DROP_REASONS, MetricType

OF_STATSD = [family for family in FAMILIES if family.source == "statsd"]
BY_NAME = {family.name: family for family in FAMILIES}


@pytest.mark.parametrize("family", OF_STATSD, ids=lambda family: family.name)
def test_a_family_is_fed_in_exactly_the_releases_that_it_declares(family: Family) -> None:
    sent = [span.first for span in SPANS if any(is_sent(event, family, span.release, api=False) for event in EVENTS)]
    declared = [span.first for span in SPANS if exists(family, span.release)]
    assert sent, "nothing feeds it"
    assert set(sent) <= set(declared)
    assert (sent[0], sent[-1]) == (declared[0], declared[-1])


@pytest.mark.parametrize("family", OF_STATSD, ids=lambda family: family.name)
def test_gauges_expire_and_what_only_grows_does_not(family: Family) -> None:
    assert family.origin
    assert family.ttl == 0 if family.kind is not Kind.GAUGE else family.ttl >= 120


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_a_name_feeds_labels_that_it_can_tell(event: Event) -> None:
    assert bool(event.bindings) != bool(event.drop)
    assert not event.drop or event.drop in DROP_REASONS
    for binding in event.bindings:
        lost = set(binding.family.labels) - set(binding.const) - set(event.variables)
        assert lost <= {"pool", "queue", "team", "bundle", "run_type"}, binding.family.name
        assert all(
            binding.const[label] in binding.family.closed.get(label, (binding.const[label],)) for label in binding.const
        )
        assert binding.family.kind is not Kind.HISTOGRAM or event.type is MetricType.TIMER


def test_no_name_is_declared_twice() -> None:
    names = [name for event in EVENTS for name in (event.name, *event.legacy)]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(
    ("name", "statsd", "both"),
    [
        ("airflow_task_instances_finished_total", "2.x, 3.1.8+", "all"),
        ("airflow_task_tries_total", "2.x, 3.1.8+", "all"),
        ("airflow_task_run_seconds_total", "2.x, 3.1.6+", "all"),
        ("airflow_task_queued_duration_seconds", "2.x", "all"),
        ("airflow_task_scheduled_duration_seconds", "3.0+", "3.0+"),
        ("airflow_dag_runs_finished_total", "all", "all"),
        ("airflow_task_starts_total", "2.x, 3.1.8+", "-"),
        ("airflow_task_execution_duration_seconds", "2.x, 3.1.6+", "-"),
        ("airflow_dag_processor_file_duration_seconds", "2.x, 3.2+", "2.x, 3.2+"),
        ("airflow_task_cpu_usage_ratio", "2.x", "2.x"),
        ("airflow_asset_updates_total", "all", "all"),
        ("airflow_scheduler_loop_duration_seconds", "all", "all"),
        ("airflow_dag_info", "-", "all"),
        ("airflow_dag_parse_duration_seconds", "-", "3.1.0+"),
        # what the sources of 3.1.8, 3.2.2 and 3.3.2 send:
        ("airflow_dag_processor_callback_only_runs_total", "3.1.0+", "3.1.0+"),
        ("airflow_deadlines_missed_total", "3.2+", "3.2+"),
        ("airflow_deadline_callbacks_total", "3.2+", "3.2+"),
        ("airflow_dag_run_first_task_start_delay_seconds", "3.3+", "3.3+"),
    ],
)
def test_the_matrix_says_what_releases_are_known_to_send(name: str, statsd: str, both: str) -> None:
    assert name_releases(BY_NAME[name], statsd=True) == statsd
    assert name_releases(BY_NAME[name], api=True, statsd=True) == both


def test_with_both_sources_on_nothing_of_the_api_is_lost() -> None:
    assert all(
        is_fed(family, span.release, api=True, statsd=True) == is_fed(family, span.release, api=True, statsd=False)
        for family in API
        for span in SPANS
    )


REGISTRY = Path(__file__).parents[1] / "data" / "statsd" / "registry-3.3.2.yaml"


def test_every_name_of_airflows_own_registry_is_known() -> None:
    entries = yaml.safe_load(REGISTRY.read_text(encoding="utf-8"))
    lookup = EventLookup()
    unknown = [
        name
        for entry in entries
        for name in (entry["name"], entry["legacy"])
        if name and lookup.find(fill(name)) is None
    ]
    assert unknown == []


def fill(name: str) -> str:
    """A registry's name with values: the code sends `job` for every class of jobs."""
    return name.replace("{job_name}", "job").replace("{", "").replace("}", "")

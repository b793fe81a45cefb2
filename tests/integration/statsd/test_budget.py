"""How many lines StatsD adds at 2,000 DAGs of 10 tasks: at most 200,000 alone, and with those of the API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from exporter.config.settings import StatsdSettings
from exporter.metrics.catalogue.families import FAMILIES
from exporter.metrics.family import Family, Kind
from exporter.sources.directory import Directory
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.model import MetricType, Signature

DAGS = [f"team_{number % 40}_pipeline_{number}" for number in range(2_000)]
OF_API = frozenset(family for family in FAMILIES if family.source == "airflow")
API_LINES = 190_445
"""What the API feeds at this size (tests/golden/budget-with-task-labels.txt)."""
ZEROS = ("success", "failed", "up_for_retry", "skipped", "up_for_reschedule", "deferred", "removed", "None")


def send(release: str) -> Iterator[Signature]:
    """Every DAG ran, every task too; one task in ten is active, one in ten has failed and been retried."""
    old = release.startswith("2")
    for number, dag in enumerate(DAGS):
        run = {"dag_id": dag, "run_type": "scheduled"}
        yield from timers(("dagrun.dependency-check", "dagrun.duration.success", "dagrun.schedule_delay"), run)
        if number % 10 == 0:
            yield from timers(("dagrun.duration.failed",), run)
        yield from timers(("dag_processing.last_duration",), {"bundle_name": "main", "file_name": dag})
        yield make("dag_processing.last_run.seconds_ago", MetricType.GAUGE, {"bundle_name": "main", "file_name": dag})
        for task in range(10):
            ids = {"dag_id": dag, "task_id": f"task_{task}"}
            rare = (number + task) % 10 == 0
            states = ZEROS if old else ("success", "failed", "up_for_retry") if rare else ("success",)
            yield make("ti.start", MetricType.COUNTER, ids)
            yield from (make("ti.finish", MetricType.COUNTER, ids | {"state": state}) for state in states)
            yield from timers(("task.duration", "task.queued_duration" if old else "task.scheduled_duration"), ids)
            if rare and not old:
                yield make("ti.running", MetricType.GAUGE, ids | {"queue": "default"})


def timers(names: tuple[str, ...], tags: dict[str, str]) -> Iterator[Signature]:
    return (make(name, MetricType.TIMER, tags) for name in names)


def make(name: str, kind: MetricType, tags: dict[str, str]) -> Signature:
    return Signature(f"airflow.{name}", kind, tuple(tags.items()))


def count_lines(release: str, api_feeds: frozenset[Family]) -> int:
    names = AirflowNameResolver(Directory(), StatsdSettings(release=release, mode="influxdb"), api_feeds)
    series = {(target.family, target.labels) for sent in send(release) for target in names.resolve(sent).targets}
    return sum(len(family.buckets) + 3 if family.kind is Kind.HISTOGRAM else 1 for family, _ in series)


@pytest.mark.slow
@pytest.mark.parametrize("release", ["2.11.2", "3.3.2"])
def test_alone(release: str) -> None:
    assert count_lines(release, frozenset()) <= 200_000


@pytest.mark.slow
@pytest.mark.parametrize("release", ["2.11.2", "3.3.2"])
def test_beside_the_api(release: str) -> None:
    assert API_LINES + count_lines(release, OF_API) <= 200_000

"""What becomes of single lines; and that no line, however strange, does harm."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.config.settings import StatsdSettings
from exporter.metrics.catalogue.api import tasks
from exporter.metrics.catalogue.statsd import custom, executor
from exporter.metrics.catalogue.statsd import tasks as task_families
from exporter.sources.directory import Directory
from exporter.sources.statsd.airflow_names.events.table import EVENTS
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.model import DROP_REASONS, MetricType, Resolution, Signature

PLAIN = StatsdSettings(mode="plain", release="3.3.2")
TAGGED = StatsdSettings(mode="influxdb", release="3.3.2")
BOTH = (("dag_id", "etl"), ("task_id", "load"))
SPELLINGS = [re.sub(r"[{}]", "", name) for event in EVENTS for name in (event.name, *event.legacy)]
WORDS = st.sampled_from([*SPELLINGS, "dag_id", "state", "success", "a.b", "a__b", "", ".", "...", "é", "_total"])
ALPHABET = st.one_of(WORDS, st.text(max_size=30))
SIGNATURES = st.builds(
    Signature,
    st.one_of(ALPHABET, st.lists(ALPHABET, min_size=1, max_size=3).map(lambda parts: ".".join(("airflow", *parts)))),
    st.sampled_from(MetricType),
    st.lists(st.tuples(ALPHABET, ALPHABET), max_size=12).map(tuple),
    st.floats(0.001, 1),
    st.sampled_from(["", "influxdb", "datadog"]),
)


def resolve(
    line: str, kind: str = "c", tags: tuple[tuple[str, str], ...] = (), how: StatsdSettings = TAGGED
) -> Resolution:
    return AirflowNameResolver(Directory(), how).resolve(Signature(f"airflow.{line}", MetricType(kind), tags))


@given(st.lists(SIGNATURES, max_size=20), st.sampled_from([PLAIN, TAGGED, StatsdSettings()]))
@settings(deadline=None, max_examples=100)
def test_no_signature_is_ever_too_strange(signatures: list[Signature], how: StatsdSettings) -> None:
    directory = Directory()
    directory.set_dags(["a.b", "a", "dag_id"])
    names = AirflowNameResolver(directory, how)
    for signature in signatures:
        found = names.resolve(signature)
        assert bool(found.targets) != bool(found.drop)
        assert not found.drop or found.drop in DROP_REASONS
        assert all(len(target.labels) == len(target.family.labels) for target in found.targets)


def test_a_flood_of_names_makes_a_bounded_number_of_families_and_changes_of_mind() -> None:
    names = AirflowNameResolver(Directory(), StatsdSettings())
    found = [names.resolve(Signature(f"airflow.flood_{number}", MetricType.COUNTER)) for number in range(3_000)]
    assert len({target.family for one in found for target in one.targets}) == 500
    assert {one.drop for one in found} == {"", "capped"}
    assert names.revision < 10


def test_zeros_of_states_that_no_process_reports_make_no_series() -> None:
    assert resolve("ti.finish", tags=(*BOTH, ("state", "upstream_failed"))).drop == "zero_series"


def test_a_retry_is_a_try_a_failed_try_and_a_retry_but_no_outcome() -> None:
    fed = {target.family for target in resolve("ti.finish", tags=(*BOTH, ("state", "up_for_retry"))).targets}
    assert fed == {tasks.TRIES, tasks.TRIES_FAILED, tasks.RETRIES}


def test_what_the_api_feeds_is_dropped_and_the_rest_of_the_event_is_not() -> None:
    names = AirflowNameResolver(Directory(), TAGGED, frozenset(tasks.FAMILIES))
    success, waits = (
        names.resolve(Signature("airflow.ti.finish", MetricType.COUNTER, (*BOTH, ("state", state))))
        for state in ("success", "up_for_reschedule")
    )
    assert success.drop == "fed_by_api"
    assert [target.family for target in waits.targets] == [task_families.RESCHEDULES]


def test_known_ids_decide_where_a_dag_ends_and_a_task_begins() -> None:
    directory = Directory()
    directory.set_dags(["failing.errors.demo", "failing"])
    directory.record_try("failing.errors.demo", "load.rows")
    found = AirflowNameResolver(directory, StatsdSettings(mode="plain", release="2.11")).resolve(
        Signature("airflow.dag.failing.errors.demo.load.rows.duration", MetricType.TIMER)
    )
    assert found.targets[0].labels == ("failing.errors.demo", "load.rows")
    assert not found.ambiguous


def test_two_underscores_are_dots_again_where_known_ids_tell() -> None:
    directory = Directory()
    directory.set_dags(["etl"])
    directory.record_try("etl", "extract.pull")
    found = AirflowNameResolver(directory, PLAIN).resolve(
        Signature("airflow.ti.start.etl.extract__pull", MetricType.COUNTER)
    )
    assert found.targets[0].labels == ("etl", "")
    assert not found.ambiguous
    assert (
        AirflowNameResolver(Directory(), PLAIN)
        .resolve(Signature("airflow.ti.start.etl.extract__pull", MetricType.COUNTER))
        .ambiguous
    )


def test_a_name_without_tags_that_has_ids_elsewhere_never_counts_in_plain_mode() -> None:
    assert resolve("pool.open_slots", "g", how=PLAIN).drop == "twin"
    assert resolve("pool.open_slots.default_pool", "g", how=PLAIN).targets[0].labels == ("default_pool", "")


@pytest.mark.parametrize(("release", "drop"), [("2.11.2", ""), ("3.2.1", ""), ("3.3.2", "twin")])
def test_a_single_executor_has_no_name_before_3_3(release: str, drop: str) -> None:
    found = resolve("executor.open_slots", "g", how=StatsdSettings(mode="plain", release=release))
    assert found.drop == drop
    assert [target.family for target in found.targets] == ([] if drop else [executor.SLOTS])


@pytest.mark.parametrize(
    ("release", "mode", "name", "scale"),
    [
        ("2.10.5", "plain", "dag.a.b.queued_duration", 1.0),
        ("2.11.2", "plain", "dag.a.b.queued_duration", 1.0),
        ("2.11.2", "plain", "dag.a.b.duration", 0.001),
        ("2.11.2", "datadog", "scheduler.scheduler_loop_duration", 1.0),
        ("2.11.2", "plain", "dag_processing.last_duration.f", 0.001),
        ("3.1.8", "plain", "dag.a.b.duration", 0.001),
        ("3.2.0", "plain", "dag_processing.last_duration.bundle.f", 1.0),
        ("3.3.2", "datadog", "scheduler.scheduler_loop_duration", 1.0),
        ("3.3.2", "plain", "scheduler.scheduler_loop_duration", 0.001),
        ("3.3.2", "plain", "dagrun.duration.success.a", 0.001),
        ("3.4.0", "plain", "dag_processing.last_duration.bundle.f", 0.001),
    ],
)
def test_timers_become_seconds_by_release_and_mode(release: str, mode: str, name: str, scale: float) -> None:
    how = StatsdSettings(mode=mode, release=release)
    scales = {target.scale for target in resolve(name, "ms", how=how).targets if target.plus == 0}
    assert scales == {scale}


@pytest.mark.parametrize("how", [PLAIN, TAGGED])
def test_records_are_told_by_tags_or_by_the_name(how: StatsdSettings) -> None:
    tagged, named = resolve("records_processed", tags=BOTH, how=how), resolve("records_processed.etl.load", how=how)
    assert [(one.family, one.labels) for one in tagged.targets] == [(custom.RECORDS_PROCESSED, ("etl", "load"))]
    assert named.targets == tagged.targets


@pytest.mark.parametrize(
    ("name", "kind", "family", "labels"),
    [
        ("rows.read", "c", "airflow_custom_rows_read_total", ("shop",)),
        ("queue_length", "g", "airflow_custom_queue_length", ("shop",)),
        ("fetch", "ms", "airflow_custom_fetch_seconds", ("shop",)),
    ],
)
def test_users_names_become_families_with_their_tags(
    name: str, kind: str, family: str, labels: tuple[str, ...]
) -> None:
    [target] = resolve(name, kind, (("shop", "7"), ("run_id", "manual__1"))).targets
    assert (target.family.name, target.family.labels, target.labels) == (family, labels, ("7",))


def test_users_names_are_let_in_or_not_by_patterns() -> None:
    how = StatsdSettings(mode="influxdb", allow=re.compile(r"rows\..*"), deny=re.compile(r".*secret"))
    assert [resolve(name, how=how).drop for name in ("rows.read", "rows.secret", "other")] == ["", "denied", "denied"]

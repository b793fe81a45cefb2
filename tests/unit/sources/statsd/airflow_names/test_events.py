"""What Airflow's events are by the definitions of counting; that their table is sound, and that no name does harm."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.config.settings import StatsdSettings
from exporter.metrics.catalogue.families import FAMILIES
from exporter.sources.directory import Directory
from exporter.sources.statsd.airflow_names.event import Event, covers_release, parse_release
from exporter.sources.statsd.airflow_names.events.table import EVENTS, FED_FAMILIES
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.model import DROP_REASONS, MetricType, Resolution, Signature

PLAIN_2 = StatsdSettings(release="2.11.2", mode="plain")
PLAIN_33 = StatsdSettings(release="3.3.2", mode="plain")
TAGGED = StatsdSettings(release="3.3.2", mode="influxdb")


def resolve(
    name: str, kind: str = "c", tags: str = "", config: StatsdSettings = PLAIN_2, directory: Directory | None = None
) -> Resolution:
    pairs = tuple((tag.partition("=")[0], tag.partition("=")[2]) for tag in tags.split(",") if tag)
    return AirflowNameResolver(directory or Directory(), config).resolve(
        Signature(f"airflow.{name}", MetricType(kind), pairs)
    )


def labels(resolution: Resolution, place: int = 0) -> tuple[str, ...]:
    return resolution.targets[place].labels


def names(resolution: Resolution) -> list[str]:
    return [target.family.name for target in resolution.targets]


class TestMeaning:
    """What an event is by the definitions of counting."""

    @pytest.mark.parametrize(
        ("state", "families"),
        [
            ("success", ["airflow_task_instances_finished_total", "airflow_task_tries_total"]),
            (
                "failed",
                [
                    "airflow_task_instances_finished_total",
                    "airflow_task_tries_total",
                    "airflow_task_tries_failed_total",
                ],
            ),
            (
                "up_for_retry",
                ["airflow_task_tries_total", "airflow_task_tries_failed_total", "airflow_task_retries_total"],
            ),
            ("skipped", ["airflow_task_instances_not_run_total", "airflow_task_tries_total"]),
            ("up_for_reschedule", ["airflow_task_reschedules_total"]),
            ("deferred", ["airflow_task_deferrals_total"]),
        ],
    )
    def test_how_a_process_ends_its_work(self, state: str, families: list[str]) -> None:
        assert names(resolve(f"ti.finish.d.t.{state}")) == families

    @pytest.mark.parametrize("state", ["None", "queued", "removed", "shutdown", "restarting", "upstream_failed"])
    def test_the_other_zeros_of_2_x_make_no_series(self, state: str) -> None:
        assert resolve(f"ti.finish.d.t.{state}").drop == "zero_series"

    def test_a_state_that_nobody_knows_is_unmapped(self) -> None:
        assert resolve("ti.finish.d.t.exploded").drop == "unmapped"

    def test_on_2_x_scheduled_duration_counts_from_the_first_start_and_is_left_out(self) -> None:
        assert resolve("dag.d.t.scheduled_duration", "ms").drop == "unclear"

    def test_timers_feed_counters_of_seconds_and_counters_of_events(self) -> None:
        found = resolve("dag.d.t.queued_duration", "ms")
        assert [(target.scale, target.plus) for target in found.targets] == [(1.0, 0.0), (1.0, 0.0), (0.0, 1.0)]

    def test_usage_in_percent_becomes_a_ratio(self) -> None:
        assert resolve("task.cpu_usage.d.t", "g").targets[0].scale == pytest.approx(0.01)

    @pytest.mark.parametrize(
        ("old", "new"),
        [
            ("dataset.updates", "asset.updates"),
            ("dataset.triggered_dagruns", "asset.triggered_dagruns"),
            ("zombies_killed", "task_instances_without_heartbeats_killed"),
        ],
    )
    def test_a_renamed_event_feeds_one_family(self, old: str, new: str) -> None:
        assert names(resolve(old)) == names(resolve(new, config=PLAIN_33))

    @pytest.mark.parametrize("tag", ["operator_name", "operator", "task_type"])
    def test_the_operator_has_had_three_tags(self, tag: str) -> None:
        found = resolve("operator_successes", tags=f"dag_id=d,{tag}=BashOperator", config=TAGGED)
        assert labels(found) == ("BashOperator", "")

    def test_the_result_of_a_deadlines_callback_is_no_label(self) -> None:
        found = resolve("deadline_alerts.callback_failed", tags="result=Traceback...,kwargs={...}", config=TAGGED)
        assert labels(found) == ("failed", "")

    def test_a_runs_id_is_no_label_of_a_missed_deadline(self) -> None:
        found = resolve("deadline_alerts.deadline_missed", tags="dag_id=d,dagrun_id=4711", config=TAGGED)
        assert labels(found) == ("d",)

    def test_a_path_becomes_the_files_name(self) -> None:
        found = resolve("dag_processing.processor_timeouts", tags="file_path=/opt/dags/a/sales.py", config=TAGGED)
        assert labels(found) == ("", "sales.py", "")

    def test_what_processes_did_is_lost_without_tags(self) -> None:
        assert resolve("dag_processing.processes").drop == "unclear"
        found = resolve("dag_processing.processes", tags="file_path=a.py,action=finish", config=TAGGED)
        assert labels(found) == ("finish", "")

    def test_a_known_name_of_another_type_is_a_conflict(self) -> None:
        assert resolve("scheduler_heartbeat", "g").drop == "conflict"

    def test_distributions_are_timers_too(self) -> None:
        assert resolve("scheduler.scheduler_loop_duration", "d", config=TAGGED).targets

    def test_without_task_labels_tasks_are_not_told_apart(self) -> None:
        config = StatsdSettings(release="3.3.2", mode="influxdb", task_labels=False)
        tags = "dag_id=d,task_id=t,queue=q,state=success"
        assert labels(resolve("ti.finish", tags=tags, config=config)) == ("d", "", "success")
        assert resolve("ti.running", "g", tags, config).drop == "denied"


TEXT = st.text(max_size=40)
PARTS = st.sampled_from(
    ["ti", "finish", "dag", "d", "a.b", "__", "", "success", "duration", "pool", "open_slots", "executor", "é", "\n"]
)
NAMES = st.one_of(
    TEXT,
    st.lists(PARTS, max_size=12).map(lambda parts: "airflow." + ".".join(parts)),
    st.sampled_from([text for event in EVENTS for text in (event.name, *event.legacy)]).map(
        lambda one: f"airflow.{one}"
    ),
)
SIGNATURES = st.builds(
    Signature,
    NAMES,
    st.sampled_from(MetricType),
    st.lists(
        st.tuples(st.one_of(TEXT, st.sampled_from(["dag_id", "task_id", "state", "job", "le"])), TEXT), max_size=4
    ).map(tuple),
    st.just(1.0),
    st.sampled_from(["", "influxdb", "datadog"]),
)
SETTINGS = st.builds(
    StatsdSettings,
    prefix=st.sampled_from(["airflow", "", "a.b"]),
    release=st.one_of(st.sampled_from(["", "2.10", "2.11.2", "3.0", "3.3.2", "4"]), TEXT),
    mode=st.sampled_from(["", "plain", "influxdb", "datadog"]),
    task_labels=st.booleans(),
)


@settings(max_examples=100, deadline=None)
@given(config=SETTINGS, signatures=st.lists(SIGNATURES, max_size=8))
def test_nothing_raises_and_every_resolution_is_whole(config: StatsdSettings, signatures: list[Signature]) -> None:
    directory = Directory()
    directory.set_dags(["a.b", "d"])
    resolver = AirflowNameResolver(directory, config)
    revision = resolver.revision
    for signature in signatures:
        found = resolver.resolve(signature)
        assert bool(found.targets) != bool(found.drop)
        assert not found.drop or found.drop in DROP_REASONS
        assert all(len(target.labels) == len(target.family.labels) for target in found.targets)
        assert resolver.revision >= revision
        revision = resolver.revision


@settings(max_examples=50, deadline=None)
@given(config=SETTINGS, signatures=st.lists(SIGNATURES, max_size=8))
def test_the_same_signatures_end_in_the_same_resolutions(config: StatsdSettings, signatures: list[Signature]) -> None:
    """Signs only add up: after a few rounds nothing changes any more."""
    resolver = AirflowNameResolver(Directory(), config)
    for _ in range(6):
        for signature in signatures:
            resolver.resolve(signature)
    resolver.assume_defaults()
    settled = resolver.revision
    first = [resolver.resolve(signature)._replace(claim=None) for signature in signatures]
    assert [resolver.resolve(signature)._replace(claim=None) for signature in signatures] == first
    assert resolver.revision - settled <= 3


def test_a_million_names_would_change_nothing_but_a_few_bounded_tables() -> None:
    resolver = AirflowNameResolver(Directory(), StatsdSettings(mode="plain", release="2.11"))
    for number in range(30_000):
        resolver.resolve(Signature(f"airflow.dagrun.dependency-check.flood.{number}", MetricType.TIMER))
        resolver.resolve(Signature(f"airflow.flood{number}.x", MetricType.GAUGE))
    assert len(resolver._ids._learned) <= 10_000
    assert len(resolver._custom._families) <= 500
    assert resolver.resolve(Signature("airflow.one_more", MetricType.GAUGE)).drop == "capped"


def test_every_family_of_statsd_is_fed_by_an_event() -> None:
    assert [family.name for family in FAMILIES if family.source == "statsd" and family not in FED_FAMILIES] == []


def test_gauges_of_events_go_after_at_least_two_minutes_and_counters_stay() -> None:
    for family in FED_FAMILIES:
        assert (family.ttl >= 120) == (family.kind == "gauge"), family.name


def test_no_label_is_unbounded() -> None:
    unbounded = {"run_id", "job_id", "dagrun_id", "try_number", "kwargs"}
    assert not [family.name for family in FED_FAMILIES if unbounded.intersection(family.labels)]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_a_declaration_is_sound(event: Event) -> None:
    fields = event
    assert fields.drop in ("", *DROP_REASONS)
    assert bool(fields.bindings) != bool(fields.drop)
    for part in filter(None, fields.releases.split(",")):
        assert re.fullmatch(r"2\.x|[23]\.\d+(\.\d+)?\+|[23]\.\d+(\.\d+)?-[23]\.\d+(\.\d+)?", part.strip()), part
    assert covers_release(fields.releases, parse_release("2.11.2")) or covers_release(
        fields.releases, parse_release("3.9.9")
    )
    for binding in fields.bindings:
        config = {*fields.variables, *binding.const}
        missing = set(binding.family.labels) - config
        assert missing <= {"run_type", "pool", "queue", "bundle", "team"}, missing

"""Users' own metrics: names, labels, units and bounds."""

from __future__ import annotations

import re

import pytest

from exporter.config.settings import StatsdSettings
from exporter.sources.directory import Directory
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.model import Action, MetricType, Resolution, Signature, Target

TAGGED = StatsdSettings(release="3.3.2", mode="datadog")


def resolve(
    name: str,
    kind: str = "c",
    tags: str = "",
    config: StatsdSettings = TAGGED,
    resolver: AirflowNameResolver | None = None,
) -> Resolution:
    pairs = tuple((tag.partition("=")[0], tag.partition("=")[2]) for tag in tags.split(",") if tag)
    return (resolver or AirflowNameResolver(Directory(), config)).resolve(Signature(name, MetricType(kind), pairs))


def only(resolution: Resolution) -> Target:
    assert len(resolution.targets) == 1, resolution
    return resolution.targets[0]


@pytest.mark.parametrize(
    ("sent", "kind", "name"),
    [
        ("airflow.rows.read", "c", "airflow_custom_rows_read_total"),
        ("airflow.rows_total", "c", "airflow_custom_rows_total"),
        ("airflow.lag-now", "g", "airflow_custom_lag_now"),
        ("airflow.seen_total", "g", "airflow_custom_seen_total_value"),
        ("airflow.upload", "ms", "airflow_custom_upload_seconds"),
        ("airflow.upload_ms", "ms", "airflow_custom_upload_seconds"),
        ("airflow.upload.seconds", "ms", "airflow_custom_upload_seconds"),
        ("airflow.size", "h", "airflow_custom_size"),
        ("airflow.task.rows", "c", "airflow_custom_task_rows_total"),
        ("gunicorn.requests", "c", "airflow_custom_gunicorn_requests_total"),
        ("airflow.größe", "g", "airflow_custom_gr__e"),
    ],
)
def test_names(sent: str, kind: str, name: str) -> None:
    assert only(resolve(sent, kind)).family.name == name


def test_tags_become_labels_in_the_order_of_their_names() -> None:
    target = only(resolve("airflow.rows", tags="table=orders,dag_id=sales"))
    assert (target.family.labels, target.labels) == (("dag_id", "table"), ("sales", "orders"))


def test_tags_that_belong_to_the_scrape_or_to_prometheus_are_renamed() -> None:
    target = only(resolve("airflow.rows", tags="job=a,le=b,__x=c,1st=d,my-tag=e"))
    assert target.family.labels == ("my_tag", "tag_1st", "tag_job", "tag_le", "tag_x")


def test_ids_of_runs_never_become_labels() -> None:
    assert only(resolve("airflow.rows", tags="dag_id=d,run_id=r,job_id=1,try_number=2")).family.labels == ("dag_id",)


@pytest.mark.parametrize("tags", ["region=eu,express", "express=,region=eu", "region=eu,region="])
def test_a_tag_without_a_value_is_no_label(tags: str) -> None:
    resolver = AirflowNameResolver(Directory(), TAGGED)
    assert only(resolve("orders", tags=tags, resolver=resolver)) == only(
        resolve("orders", tags="region=eu", resolver=resolver)
    )


def test_labels_are_bounded_in_number_and_length() -> None:
    tags = ",".join(f"t{number}={'v' * 300}" for number in range(20))
    target = only(resolve("airflow.rows", tags=tags))
    assert len(target.labels) == 10
    assert {len(value) for value in target.labels} == {250}


def test_the_help_text_of_a_long_name_is_bounded() -> None:
    assert len(only(resolve("airflow." + "rows" * 200)).family.help) < 250


def test_timers_become_histograms_in_seconds() -> None:
    target = only(resolve("airflow.upload", "ms"))
    assert (target.action, target.scale) == (Action.OBSERVE, 0.001)
    assert target.family.buckets


def test_the_timers_of_datadogs_client_are_in_seconds_on_2_x() -> None:
    config = StatsdSettings(release="2.11", mode="datadog")
    assert only(resolve("airflow.upload", "ms", config=config)).scale == 1.0


def test_one_family_has_one_object_and_another_with_other_labels() -> None:
    resolver = AirflowNameResolver(Directory(), TAGGED)
    first = only(resolve("airflow.rows", tags="a=1", resolver=resolver)).family
    assert only(resolve("airflow.rows", tags="a=2", resolver=resolver)).family is first
    other = only(resolve("airflow.rows", tags="b=2", resolver=resolver)).family
    assert (other.name, other.labels) == (first.name, ("b",))


def test_a_name_has_one_kind() -> None:
    resolver = AirflowNameResolver(Directory(), TAGGED)
    resolve("airflow.size", "h", resolver=resolver)
    assert resolve("airflow.size", "g", resolver=resolver).drop == "conflict"


def test_samples_of_two_families_never_share_a_name() -> None:
    resolver = AirflowNameResolver(Directory(), TAGGED)
    resolve("airflow.up", "ms", resolver=resolver)
    assert resolve("airflow.up_seconds", "g", resolver=resolver).drop == "conflict"
    assert only(resolve("airflow.up_seconds_count", "g", resolver=resolver)).family.name.endswith("_count_value")


def test_families_are_bounded_in_number() -> None:
    resolver = AirflowNameResolver(Directory(), TAGGED)
    drops = [resolve(f"airflow.flood{number}", resolver=resolver).drop for number in range(600)]
    assert drops.count("capped") == 100


def test_when_there_are_too_many_families_known_ones_still_count() -> None:
    resolver = AirflowNameResolver(Directory(), TAGGED)
    for number in range(600):
        resolve(f"airflow.flood{number}", tags="a=1", resolver=resolver)
    assert only(resolve("airflow.flood0", tags="a=2", resolver=resolver)).labels == ("2",)
    assert resolve("airflow.flood0", "g", "a=1", resolver=resolver).drop == "capped"
    assert resolve("airflow.flood0", tags="b=1", resolver=resolver).drop == "capped"
    assert resolve("airflow.flood599", tags="a=1", resolver=resolver).drop == "capped"


def test_families_go_on_after_a_reload_and_the_new_settings_hold() -> None:
    before = AirflowNameResolver(Directory(), TAGGED)
    family = only(resolve("airflow.rows", tags="a=1", resolver=before)).family
    after = AirflowNameResolver(Directory(), StatsdSettings(mode="datadog", deny=re.compile("secret")), previous=before)
    assert only(resolve("airflow.rows", tags="a=1", resolver=after)).family is family
    assert resolve("airflow.rows", "g", resolver=after).drop == "conflict"
    assert resolve("airflow.secret", resolver=after).drop == "denied"


def test_allow_and_deny_look_at_the_whole_name_without_the_prefix() -> None:
    config = StatsdSettings(allow=re.compile("rows.*"), deny=re.compile(r"rows\.secret"), mode="plain")
    assert resolve("airflow.rows.read", config=config).targets
    assert resolve("airflow.rows.secret", config=config).drop == "denied"
    assert resolve("airflow.my.rows", config=config).drop == "denied"
    assert resolve("airflow.scheduler_heartbeat", config=config).targets


@pytest.mark.parametrize(
    ("name", "tags", "mode", "labels"),
    [
        ("airflow.records_processed", "dag_id=sales,task_id=load", "influxdb", ("sales", "load")),
        ("airflow.records_processed", "dag_id=sales,task_id=load,run_id=r", "datadog", ("sales", "load")),
        ("airflow.records_processed.sales.load", "", "plain", ("sales", "load")),
        ("airflow.records_processed.sales.load", "", "influxdb", ("sales", "load")),
        ("airflow.records_processed", "", "plain", ("", "")),
    ],
)
def test_records_processed_is_declared(name: str, tags: str, mode: str, labels: tuple[str, ...]) -> None:
    target = only(resolve(name, tags=tags, config=StatsdSettings(mode=mode)))
    assert target.family.name == "airflow_custom_records_processed_total"
    assert target.labels == labels
    assert target.family.declared


def test_records_processed_says_nothing_of_how_airflow_sends() -> None:
    resolver = AirflowNameResolver(Directory(), StatsdSettings(release="3.3.2"))
    resolve("airflow.records_processed", tags="dag_id=d,task_id=t", resolver=resolver)
    assert resolve("airflow.ti.start.d.t", resolver=resolver).drop == "undecided"


def test_a_figure_of_an_edge_worker_that_users_added_is_theirs() -> None:
    target = only(resolve("airflow.edge_worker.temperature", "g", "worker_name=w1"))
    assert (target.family.name, target.labels) == ("airflow_custom_edge_worker_temperature", ("w1",))

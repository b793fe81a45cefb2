"""Under which prefixes Airflow's names are recognised, and when a user's own are not taken for them."""

from __future__ import annotations

import logging

import pytest

from exporter.config.settings import StatsdSettings
from exporter.sources.directory import Directory
from exporter.sources.statsd.airflow_names.events.table import EVENTS
from exporter.sources.statsd.airflow_names.prefixes import MAX_CANDIDATES, MAX_PREFIXES, PrefixDetector
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.model import MetricType, Resolution, Signature

SIGNS = ("scheduler_heartbeat", "dagbag_size", "triggerer_heartbeat")
KINDS = {"dagbag_size": MetricType.GAUGE, "pool.open_slots": MetricType.GAUGE}


def send(names: AirflowNameResolver, name: str, kind: MetricType = MetricType.COUNTER) -> Resolution:
    return names.resolve(Signature(name, kind))


def prove(names: AirflowNameResolver, prefix: str) -> None:
    for sign in SIGNS:
        send(names, prefix + sign, KINDS.get(sign, MetricType.COUNTER))


def families(resolution: Resolution) -> list[str]:
    return [target.family.name for target in resolution.targets]


@pytest.mark.parametrize(
    "prefix",
    ["airflow.production.", "prod.airflow.", "teamA.airflow.eu.", "prod.", "", "scheduler.", "airflow.scheduler.",
     "airflow.dag.", "airflow.pool.", "airflow..", "a.b.c.d.e."],
)  # fmt: skip
def test_airflow_is_recognised_under_any_prefix(prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    names = AirflowNameResolver(Directory(), StatsdSettings(mode="plain", release="3.3.2"))
    with caplog.at_level(logging.INFO):
        prove(names, prefix)
        assert families(send(names, f"{prefix}scheduler_heartbeat")) == ["airflow_scheduler_heartbeats_total"]
        legacy = send(names, f"{prefix}ti.finish.etl.load.success")
        assert legacy.targets[0].labels == ("etl", "load", "success")
        assert "recognised" in legacy.note
        duration = send(names, f"{prefix}dag.etl.load.duration", MetricType.TIMER)
        assert duration.targets[0].labels == ("etl", "load")
        assert families(send(names, f"{prefix}rows.read")) == ["airflow_custom_rows_read_total"]
        assert send(names, f"{prefix}scheduler.something_new").drop == "unmapped"
    [message] = [record.getMessage() for record in caplog.records]
    assert prefix.removesuffix(".") in message
    assert "--statsd.prefix" in message
    assert names.remarks


def test_what_came_before_the_proof_is_held_back_and_makes_no_family_of_a_user() -> None:
    names = AirflowNameResolver(Directory(), StatsdSettings())
    before = names.revision
    assert send(names, "airflow.production.scheduler_heartbeat").drop == "undecided"
    assert send(names, "airflow.production.ti.start.etl.load").drop == "undecided"
    assert send(names, "airflow.production.dagbag_size", MetricType.GAUGE).drop == "undecided"
    assert families(send(names, "airflow.production.triggerer_heartbeat")) == ["airflow_triggerer_heartbeats_total"]
    assert names.revision > before


@pytest.mark.parametrize(
    "name",
    ["myapp.ti.finish.x.y.z", "airflow.myapp.ti.finish.x.y.z", "shop.pool.open_slots", "airflow.shop.pool.open_slots"],
)
def test_a_single_name_of_users_is_theirs_once_the_stream_has_shown_what_it_is(name: str) -> None:
    names = AirflowNameResolver(Directory(), StatsdSettings(mode="plain", release="3.3.2"))
    prove(names, "airflow.")
    for _ in range(5):
        [family] = families(send(names, name, MetricType.GAUGE))
        assert family.startswith("airflow_custom_")
    assert not names.remarks


def test_without_any_airflow_names_of_users_are_theirs_after_the_first_lines() -> None:
    names = AirflowNameResolver(Directory(), StatsdSettings())
    found = [send(names, "shop.pool.open_slots", MetricType.GAUGE) for _ in range(60)]
    assert found[0].drop == "undecided"
    assert families(found[-1]) == ["airflow_custom_shop_pool_open_slots"]
    assert "Airflow's pool.open_slots with the prefix shop" in found[-1].note


def test_names_that_any_program_may_have_prove_nothing() -> None:
    names = AirflowNameResolver(Directory(), StatsdSettings())
    names.assume_defaults()
    for name in ("triggers.failed", "triggers.succeeded", "asset.updates", "connection_test.failed", "job_start"):
        send(names, f"shop.{name}")
    assert families(send(names, "shop.triggers.failed")) == ["airflow_custom_shop_triggers_failed_total"]


def test_another_airflow_is_not_mixed_in_where_the_known_prefix_is_in_use() -> None:
    names = AirflowNameResolver(Directory(), StatsdSettings(prefix="prod"))
    prove(names, "prod.")
    prove(names, "stage.")
    assert send(names, "stage.scheduler_heartbeat").drop == "unmapped"
    assert send(names, "stage.ti.start.d.t").drop == "unmapped"
    assert families(send(names, "prod.scheduler_heartbeat")) == ["airflow_scheduler_heartbeats_total"]
    [remark] = names.remarks
    assert "stage" in remark


def test_what_was_recognised_stays_when_the_known_prefix_comes_too() -> None:
    names = AirflowNameResolver(Directory(), StatsdSettings())
    prove(names, "airflow.worker.")
    prove(names, "airflow.")
    assert send(names, "airflow.worker.scheduler_heartbeat").targets
    assert send(names, "airflow.scheduler_heartbeat").targets


def test_several_prefixes_are_configured() -> None:
    names = AirflowNameResolver(Directory(), StatsdSettings(prefix="airflow.scheduler, airflow.worker"))
    for prefix in ("airflow.scheduler.", "airflow.worker."):
        assert families(send(names, f"{prefix}scheduler_heartbeat")) == ["airflow_scheduler_heartbeats_total"]
    assert not names.remarks


def test_a_reload_keeps_what_was_recognised_unless_the_prefix_is_configured_otherwise() -> None:
    names = AirflowNameResolver(Directory(), StatsdSettings())
    prove(names, "airflow.production.")
    again = AirflowNameResolver(Directory(), StatsdSettings(task_labels=False), previous=names)
    assert send(again, "airflow.production.scheduler_heartbeat").targets
    other = AirflowNameResolver(Directory(), StatsdSettings(prefix="prod"), previous=names)
    assert send(other, "airflow.production.scheduler_heartbeat").drop == "undecided"


def test_nothing_grows_without_bound() -> None:
    prefixes = PrefixDetector(event.name for event in EVENTS)
    for number in range(3 * MAX_CANDIDATES):
        prefixes.search(f"p{number}.scheduler_heartbeat")
    assert len(prefixes._seen) <= MAX_CANDIDATES
    for number in range(3 * MAX_PREFIXES):
        for sign in SIGNS:
            prefixes.search(f"q{number}.{sign}")
    assert len(prefixes.recognised) == prefixes.revision == MAX_PREFIXES

"""What becomes of single StatsD names of Airflow, config by the configuration."""

from __future__ import annotations

import pytest

from exporter.config.settings import StatsdSettings
from exporter.metrics.catalogue.api import runs, tasks
from exporter.sources.directory import Directory
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.model import MetricType, Resolution, Signature

PLAIN_2 = StatsdSettings(release="2.11.2", mode="plain")
PLAIN_32 = StatsdSettings(release="3.2.2", mode="plain")
PLAIN_33 = StatsdSettings(release="3.3.2", mode="plain")
TAGGED = StatsdSettings(release="3.3.2", mode="influxdb")


def know(*dag_ids: str, task_ids: dict[str, str] | None = None) -> Directory:
    directory = Directory()
    if dag_ids:
        directory.set_dags(dag_ids)
    for task_id, dag_id in (task_ids or {}).items():
        directory.record_try(dag_id, task_id)
    return directory


def resolve(
    name: str, kind: str = "c", tags: str = "", config: StatsdSettings = PLAIN_2, directory: Directory | None = None
) -> Resolution:
    pairs = tuple((tag.partition("=")[0], tag.partition("=")[2]) for tag in tags.split(",") if tag)
    return AirflowNameResolver(directory or Directory(), config).resolve(
        Signature(f"airflow.{name}", MetricType(kind), pairs)
    )


def labels(resolution: Resolution, place: int = 0) -> tuple[str, ...]:
    """The values of the labels, without that of the team where there is none."""
    target = resolution.targets[place]
    last = target.family.labels[-1:], target.labels[-1:]
    return target.labels[:-1] if last == (("team",), ("",)) else target.labels


def names(resolution: Resolution) -> list[str]:
    return [target.family.name for target in resolution.targets]


class TestDots:
    """Where one id ends and the next begins."""

    def test_a_task_in_a_group_is_more_likely_than_a_dag_with_a_dot(self) -> None:
        found = resolve("ti.finish.sales.load.orders.success")
        assert labels(found) == ("sales", "load.orders", "success")
        assert found.ambiguous

    def test_a_known_dag_decides(self) -> None:
        found = resolve("ti.finish.sales.eu.load.orders.success", directory=know("sales.eu", "other"))
        assert labels(found) == ("sales.eu", "load.orders", "success")
        assert not found.ambiguous

    def test_of_two_known_dags_the_one_with_the_task_is_meant(self) -> None:
        directory = know("sales", "sales.eu", task_ids={"eu.load": "sales"})
        assert labels(resolve("ti.finish.sales.eu.load.success", directory=directory))[:2] == ("sales", "eu.load")

    def test_of_two_known_dags_without_the_task_the_longer_is_meant(self) -> None:
        directory = know("sales", "sales.eu")
        assert labels(resolve("ti.finish.sales.eu.load.success", directory=directory))[:2] == ("sales.eu", "load")

    def test_a_name_with_the_dag_alone_teaches_its_id(self) -> None:
        resolver = AirflowNameResolver(Directory(), PLAIN_2)
        before = resolver.revision
        resolver.resolve(Signature("airflow.dagrun.dependency-check.sales.eu", MetricType.TIMER))
        assert resolver.revision > before
        found = resolver.resolve(Signature("airflow.dag.sales.eu.load.duration", MetricType.TIMER))
        assert labels(found) == ("sales.eu", "load")
        assert not found.ambiguous

    def test_two_underscores_of_3_3_become_a_dot_where_ids_tell(self) -> None:
        directory = know("sales.eu", task_ids={"load.orders": "sales.eu"})
        found = resolve("ti.finish.sales__eu.load__orders.success", config=PLAIN_33, directory=directory)
        assert labels(found) == ("sales.eu", "load.orders", "success")
        assert not found.ambiguous

    def test_two_underscores_that_are_really_in_the_id_stay(self) -> None:
        directory = know("sales__eu", "sales.eu", task_ids={"a__b": "sales__eu"})
        found = resolve("ti.finish.sales__eu.a__b.success", config=PLAIN_33, directory=directory)
        assert labels(found) == ("sales__eu", "a__b", "success")

    def test_two_underscores_that_nobody_knows_stay_and_are_counted(self) -> None:
        found = resolve("ti.finish.sales__eu.load.success", config=PLAIN_33)
        assert labels(found)[0] == "sales__eu"
        assert found.ambiguous

    def test_before_3_3_two_underscores_are_two_underscores(self) -> None:
        directory = know("sales.eu")
        found = resolve("ti.finish.sales__eu.load.success", config=PLAIN_32, directory=directory)
        assert labels(found)[0] == "sales__eu"
        assert not found.ambiguous

    def test_a_queue_may_have_dots_where_the_dag_is_known(self) -> None:
        directory = know("sales")
        found = resolve("ti.running.eu.fast.sales.load", "g", config=PLAIN_32, directory=directory)
        assert labels(found) == ("sales", "load", "eu.fast", "running")

    def test_a_host_has_dots_in_place_of_underscores(self) -> None:
        assert labels(resolve("triggers.running.t1__example__org", "g", config=PLAIN_33)) == ("t1.example.org",)
        assert labels(resolve("triggers.running.t1.example.org", "g", config=PLAIN_32)) == ("t1.example.org",)

    def test_job_ids_never_become_labels(self) -> None:
        found = resolve("local_task_job.task_exit.4711.sales.load.orders.-9")
        assert labels(found) == ("sales", "-9")

    def test_a_state_in_the_middle_anchors_what_stands_around_it(self) -> None:
        found = resolve("edge_worker.ti.finish.eu.fast.success.sales.load", config=PLAIN_32)
        assert labels(found) == ("eu.fast", "sales", "success")


class TestTwins:
    """Each event counts once."""

    def test_without_tags_the_legacy_name_counts(self) -> None:
        assert resolve("pool.open_slots", "g").drop == "twin"
        assert labels(resolve("pool.open_slots.etl", "g")) == ("etl",)

    def test_with_tags_the_modern_name_counts(self) -> None:
        assert labels(resolve("pool.open_slots", "g", "pool_name=etl", TAGGED)) == ("etl",)
        assert resolve("pool.open_slots.etl", "g", config=TAGGED).drop == "twin"

    def test_left_over_tags_do_not_make_a_legacy_name_modern(self) -> None:
        found = resolve("operator_successes_BashOperator", tags="dag_id=d,task_id=t", config=TAGGED)
        assert found.drop == "twin"

    def test_while_nothing_tells_of_tags_both_are_held_back(self) -> None:
        silent = StatsdSettings(release="2.11")
        assert resolve("ti.start.d.t", config=silent).drop == "undecided"

    def test_the_first_tag_decides(self) -> None:
        resolver = AirflowNameResolver(Directory(), StatsdSettings())
        before = resolver.revision
        resolver.resolve(Signature("airflow.pool.open_slots", MetricType.GAUGE, (("pool_name", "etl"),)))
        assert resolver.revision > before
        assert resolver.resolve(Signature("airflow.ti.start.d.t", MetricType.COUNTER)).drop == "twin"

    def test_a_name_that_has_tags_wherever_they_are_sent_decides_by_having_none(self) -> None:
        resolver = AirflowNameResolver(Directory(), StatsdSettings())
        resolver.resolve(Signature("airflow.pool.open_slots", MetricType.GAUGE))
        assert labels(resolver.resolve(Signature("airflow.ti.start.d.t", MetricType.COUNTER))) == ("d",)

    def test_patience_ends(self) -> None:
        resolver = AirflowNameResolver(Directory(), StatsdSettings())
        for number in range(60):
            resolver.resolve(Signature(f"airflow.ti.start.d.t{number}", MetricType.COUNTER))
        assert labels(resolver.resolve(Signature("airflow.ti.start.d.t", MetricType.COUNTER))) == ("d",)

    def test_a_single_line_is_told_when_it_is_settled(self) -> None:
        resolver = AirflowNameResolver(Directory(), StatsdSettings())
        resolver.assume_defaults()
        assert labels(resolver.resolve(Signature("airflow.ti.start.d.t", MetricType.COUNTER))) == ("d",)

    def test_tags_that_come_outweigh_what_was_said(self) -> None:
        resolver = AirflowNameResolver(Directory(), PLAIN_33)
        found = resolver.resolve(Signature("airflow.ti.start", MetricType.COUNTER, (("dag_id", "d"), ("task_id", "t"))))
        assert labels(found) == ("d",)
        assert resolver.resolve(Signature("airflow.ti.start.d.t", MetricType.COUNTER)).drop == "twin"

    def test_a_datadog_client_without_metric_tags_is_read_by_its_legacy_names(self) -> None:
        directory = Directory()
        directory.set_version("3.3.2")
        directory.set_metrics_config({"statsd_datadog_enabled": "True", "statsd_datadog_metrics_tags": "False"})
        constant = "env=prod"
        assert labels(resolve("ti.start.d.t", tags=constant, config=StatsdSettings(), directory=directory)) == ("d",)
        assert resolve("ti.start", tags=constant, config=StatsdSettings(), directory=directory).drop == "twin"

    @pytest.mark.parametrize("config", [PLAIN_2, PLAIN_33, TAGGED])
    def test_what_3_3_sends_twice_under_its_legacy_name_counts_by_the_other(self, config: StatsdSettings) -> None:
        assert resolve("dagrun.sales.first_task_scheduling_delay", "ms", config=config).drop == "twin"
        found = resolve("dagrun.first_task_scheduling_delay", "ms", config=config)
        assert names(found) == ["airflow_dag_run_first_task_scheduling_delay_seconds"]

    def test_the_old_name_of_parse_timeouts_is_a_twin(self) -> None:
        assert resolve("dag_file_processor_timeouts").drop == "twin"


class TestExecutors:
    """A single executor has its name in the tags, in a second name, or not at all."""

    def test_2_11_in_plain_mode_does_not_tell_it(self) -> None:
        assert labels(resolve("executor.open_slots", "g")) == ("", "", "open")

    def test_several_executors_always_have_their_names(self) -> None:
        assert labels(resolve("executor.open_slots.CeleryExecutor", "g")) == ("CeleryExecutor", "", "open")

    def test_3_3_in_plain_mode_sends_both_and_the_one_with_the_name_counts(self) -> None:
        assert resolve("executor.open_slots", "g", config=PLAIN_33).drop == "twin"
        assert labels(resolve("executor.open_slots.LocalExecutor", "g", config=PLAIN_33))[0] == "LocalExecutor"

    def test_several_executors_in_tagged_mode_have_only_the_name_with_the_class(self) -> None:
        found = resolve("executor.open_slots.LocalExecutor", "g", "status=open", TAGGED)
        assert labels(found) == ("LocalExecutor", "", "open")

    def test_teams_are_told_apart(self) -> None:
        found = resolve("executor.queued_tasks", "g", "executor_class_name=LocalExecutor,team_name=red", TAGGED)
        assert labels(found) == ("LocalExecutor", "red")

    @pytest.mark.parametrize("tag", ["name", "executor_class_name"])
    def test_the_tag_was_renamed(self, tag: str) -> None:
        assert labels(resolve("executor.running_tasks", "g", f"status=running,{tag}=X", TAGGED)) == ("X", "", "running")


class TestApi:
    """One meaning, one source."""

    def test_what_the_api_feeds_is_dropped_and_the_rest_is_fed(self) -> None:
        resolver = AirflowNameResolver(Directory(), PLAIN_2, frozenset({tasks.FINISHED, tasks.TRIES}))
        found = resolver.resolve(Signature("airflow.ti.finish.d.t.failed", MetricType.COUNTER))
        assert names(found) == ["airflow_task_tries_failed_total"]
        assert resolver.resolve(Signature("airflow.ti.finish.d.t.success", MetricType.COUNTER)).drop == "fed_by_api"

    def test_what_stands_in_for_a_family_of_the_api_goes_with_it(self) -> None:
        resolver = AirflowNameResolver(Directory(), PLAIN_2, frozenset({tasks.TRIES, runs.FINISHED}))
        assert resolver.resolve(Signature("airflow.ti.start.d.t", MetricType.COUNTER)).drop == "fed_by_api"
        found = resolver.resolve(Signature("airflow.dagrun.duration.failed.d", MetricType.TIMER))
        assert names(found) == ["airflow_dag_run_failed_seconds_total"]


class TestPrefix:
    """Airflow's own prefix."""

    def test_another_prefix_is_configured(self) -> None:
        resolver = AirflowNameResolver(Directory(), StatsdSettings(prefix="prod.eu", mode="plain"))
        assert resolver.resolve(Signature("prod.eu.scheduler_heartbeat", MetricType.COUNTER)).targets

    def test_the_api_tells_it(self) -> None:
        directory = Directory()
        directory.set_metrics_config({"statsd_prefix": "prod"})
        resolver = AirflowNameResolver(directory, StatsdSettings())
        assert resolver.resolve(Signature("prod.scheduler_heartbeat", MetricType.COUNTER)).targets

    def test_no_prefix_at_all(self) -> None:
        resolver = AirflowNameResolver(Directory(), StatsdSettings(prefix=""))
        assert resolver.resolve(Signature("scheduler_heartbeat", MetricType.COUNTER)).targets

    def test_airflow_under_another_prefix_is_said_to_be_so(self) -> None:
        found = AirflowNameResolver(Directory(), PLAIN_2).resolve(
            Signature("prod.scheduler_heartbeat", MetricType.COUNTER)
        )
        assert found.drop == "undecided"
        assert "--statsd.prefix" in found.note

    def test_the_clients_own_telemetry_is_set_apart(self) -> None:
        found = AirflowNameResolver(Directory(), PLAIN_2).resolve(
            Signature("datadog.dogstatsd.client.metrics", MetricType.COUNTER)
        )
        assert found.drop == "telemetry"

    def test_names_of_airflow_that_are_not_known_are_not_taken_for_users(self) -> None:
        assert resolve("scheduler.something_new").drop == "unmapped"
        assert resolve("ti.finish.x").drop == "unmapped"

"""What Airflow's tags become: teams, new names of its main branch, and one spelling for a DAG file."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.config.settings import StatsdSettings
from exporter.metrics.catalogue.families import FAMILIES
from exporter.metrics.catalogue.statsd import dag_processor
from exporter.sources.directory import Directory
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.model import MetricType, Resolution, Signature
from exporter.store.live_tables import LiveTables
from exporter.store.senders import DEFAULT_EXPIRY
from exporter.store.store import Store

MAIN = [
    line.split()
    for line in (Path(__file__).parents[4] / "data" / "statsd" / "names-main.txt").read_text().splitlines()
    if not line.startswith("#")
]
TAGGED = StatsdSettings(release="3.4.0", mode="influxdb")
PLAIN = StatsdSettings(release="3.4.0", mode="plain")


def resolve(
    name: str, kind: str, tags: dict[str, str], config: StatsdSettings = TAGGED, directory: Directory | None = None
) -> Resolution:
    names = AirflowNameResolver(directory or Directory(), config)
    return names.resolve(Signature(f"airflow.{name}", MetricType(kind), tuple(tags.items()), dialect="influxdb"))


def read_labels(resolution: Resolution, place: int = 0) -> dict[str, str]:
    target = resolution.targets[place]
    return dict(zip(target.family.labels, target.labels, strict=True))


@pytest.mark.parametrize(("kind", "name", "legacy", "tags"), MAIN, ids=lambda value: value)
def test_every_name_of_main_feeds_a_family_and_keeps_its_tags(kind: str, name: str, legacy: str, tags: str) -> None:
    sent = {tag: f"value-{tag}.py" for tag in tags.split(",") if tag != "-"}
    found = resolve(name, kind, sent)
    assert found.targets, found
    assert set(sent.values()) <= set(read_labels(found).values())
    if legacy != "-":
        dots_escaped = legacy.format(**{tag: tag.replace("_", "") for tag in sent})
        values = read_labels(resolve(dots_escaped, kind, {}, PLAIN)).values()
        assert {tag.replace("_", "") for tag in sent} <= set(values)


def test_runs_of_single_dags_take_the_place_of_the_sum_and_never_stand_beside_it() -> None:
    tagged = AirflowNameResolver(Directory(), StatsdSettings())
    tagged.resolve(Signature("airflow.pool.open_slots", MetricType.GAUGE, (("pool_name", "p"),), dialect="influxdb"))
    whole = Signature("airflow.scheduler.dagruns.running", MetricType.GAUGE)
    assert read_labels(tagged.resolve(whole)) == {"dag_id": "", "state": "running"}
    assert tagged._stream.tagged, "a name that may come without tags does not show that none are sent"
    plain = AirflowNameResolver(Directory(), PLAIN)
    assert read_labels(plain.resolve(whole)) == {"dag_id": "", "state": "running"}
    each = Signature("airflow.scheduler.dagruns.running.etl", MetricType.GAUGE)
    assert read_labels(plain.resolve(each)) == {"dag_id": "etl", "state": "running"}
    assert plain.resolve(whole).drop == "twin"


@pytest.mark.parametrize(
    ("name", "kind", "tags"),
    [
        ("ti.start", "c", "dag_id,task_id"),
        ("ti.running", "g", "dag_id,task_id,queue"),
        ("task.duration", "ms", "dag_id,task_id"),
        ("ti_failures", "c", "dag_id,task_id"),
        ("operator_failures", "c", "dag_id,task_id,operator_name"),
        ("task_removed_from_dag", "c", "dag_id,run_type"),
        ("dagrun.dependency-check", "ms", "dag_id,run_type"),
        ("dagrun.first_task_start_delay", "ms", "dag_id,run_type"),
        ("dagrun.duration.failed", "ms", "dag_id,run_type"),
        ("dag.callback_exceptions", "c", "dag_id"),
        ("scheduler.tasks.killed_externally", "c", "dag_id,task_id"),
        ("task_instances_without_heartbeats_killed", "c", "dag_id,task_id"),
        ("pool.open_slots", "g", "pool_name"),
        ("pool.starving_tasks", "g", "pool_name"),
        ("executor.open_slots", "g", "status,executor_class_name"),
        ("triggers.running", "g", "hostname"),
        ("triggerer_heartbeat", "c", ""),
        ("triggers.failed", "c", ""),
        ("asset.updates", "c", ""),
        ("celery.task_timeout_error", "c", ""),
        ("edge_executor.sync.duration", "ms", ""),
        ("edge_worker.status", "g", "worker_name"),
        ("edge_worker.ti.start", "c", "queue,dag_id,task_id"),
        ("kubernetes_executor.pod_creation_status", "c", "status"),
        ("kubernetes_executor.pod_creation", "ms", ""),
        ("dag_processing.other_callback_count", "c", ""),
        ("dag_processing.processor_timeouts", "c", "file_path"),
        ("dag_processing.last_run.seconds_ago", "g", "file_path,bundle_name,file_name"),
        ("dag_processing.processes", "c", "file_path,action"),
        ("deadline_alerts.callback_failed", "c", ""),
        ("resumable_job.fresh_submit", "c", "operator"),
        ("ol.emit.failed", "c", ""),
        ("ol.extract", "ms", "event_type,operator_name"),
    ],
)
def test_where_a_team_exists_it_is_a_label(name: str, kind: str, tags: str) -> None:
    sent = {tag: f"a-{tag}" for tag in tags.split(",") if tag}
    teams = [
        read_labels(found, place)["team"]
        for found in [resolve(name, kind, sent | {"team_name": "red"})]
        for place in range(len(found.targets))
        if "team" in found.targets[place].family.labels
    ]
    assert teams
    assert set(teams) == {"red"}
    assert all(read_labels(resolve(name, kind, sent), place).get("team", "") == "" for place in range(len(teams)))


def test_a_constant_tag_of_a_team_does_not_make_a_bare_name_one_with_tags() -> None:
    directory = Directory()
    directory.set_version("3.3.2")
    directory.set_metrics_config({"statsd_datadog_enabled": "True", "statsd_datadog_metrics_tags": "False"})
    names = AirflowNameResolver(directory, StatsdSettings())
    team = (("team_name", "red"),)
    assert names.resolve(Signature("airflow.pool.open_slots", MetricType.GAUGE, team, dialect="datadog")).drop == "twin"
    found = names.resolve(Signature("airflow.pool.open_slots.etl", MetricType.GAUGE, team, dialect="datadog"))
    assert read_labels(found) == {"pool": "etl", "team": "red"}


class TestFiles:
    """A DAG file has the API's name in every family and release, where the API is read."""

    SENT: tuple[tuple[str, str, dict[str, str], int], ...] = (
        ("dag_processing.last_duration", "ms", {"bundle_name": "main", "file_name": "orders"}, 1),
        ("dag_processing.last_run.seconds_ago", "g", {"bundle_name": "main", "file_path": "sales/orders.py"}, 0),
        ("dag_processing.last_run.seconds_ago.orders", "g", {"bundle_name": "main", "file_path": "sales_orders.py"}, 0),
        ("dag_processing.last_duration.main.orders", "ms", {}, 1),
        ("dag_processing.last_run.seconds_ago.orders", "g", {}, 0),
    )

    @pytest.mark.parametrize(("name", "kind", "tags", "place"), SENT)
    def test_the_ending_is_there_in_every_form(self, name: str, kind: str, tags: dict[str, str], place: int) -> None:
        found = resolve(name, kind, tags, TAGGED if tags else PLAIN)
        assert read_labels(found, place)["file"] == "orders.py"

    @pytest.mark.parametrize(("name", "kind", "tags", "place"), SENT)
    def test_the_path_is_the_apis_where_it_is_known(
        self, name: str, kind: str, tags: dict[str, str], place: int
    ) -> None:
        directory = Directory()
        directory.set_files(
            "dags", [("main", "sales/orders.py"), ("main", "plain.py"), ("main", "a/twice.py"), ("main", "b/twice.py")]
        )
        found = resolve(name, kind, tags, TAGGED if tags else PLAIN, directory)
        assert read_labels(found, place)["file"] == "sales/orders.py"

    def test_files_of_one_name_keep_it_and_bundles_are_told_apart(self) -> None:
        directory = Directory()
        directory.set_files("dags", [("one", "a/x.py"), ("two", "b/x.py"), ("two", "c/y.py"), ("two", "d/y.py")])
        asked = (("one", "x.py"), ("two", "x.py"), ("", "x.py"), ("two", "y.py"))
        assert [directory.get_file_path(*key) for key in asked] == ["a/x.py", "b/x.py", "x.py", "y.py"]

    def test_names_are_read_otherwise_only_when_paths_change(self) -> None:
        directory = Directory()
        directory.set_files("dags", [("", "x.py")])
        assert directory.revision == 0
        directory.set_files("dags", [("", "a/x.py")])
        directory.set_files("dags", [("", "a/x.py"), ("", "z.py")])
        assert directory.revision == 1

    def test_a_path_without_its_slashes_is_the_apis_where_it_is_known(self) -> None:
        directory = Directory()
        directory.set_files("dags", [("main", "sales/orders.py")])
        tags = {"file_path": "sales_orders.py"}
        found = resolve("dag_processing.processor_timeouts", "c", tags, directory=directory)
        assert read_labels(found)["file"] == "sales/orders.py"

    def test_broken_files_are_known_by_their_import_errors(self) -> None:
        directory = Directory()
        directory.set_files("import_errors", [("main", "sales/broken.py")])
        directory.set_files("dags", [("main", "shop.py")])
        assert directory.get_file_path("main", "broken.py") == "sales/broken.py"
        directory.set_files("import_errors", [])
        assert directory.get_file_path("main", "broken.py") == "broken.py"

    def test_archives_keep_their_ending(self) -> None:
        found = resolve("dag_processing.processor_timeouts", "c", {"file_path": "a/packed.zip"})
        assert read_labels(found)["file"] == "packed.zip"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("period", [30.0, 5.0, 240.0])
def test_a_deleted_file_is_gone_after_three_of_its_periods(period: float) -> None:
    clock = Clock()
    store = Store(FAMILIES, clock)
    events = LiveTables(store, clock=clock)
    family = dag_processor.FILE_DURATION
    for _ in range(6):
        for name in ("kept.py", "deleted.py"):
            series = events.get_or_create(family, ("main", name, ""))
            events.set(family, series, b"1", 90.0, relative=False)  # type: ignore[arg-type]
        clock.now += period
        assert not events.sweep()

    def count() -> int:
        return len(events._live[family].known)

    assert count() == 2
    for _ in range(int(max(3 * period, DEFAULT_EXPIRY) / 10) + 2):
        events.set(family, events.get_or_create(family, ("main", "kept.py", "")), b"1", 90.0, relative=False)  # type: ignore[arg-type]
        clock.now += 10
        events.sweep()
    assert list(events._live[family].known) == [("main", "kept.py", "")]


def test_a_file_that_was_reported_once_stays_for_the_whole_time() -> None:
    clock = Clock()
    events = LiveTables(Store(FAMILIES, clock), clock=clock)
    family = dag_processor.FILE_DURATION
    events.set(family, events.get_or_create(family, ("main", "a.py", "")), b"1", 90.0, relative=False)  # type: ignore[arg-type]
    clock.now += family.ttl - 20
    assert not events.sweep()
    clock.now += 40
    assert events.sweep()

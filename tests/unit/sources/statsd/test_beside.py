"""Airflow's names and a mapping file at once: both count, neither takes the other's name, and the budget holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.config.settings import StatsdSettings
from exporter.metrics.catalogue.families import FAMILIES
from exporter.metrics.family import Kind
from exporter.metrics.family_spec import FamilySpec
from exporter.sources.directory import Directory
from exporter.sources.statsd.aggregator import Aggregator
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.beside import BesideResolver, find_names, load_beside
from exporter.store.exposition import Format, render
from exporter.store.live_tables import LiveTables
from exporter.store.store import Store

MAPPING = """
mappings:
- {match: airflow.ti.finish.*.*.*, name: old_finish, labels: {dag_id: $1, task_id: $2, state: $3}}
- {match: airflow.scheduler_heartbeat, name: airflow_operator_successes}
- {match: airflow.job_start, name: airflow_custom_jobs}
- {match: airflow.dagbag_size, name: old_size, ttl: 60s}
- {match: airflow.rows.*, name: rows_$1}
- {match: airflow.secret, name: x, action: drop}
"""
FINISH = "airflow.ti.finish.etl.load.success:1|c"


class World:
    """The resolver with the live tables that it feeds."""

    def __init__(self, folder: Path, settings: StatsdSettings | None = None, mapping: str = MAPPING) -> None:
        self.path = folder / "mapping.yml"
        self.path.write_text(mapping, encoding="utf-8")
        self.now = 1000.0
        self.store = Store(FAMILIES, lambda: self.now)
        self.tables = LiveTables(self.store, clock=lambda: self.now)
        names = AirflowNameResolver(Directory(), settings or StatsdSettings(release="3.3.2", mode="plain"))
        self.resolver = load_beside(self.path, names, None)
        self.aggregator = Aggregator(self.tables, self.resolver, lambda: self.now)

    def send(self, *lines: str) -> None:
        self.aggregator.process_batch([line.encode() for line in lines], lambda _: b"one")

    def scrape(self) -> list[str]:
        text = b"".join(render(self.store, Format.TEXT, reveal_all=True)).decode()
        return [line for line in text.splitlines() if not line.startswith("#") and not line.endswith(" 0")]

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.aggregator.sweep()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def test_a_line_feeds_both_names_on_the_cold_and_on_the_warm_path(world: World) -> None:
    for _ in range(3):
        world.send(FINISH)
    assert 'old_finish{dag_id="etl",state="success",task_id="load"} 3' in world.scrape()
    assert 'airflow_task_instances_finished_total{dag_id="etl",task_id="load",state="success"} 3' in world.scrape()
    assert world.aggregator.compiled_count == 1


def test_a_twin_that_does_not_count_here_still_feeds_the_mapping_file(tmp_path: Path) -> None:
    world = World(tmp_path, StatsdSettings(release="3.3.2", mode="influxdb"))
    world.send("airflow.ti.finish,dag_id=etl,task_id=load,state=success:1|c", FINISH, FINISH)
    assert 'old_finish{dag_id="etl",state="success",task_id="load"} 2' in world.scrape()
    assert 'airflow_task_instances_finished_total{dag_id="etl",task_id="load",state="success"} 1' in world.scrape()
    assert world.aggregator.dropped == {"twin": 2}


def test_a_line_that_cannot_be_read_yet_feeds_the_mapping_file_and_counts_here_later(tmp_path: Path) -> None:
    world = World(tmp_path, StatsdSettings())
    world.send(FINISH)
    assert world.scrape() == ['old_finish{dag_id="etl",state="success",task_id="load"} 1']
    assert world.aggregator.dropped == {"undecided": 1}
    world.resolver.names.assume_defaults()
    world.send(FINISH)
    assert 'old_finish{dag_id="etl",state="success",task_id="load"} 2' in world.scrape()
    assert 'airflow_task_instances_finished_total{dag_id="etl",task_id="load",state="success"} 1' in world.scrape()


def test_names_without_a_mapping_are_not_exposed_twice(world: World) -> None:
    world.send("airflow.triggerer_heartbeat:1|c", "airflow.secret:1|c")
    assert {line.partition("{")[0].partition(" ")[0] for line in world.scrape()} == {
        "airflow_triggerer_heartbeats_total",
        "airflow_custom_secret_total",
    }


def test_a_name_of_this_exporter_cannot_be_taken(world: World) -> None:
    world.send("airflow.scheduler_heartbeat:1|c", "airflow.scheduler_heartbeat:1|c", "airflow.job_start:1|c")
    names = {line.partition("{")[0].partition(" ")[0] for line in world.scrape()}
    assert names == {"airflow_scheduler_heartbeats_total", "airflow_jobs_started_total"}
    assert world.aggregator.dropped == {"mapped_conflict": 3}


def test_the_budget_is_exact_and_what_is_above_it_is_counted(world: World) -> None:
    world.tables.budget.max_mapped = 2
    for task in ("a", "b", "c", "d"):
        world.send(*[f"airflow.ti.finish.etl.{task}.success:1|c"] * 2)
    world.send("airflow.dagbag_size:5|g", "airflow.rows.read:1|c")
    mapped = [line for line in world.scrape() if line.startswith(("old_", "rows_"))]
    assert len(mapped) == 2
    assert not any("_other" in line for line in world.scrape())
    assert sum(line.startswith("airflow_task_instances_finished_total") for line in world.scrape()) == 4
    assert world.aggregator.dropped == {"mapped_capped": 6}


def test_a_line_with_no_room_for_its_mapped_metric_is_folded_once(world: World) -> None:
    family = next(one for one in FAMILIES if one.name == "airflow_task_instances_finished_total")
    world.store.set_caps({family: 1})
    world.tables.budget.max_mapped = 1
    tasks = ["a", "b", "c", "d", "e"]
    world.send(*[f"airflow.ti.finish.etl.{task}.success:1|c" for task in tasks])
    assert world.tables.folded == {family: len(tasks) - 1}
    assert world.aggregator.dropped == {"mapped_capped": len(tasks) - 1}
    finished = [line.rpartition(" ")[2] for line in world.scrape() if line.startswith(family.name)]
    assert sum(map(int, finished)) == len(tasks)


def test_series_that_expire_make_room(world: World) -> None:
    world.tables.budget.max_mapped = 1
    world.send("airflow.dagbag_size:5|g", FINISH)
    assert [line for line in world.scrape() if line.startswith("old_")] == ["old_size 5"]
    world.wait(120)
    world.send(FINISH)
    assert [line.partition("{")[0] for line in world.scrape() if line.startswith("old_")] == ["old_finish"]


def test_families_go_on_after_a_reload(world: World) -> None:
    world.send(FINISH)
    again = load_beside(world.path, world.resolver.names, world.resolver)
    world.aggregator.set_resolver(again)
    world.send(FINISH)
    assert 'old_finish{dag_id="etl",state="success",task_id="load"} 2' in world.scrape()
    assert find_names(again) is world.resolver.names
    assert find_names(again.mapper) is None


def test_saved_families_are_restored_by_the_part_that_made_them(world: World) -> None:
    resolver: BesideResolver = world.resolver
    for name in ("old_finish", "airflow_custom_rows_total"):
        spec = FamilySpec(name, Kind.COUNTER, ("dag_id", "state", "task_id"), declared=False)
        family = resolver.restore_family(spec)
        assert family is not None
        assert family.reader == ("custom" if "custom" in name else "mapped")
    for name, labels in (("airflow_sla_missed", ()), ("old_finish", ("dag_id",)), ("no_longer_mapped", ())):
        assert resolver.restore_family(FamilySpec(name, Kind.COUNTER, labels, declared=False)) is None

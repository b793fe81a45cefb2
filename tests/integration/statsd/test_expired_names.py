"""Metrics made at run time whose last series expired make room for others."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.config.settings import StatsdSettings
from exporter.metrics.catalogue.families import FAMILIES
from exporter.sources.directory import Directory
from exporter.sources.statsd.aggregator import Aggregator
from exporter.sources.statsd.airflow_names.custom import MAX_FAMILIES
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.beside import load_beside
from exporter.sources.statsd.mapping import families
from exporter.sources.statsd.mapping.mapper import parse_mapping
from exporter.sources.statsd.model import Resolver
from exporter.store.exposition import Format, render
from exporter.store.live_tables import LiveTables
from exporter.store.store import Store

DAY = 86_400.0
MAPPING = """
defaults: {ttl: 1m}
mappings:
- {match: old.*.*, name: mapped_$1, labels: {which: $2}}
- {match: fixed.*, name: fixed, labels: {which: $1}}
"""


class World:
    """Live tables that a resolver feeds, and a clock."""

    def __init__(self, resolver: Resolver) -> None:
        self.now = 1000.0
        self.store = Store(FAMILIES, lambda: self.now)
        self.aggregator = Aggregator(LiveTables(self.store, clock=lambda: self.now), resolver, lambda: self.now)

    def send(self, *lines: str) -> dict[str, int]:
        """Send lines; returns what is dropped so far, by reason."""
        self.aggregator.process_batch([line.encode() for line in lines], lambda _: b"one")
        return dict(self.aggregator.dropped)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.aggregator.sweep()

    def scrape(self) -> list[str]:
        text = b"".join(render(self.store, Format.TEXT)).decode()
        return [line for line in text.splitlines() if not line.startswith("#")]


def make_names() -> AirflowNameResolver:
    return AirflowNameResolver(Directory(), StatsdSettings(release="3.3.2", mode="influxdb"))


def test_users_gauges_that_expired_make_room_for_new_names() -> None:
    world = World(make_names())
    lines = [f"airflow.rows_{number}:1|g" for number in range(MAX_FAMILIES)]
    assert world.send(*lines) == {}
    assert world.send("airflow.one_more:1|g", "airflow.counts:1|c") == {"capped": 2}
    world.wait(DAY)
    assert world.send("airflow.one_more:7|g", "airflow.counts:1|c", "airflow.rows_1:3|ms") == {"capped": 2}
    assert "airflow_custom_one_more 7" in world.scrape()
    assert "airflow_custom_counts_total 1" in world.scrape()


def test_a_name_stays_taken_while_one_of_its_families_has_series() -> None:
    world = World(make_names())
    world.send("airflow.rows:1|g", "airflow.rows,shop=a:1|g")
    for _ in range(20):
        world.wait(DAY / 20)
        world.send("airflow.rows,shop=a:1|g")
    assert world.scrape() == ['airflow_custom_rows{shop="a"} 1']
    assert world.send("airflow.rows:1|h") == {"conflict": 1}


@pytest.mark.parametrize("beside", [False, True])
def test_names_of_a_mapping_file_make_room_too(beside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(families, "MAX_NAMES", 3)
    path = tmp_path / "mapping.yml"
    path.write_text(MAPPING)
    world = World(load_beside(path, make_names(), None) if beside else parse_mapping(MAPPING))
    reason = "mapped_capped" if beside else "capped"
    assert reason not in world.send("old.a.x:1|c", "old.b.x:1|c", "fixed.x:1|c")
    assert world.send("old.c.x:1|c")[reason] == 1
    world.wait(61.0)
    assert world.send("old.c.x:2|c", "fixed.y:1|g")[reason] == 1
    mapped = [line for line in world.scrape() if not line.startswith("airflow_")]
    assert mapped == ['mapped_c{which="x"} 2', 'fixed{which="y"} 1']

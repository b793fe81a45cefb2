"""Public dashboards show data with the shipped mapping files, and the exporter's own metrics stay the same."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from exporter.config.settings import StatsdSettings
from exporter.metrics.catalogue.families import FAMILIES
from exporter.sources.directory import Directory
from exporter.sources.statsd.aggregator import Aggregator
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.beside import list_conflicts, load_beside
from exporter.sources.statsd.mapping.mapper import load_mapping
from exporter.sources.statsd.model import Resolver
from exporter.store.exposition import Format, render
from exporter.store.live_tables import LiveTables
from exporter.store.store import Store
from tests.integration.statsd.streams import Stream, read_payloads

ROOT = Path(__file__).parents[3]
MAPPINGS = ROOT / "examples/dashboards"
DASHBOARDS: dict[str, dict[str, Any]] = yaml.safe_load(
    (ROOT / "tests/data/statsd/public-dashboards.yml").read_text(encoding="utf-8")
)
SETTINGS = StatsdSettings(release="2.11")
SENT_RARELY = (
    "airflow.task_instances_without_heartbeats_killed:1|c",
    "airflow.kubernetes_executor.adopt_task_instances.duration:5|ms",
    "airflow.kubernetes_executor.clear_not_launched_queued_tasks.duration:5|ms",
)
"""Lines that Airflow sends, but did not while it was recorded."""
SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")

Samples = dict[tuple[str, frozenset[str]], str]


@cache
def list_lines() -> tuple[str, ...]:
    """One line of each signature that Airflow 2.11 sent in plain mode, and some that come rarely."""
    found: dict[str, str] = {}
    for payload in read_payloads(Stream("2.11.2", "plain")):
        for line in payload.split("\n"):
            name, _, rest = line.partition(":")
            found.setdefault(name + rest.partition("|")[2], line)
    return (*found.values(), *SENT_RARELY)


def replay(resolver: Resolver, lines: Iterable[str]) -> Store:
    store = Store(FAMILIES)
    aggregator = Aggregator(LiveTables(store), resolver)
    aggregator.process_batch([line.encode() for line in lines], lambda _: b"one")
    return store


def show(store: Store, form: Format = Format.TEXT) -> str:
    return b"".join(render(store, form, reveal_all=True)).decode()


def list_samples(text: str) -> Iterator[tuple[str, dict[str, str], str]]:
    for line in text.splitlines():
        if not line.startswith("#"):
            match = SAMPLE.fullmatch(line)
            assert match, line
            yield match[1], dict(re.findall(r'(\w+)="([^"]*)"', match[2] or "")), match[3]


@cache
def replay_beside(mapping: str) -> str:
    names = AirflowNameResolver(Directory(), SETTINGS)
    return show(replay(load_beside(MAPPINGS / mapping, names, None), list_lines()))


@pytest.mark.parametrize("dashboard", DASHBOARDS)
def test_each_query_of_a_public_dashboard_finds_its_metric_and_labels(dashboard: str) -> None:
    labels: dict[str, set[str]] = defaultdict(set)
    for name, found, _ in list_samples(replay_beside(DASHBOARDS[dashboard]["mapping"])):
        labels[name] |= {label for label, value in found.items() if value}
    wanted = DASHBOARDS[dashboard]["metrics"]
    assert {name: set(names) - labels[name] for name, names in wanted.items() if not set(names) <= labels[name]} == {}
    assert [name for name in wanted if name not in labels] == []
    assert [name for name in DASHBOARDS[dashboard]["absent"] if name in labels] == []


@pytest.mark.parametrize("mapping", sorted({one["mapping"] for one in DASHBOARDS.values()}))
def test_the_metrics_of_the_exporter_are_the_same_with_and_without_a_mapping_file(mapping: str) -> None:
    alone = show(replay(AirflowNameResolver(Directory(), SETTINGS), list_lines())).splitlines()
    beside = replay_beside(mapping).splitlines()
    assert [line for line in alone if line not in set(beside)] == []
    assert len(beside) > len(alone)
    assert list(list_conflicts(load_mapping(MAPPINGS / mapping))) == []


def test_openmetrics_has_no_metric_twice() -> None:
    names = AirflowNameResolver(Directory(), SETTINGS)
    for mapping in ("helm-chart.yml", "grafana-mixin.yml", "af-agg.yml"):
        text = show(replay(load_beside(MAPPINGS / mapping, names, None), list_lines()), Format.OPENMETRICS)
        found = [family.name for family in parse_openmetrics(text)]  # type: ignore[no-untyped-call]
        assert len(found) == len(set(found))


def test_names_that_the_mapping_files_cannot_give_are_in_the_rules_for_aliases() -> None:
    groups = yaml.safe_load((MAPPINGS / "aliases.rules.yml").read_text(encoding="utf-8"))["groups"]
    aliases = {rule["record"]: rule["expr"] for group in groups for rule in group["rules"]}
    declared = {family.name for family in FAMILIES}
    assert set(aliases.values()) <= declared
    sent_no_more = {"airflow_dag_processing_processes"}
    assert {name for one in DASHBOARDS.values() for name in one["absent"]} == set(aliases) | sent_no_more


def test_the_relabelling_of_the_guide_gives_pools_the_label_of_the_mixin() -> None:
    guide = (ROOT / "docs/migrating.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(metric_relabel_configs:.*?)```", guide, re.DOTALL)
    (step,) = yaml.safe_load(block)["metric_relabel_configs"]
    assert (step["source_labels"], step["target_label"]) == (["__name__", "pool"], "pool_name")
    wanted = DASHBOARDS["grafana/jsonnet-libs apache-airflow-mixin"]["metrics"]
    by_pool = {name for name, labels in wanted.items() if labels == ["pool"]}
    assert by_pool == {"airflow_pool_open_slots", "airflow_pool_starving_tasks"}
    assert {re.fullmatch(step["regex"], f"{name};narrow")[1] for name in by_pool} == {"narrow"}  # type: ignore[index]
    assert not re.fullmatch(step["regex"], "airflow_pool_slots;narrow")

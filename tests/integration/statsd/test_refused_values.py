"""A line that counts nothing makes nothing: no series, no family, and no name that another kind could then not have."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.config.settings import StatsdSettings
from exporter.metrics.catalogue.families import FAMILIES
from exporter.metrics.family import Family, Kind
from exporter.sources.directory import Directory
from exporter.sources.statsd.aggregator import Aggregator
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.mapping.mapper import parse_mapping
from exporter.sources.statsd.model import Resolver
from exporter.store import runtime_budget
from exporter.store.exposition import Format, render
from exporter.store.live_tables import LiveTables
from exporter.store.store import Store

MAPPING = """
defaults: {observer_type: histogram}
mappings:
- {match: negative.*, name: $1, scale: -2}
- {match: huge.*, name: $1, scale: 1e300}
"""
TAKEN = Family("taken", Kind.GAUGE, "Taken", declared=False)


class World:
    """A resolver with the live tables that it feeds."""

    def __init__(self, resolver: Resolver) -> None:
        self.store = Store(FAMILIES if isinstance(resolver, AirflowNameResolver) else [])
        self.events = LiveTables(self.store)
        self.aggregator = Aggregator(self.events, resolver)

    def send(self, *lines: str) -> None:
        self.aggregator.process_batch([line.encode() for line in lines], lambda _: b"one")

    def scrape(self) -> list[str]:
        text = b"".join(render(self.store, Format.TEXT, reveal_all=True)).decode()
        return [line for line in text.splitlines() if not line.startswith("#")]


def map_names() -> World:
    return World(parse_mapping(MAPPING))


def read_names(mode: str = "influxdb") -> World:
    return World(AirflowNameResolver(Directory(), StatsdSettings(release="3.3.2", mode=mode)))


REFUSED = ("-1|c", "inf|c", "-inf|c", "nan|c", "1e999|c", "-0.5|c|@0.1", "inf|ms", "nan|h", "x|c", "|c", "1|s", "1|q")


@pytest.mark.parametrize("value", REFUSED)
def test_a_refused_value_leaves_the_name_free(value: str) -> None:
    for world, prefix in ((map_names(), ""), (read_names(), "airflow.")):
        world.send(f"{prefix}jobs.active:{value}")
        assert world.scrape() == []
        world.send(f"{prefix}jobs.active:5|g")
        assert [line.split()[-1] for line in world.scrape()] == ["5"]
        assert sum(world.aggregator.rejected.values()) == 1
        assert world.aggregator.dropped == {}


@pytest.mark.parametrize(
    ("line", "series"),
    [
        ("negative.x:-3|c", ["x 6"]),
        ("negative.x:3|c", []),
        ("negative.x:3|g", ["x -6"]),
        ("huge.x:1e10|c", []),
        ("huge.x:2|c", ["x 2e+300"]),
        ("huge.x:1e10|h", []),
    ],
)
def test_a_scale_decides_with_the_value(line: str, series: list[str]) -> None:
    world = map_names()
    world.send(line)
    assert world.scrape() == series
    if not series:
        world.send("other.x:1|c", line.split(":", maxsplit=1)[0] + ":7|g")
        assert len(world.scrape()) == 2


def test_a_negative_time_is_observed_as_statsd_exporter_does() -> None:
    world = map_names()
    world.send("wait:-2000|ms")
    assert "wait_sum -2" in [line.removesuffix(".0") for line in world.scrape()]


def test_a_refused_value_after_a_good_one_changes_nothing() -> None:
    world = map_names()
    world.send("a:1|c", "a:-1|c", "a:inf|c", "a:2|c")
    assert world.scrape() == ["a 3"]
    assert world.aggregator.rejected == {"bad_value": 2}


def test_of_an_event_only_what_takes_the_value_makes_series() -> None:
    """A run that lasted less than no time ended all the same."""
    world = read_names()
    world.send("airflow.dagrun.duration.failed,dag_id=d,run_type=manual:-5|ms")
    assert [line.split("{")[0] for line in world.scrape()] == ["airflow_dag_runs_finished_total"]
    assert world.aggregator.rejected == {"bad_value": 1}
    world.send("airflow.dagrun.duration.failed,dag_id=d,run_type=manual:5000|ms")
    assert sorted(line.split("{")[0] for line in world.scrape()) == [
        "airflow_dag_run_failed_seconds_total",
        "airflow_dag_runs_finished_total",
    ]


def test_a_refused_value_makes_no_series_of_a_family_of_ours() -> None:
    world = read_names()
    world.send("airflow.ti.start,dag_id=d,task_id=t:-1|c")
    assert world.scrape() == []


def test_a_zero_makes_a_series_as_airflow_2_means_it() -> None:
    world = map_names()
    world.send("a:0|c")
    assert world.scrape() == ["a 0"]


def test_a_name_that_another_family_has_stays_free_for_when_that_is_gone() -> None:
    world = map_names()
    world.events.get_or_create(TAKEN, ())
    world.send("taken:1|c")
    assert world.aggregator.dropped == {"conflict": 1}
    world.events.clear()
    world.aggregator.set_resolver(world.aggregator.resolver)
    world.send("taken:1|h")
    assert "taken_count 1" in world.scrape()


def test_a_series_over_the_cap_takes_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime_budget, "MAX_SERIES", 1)
    world = map_names()
    world.send("a:1|c", *[f"jobs:{value}|g" for value in range(5)])
    assert world.aggregator.dropped == {"capped": 5}
    assert world.scrape() == ["a 1"]
    assert dict(world.events.refused) == {}
    monkeypatch.setattr(runtime_budget, "MAX_SERIES", 10)
    world.aggregator.set_resolver(world.aggregator.resolver)
    world.send("jobs:3|c")
    assert world.scrape() == ["a 1", "jobs 3"]


def test_labels_that_cannot_be_take_no_name() -> None:
    world = map_names()
    world.send("a,le=5:1|ms")
    assert world.aggregator.dropped == {"conflict": 1}
    world.send("a:1|g")
    assert world.scrape() == ["a 1"]


NUMBERS = st.sampled_from(["1", "-1", "0", "+2", "-3", "inf", "nan", "1e308", "-1e308", "0.5"])
LINES = st.builds(
    "{}{}:{}|{}".format, st.sampled_from(["", "negative.", "huge."]), st.sampled_from("ab"), NUMBERS,
    st.sampled_from(["c", "g", "ms", "h"]),
)  # fmt: skip


@settings(deadline=None, max_examples=150)
@given(st.lists(LINES, max_size=8))
def test_what_is_exposed_has_counted_something(sent: list[str]) -> None:
    """Leaving out every line that was refused or dropped gives the same series."""
    world, again = map_names(), map_names()
    for line in sent:
        before = sum(world.aggregator.rejected.values()) + sum(world.aggregator.dropped.values())
        world.send(line)
        if sum(world.aggregator.rejected.values()) + sum(world.aggregator.dropped.values()) == before:
            again.send(line)
    assert world.scrape() == again.scrape()

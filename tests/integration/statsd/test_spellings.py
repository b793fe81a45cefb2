"""Airflow 3.3 writes dots of ids as two underscores: a DAG is one DAG as soon as anything shows how it is spelled."""

from __future__ import annotations

from collections import defaultdict

import pytest

from exporter.config.settings import StatsdSettings
from exporter.metrics.catalogue.families import FAMILIES
from exporter.sources.directory import Directory
from exporter.sources.statsd.aggregator import Aggregator
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.store.exposition import Format, render
from exporter.store.live_tables import LiveTables
from exporter.store.store import Store
from tests.integration.statsd.reading import Reading
from tests.integration.statsd.streams import Stream, read_lines, read_payloads

PLAIN = StatsdSettings(mode="plain", release="3.3.2")
CHECK = b"airflow.dagrun.dependency-check.sales__eu:2000|ms"
START = b"airflow.ti.start.sales__eu.load:1|c"
RAW = b"airflow.dagrun.sales.eu.first_task_scheduling_delay:5|ms"
"""Written by hand in Airflow, so that its dots stay; it is sent once for each run."""


class World:
    """StatsD without the API, from lines to the text that is scraped."""

    def __init__(self, how: StatsdSettings = PLAIN) -> None:
        self.now = 1000.0
        self.directory = Directory()
        self.store = Store(FAMILIES, lambda: self.now)
        self.events = LiveTables(self.store, clock=lambda: self.now)
        self.aggregator = Aggregator(self.events, AirflowNameResolver(self.directory, how), lambda: self.now)

    def send(self, *lines: bytes) -> None:
        self.aggregator.process_batch(lines, lambda _: b"one")

    def wait(self, seconds: float = 11.0) -> None:
        self.now += seconds
        self.aggregator.sweep()

    def scrape(self) -> list[str]:
        text = b"".join(render(self.store, Format.TEXT)).decode()
        return [line.replace(',team=""', "") for line in text.splitlines() if not line.startswith("#")]

    def find(self, name: str) -> list[str]:
        return [line for line in self.scrape() if line.startswith(name + "{")]

    def show(self) -> None:
        """Everything is exposed as 0, and long enough ago."""
        self.scrape()
        self.wait(31)


def test_a_dag_that_was_exposed_goes_on_under_its_right_id() -> None:
    world = World()
    world.send(CHECK, START, START)
    world.show()
    assert world.find("airflow_task_starts_total") == ['airflow_task_starts_total{dag_id="sales__eu"} 2']
    world.send(RAW)
    world.wait()
    world.send(CHECK, START)
    assert world.find("airflow_task_starts_total") == ['airflow_task_starts_total{dag_id="sales.eu"} 3']
    assert world.find("airflow_dag_dependency_check_seconds_total") == [
        'airflow_dag_dependency_check_seconds_total{dag_id="sales.eu"} 4.0'
    ]
    assert "sales__eu" not in "\n".join(world.scrape())


def test_what_was_counted_under_both_is_added_up() -> None:
    world = World()
    world.send(START)
    world.send(RAW)
    # Until the sweep, what is new is read rightly and what is known as before.
    world.send(START, b"airflow.ti.finish.sales__eu.load.success:1|c", b"airflow.ti.start.sales__eu.other:1|c")
    world.wait()
    world.send(START)
    world.show()
    world.scrape()
    assert world.find("airflow_task_starts_total") == ['airflow_task_starts_total{dag_id="sales.eu"} 4']


def test_histograms_and_gauges_go_on_too() -> None:
    world = World()
    duration = b"airflow.dag.sales__eu.load.duration:2000|ms"
    running = b"airflow.ti.running.default.sales__eu.load:%d|g"
    world.send(duration, running % 1)
    world.show()
    world.send(RAW)
    world.wait()
    world.send(duration, running % 3)
    assert 'airflow_task_execution_duration_seconds_sum{dag_id="sales.eu"} 4.0' in world.scrape()
    [line] = world.find("airflow_task_active_instances")
    assert (line.split()[-1], 'dag_id="sales.eu"' in line) == ("3", True)


def test_what_was_never_exposed_is_born_at_zero_under_the_right_id() -> None:
    world = World()
    world.send(START)
    world.send(RAW)
    world.wait()
    assert world.find("airflow_task_starts_total") == ['airflow_task_starts_total{dag_id="sales.eu"} 0']


def test_tasks_that_the_api_shows_later_go_on_under_their_ids() -> None:
    world = World()
    finish = b"airflow.ti.finish.sales__eu.group__load.success:1|c"
    world.send(finish)
    world.show()
    world.directory.set_dags(["sales.eu"])
    world.directory.record_try("sales.eu", "group.load")
    world.wait()
    world.send(finish)
    assert world.find("airflow_task_tries_total") == [
        'airflow_task_tries_total{dag_id="sales.eu",task_id="group.load"} 2'
    ]


def test_a_dag_that_really_has_two_underscores_keeps_them() -> None:
    world = World()
    world.directory.set_dags(["sales__eu", "sales.eu"])
    world.send(START, RAW)
    world.wait()
    world.send(START)
    world.show()
    assert world.find("airflow_task_starts_total") == ['airflow_task_starts_total{dag_id="sales__eu"} 2']


def test_an_id_that_came_in_a_tag_is_certain() -> None:
    world = World(StatsdSettings(release="3.3.2", mode="influxdb"))
    world.send(b"airflow.ti.start,dag_id=sales__eu,task_id=load:1|c", START, RAW)
    world.wait()
    world.show()
    assert world.find("airflow_task_starts_total") == ['airflow_task_starts_total{dag_id="sales__eu"} 1']


@pytest.mark.parametrize("how", [StatsdSettings(mode="plain", release="2.11.2"), StatsdSettings(mode="plain")])
def test_on_2_x_two_underscores_are_two_underscores(how: StatsdSettings) -> None:
    world = World(how)
    world.send(b"airflow.dataset.updates:1|c", START, b"airflow.dagrun.dependency-check.sales.eu:5|ms")
    world.wait()
    world.send(START)
    world.show()
    assert world.find("airflow_task_starts_total") == ['airflow_task_starts_total{dag_id="sales__eu"} 2']


@pytest.mark.parametrize("how", [PLAIN, StatsdSettings()], ids=["told", "untold"])
def test_the_recorded_stream_of_3_3_has_every_dag_once(how: StatsdSettings) -> None:
    """Without the API. The sums of each DAG are those of an independent reading that knows the ids."""
    stream = Stream("3.3.2", "plain")
    world = World(how)
    payloads = [payload.encode() for payload in read_payloads(stream)]
    for start in range(0, len(payloads), 640):
        world.send(*payloads[start : start + 640])
        world.wait()
    world.show()
    found: dict[str, float] = defaultdict(float)
    for line in world.find("airflow_task_starts_total"):
        dag = line.split('dag_id="')[1].split('"')[0]
        assert dag not in found
        found[dag] = float(line.split()[-1])
    expected = {
        labels[0]: value
        for (name, labels), value in Reading(stream).read(read_lines(stream)).values.items()
        if name == "airflow_task_starts_total"
    }
    assert found == expected

"""What is prepared once for names that differ in ids only is what each would get by itself."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.config.settings import StatsdSettings
from exporter.metrics.catalogue.families import FAMILIES
from exporter.sources.directory import Directory
from exporter.sources.statsd.aggregator import Aggregator
from exporter.sources.statsd.airflow_names.events.table import EVENTS
from exporter.sources.statsd.airflow_names.line_shapes import StreamState
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.mapping.mapper import parse_mapping
from exporter.sources.statsd.model import KeyParts, MetricType, Resolution, Resolver, Signature
from exporter.store.exposition import Format, render
from exporter.store.live_tables import LiveTables
from exporter.store.store import Store
from tests.integration.statsd.streams import STREAMS, Stream, read_payloads
from tests.integration.statsd.test_recorded_streams import OF_API

IDS = ["etl", "sales.eu", "sales__eu", "a", "a.b.c", "x__y__z", "success", "failed", "default", "None", "é", "b" * 260]
PLACES = (
    "dag_id",
    "task_id",
    "state",
    "queue",
    "pool",
    "pool_name",
    "file",
    "file_path",
    "bundle",
    "bundle_name",
    "hostname",
)
ID = st.sampled_from(IDS)


class Forgetful(AirflowNameResolver):
    """Works everything out again for each name, as if it had never seen another."""

    def look_up(self, signature: Signature) -> Resolution:
        self._plans.clear()
        self._shapes.clear()
        self._state = StreamState(-1, old=False, dots_escaped=False)
        found = super().look_up(signature)
        self._noted.clear()
        return found._replace(plan=None)


@st.composite
def draw_signature(draw: st.DrawFn) -> Signature:
    """A name of Airflow's with any ids, legacy or modern, with tags or without."""
    event = draw(st.sampled_from(EVENTS))
    text = draw(st.sampled_from((event.name, *event.legacy)))
    while "{" in text:
        start, end = text.index("{"), text.index("}") + 1
        text = text[:start] + draw(ID) + text[end:]
    tags = draw(st.lists(st.tuples(st.sampled_from((*PLACES, *event.tags)), ID), max_size=4))
    kind = draw(st.sampled_from([event.type, event.type, event.type, *MetricType]))
    dialect = draw(st.sampled_from(["influxdb", "datadog"])) if tags else ""
    return Signature(f"airflow.{text}", kind, tuple(tags), draw(st.sampled_from([1.0, 0.1])), dialect)


SETTINGS = st.builds(
    StatsdSettings,
    release=st.sampled_from(["", "2.10", "2.11.2", "3.0.6", "3.2.2", "3.3.2"]),
    mode=st.sampled_from(["", "plain", "influxdb", "datadog"]),
    task_labels=st.booleans(),
)


def know() -> Directory:
    directory = Directory()
    directory.set_dags(["sales.eu", "etl", "a"])
    directory.record_try("sales.eu", "a.b.c")
    return directory


@settings(max_examples=300, deadline=None)
@given(SETTINGS, st.lists(draw_signature(), min_size=1, max_size=30), st.booleans(), st.booleans())
def test_a_name_gets_what_it_would_get_alone(
    how: StatsdSettings,
    signatures: list[Signature],
    api: bool,
    settled: bool,
) -> None:
    bindings = OF_API if api else frozenset()
    fast, slow = AirflowNameResolver(know(), how, bindings), Forgetful(know(), how, bindings)
    if settled:
        fast.assume_defaults()
        slow.assume_defaults()
    for signature in [*signatures, *signatures]:
        found, expected = fast.resolve(signature), slow.resolve(signature)
        assert found._replace(plan=None, claim=None) == expected._replace(claim=None)
        assert fast.revision == slow.revision


class OneByOne:
    """Another resolver's answers, with nothing that lets them be prepared together."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self.dialects = resolver.dialects
        self.take_corrections = resolver.take_corrections
        self.resolve = resolver.resolve
        self.restore_family = resolver.restore_family
        self.release = resolver.release

    @property
    def revision(self) -> int:
        return self._resolver.revision

    def find_similar(self, _key: KeyParts) -> None:
        """No line is like another."""

    def look_up(self, signature: Signature) -> Resolution:
        return self._resolver.look_up(signature)._replace(plan=None)


def replay(payloads: list[bytes], resolver: Resolver) -> tuple[str, dict[str, int], dict[str, int]]:
    """Every datagram twice: the exposition, and what was dropped and rejected."""
    now = 1000.0
    store = Store(FAMILIES if not isinstance(getattr(resolver, "_resolver", resolver), type(parse_mapping(""))) else [])
    aggregator = Aggregator(LiveTables(store, clock=lambda: now), resolver, lambda: now)
    for _ in range(2):
        for start in range(0, len(payloads), 256):
            aggregator.process_batch(payloads[start : start + 256], lambda _: b"one")
            now += 1.0
        aggregator.sweep()
    text = b"".join(render(store, Format.TEXT, reveal_all=True)).decode()
    return text, dict(aggregator.dropped), dict(aggregator.rejected)


@pytest.mark.slow
@pytest.mark.parametrize("config", [True, False], ids=["config", "untold"])
@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_recorded_streams_come_out_the_same(stream: Stream, config: bool) -> None:
    payloads = [payload.encode() for payload in read_payloads(stream)][:12_000]
    how = StatsdSettings(release=stream.release, mode=stream.mode) if config else StatsdSettings()
    found = replay(payloads, AirflowNameResolver(know(), how))
    assert found == replay(payloads, OneByOne(Forgetful(know(), how)))
    assert len(found[0]) > 10_000


MAPPING = """
defaults: {observer_type: histogram}
mappings:
- {match: airflow.ti.finish.*.*.*, name: finished, labels: {dag_id: $1, task_id: $2, state: $3}}
- {match: airflow.dag.*.*.duration, name: 'took_${1}', labels: {task_id: 'of_$2'}, observer_type: summary}
- {match: airflow.pool.open_slots.*, name: open, scale: 2, labels: {pool: $1}}
- {match: airflow.dagrun.*, action: drop, name: dropped}
- {match: 'airflow\\.ti\\.start\\.(.+)\\.(.+)', match_type: regex, name: starts, labels: {dag_id: $1}}
"""


@pytest.mark.parametrize("stream", [Stream("3.3.2", "plain"), Stream("2.11.2", "datadog")], ids=lambda one: one.name)
def test_mapped_streams_come_out_the_same(stream: Stream) -> None:
    payloads = [payload.encode() for payload in read_payloads(stream)][:12_000]
    found = replay(payloads, parse_mapping(MAPPING))
    assert found == replay(payloads, OneByOne(parse_mapping(MAPPING)))
    assert "finished{" in found[0] or stream.mode == "datadog"

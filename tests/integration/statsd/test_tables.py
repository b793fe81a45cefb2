"""The whole way in one process: recorded datagrams through lines, names and live tables to the text that is scraped."""

from __future__ import annotations

import tracemalloc

import pytest
from prometheus_client.parser import text_string_to_metric_families

from exporter.config.settings import StatsdSettings
from exporter.metrics.catalogue.families import FAMILIES
from exporter.sources.statsd.aggregator import Aggregator
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.store.exposition import Format, render
from exporter.store.live_tables import LiveTables
from exporter.store.store import Store
from tests.integration.statsd.streams import STREAMS, Stream, read_payloads
from tests.integration.statsd.test_recorded_streams import BEFORE_ANY_SIGN, know_ids, read

LABELS = {family.name: family.labels for family in FAMILIES}


def scrape(stream: Stream, settings: StatsdSettings) -> dict[tuple[str, tuple[str, ...]], float]:
    """Counters, sums of histograms and gauges by family and labels, once everything has been born."""
    store = Store(FAMILIES)
    aggregator = Aggregator(
        LiveTables(store, birth_hold=0.0),
        AirflowNameResolver(know_ids(), StatsdSettings(release=stream.release, mode=stream.mode)),
    )
    payloads = [payload.encode() for payload in read_payloads(stream)]
    for start in range(0, len(payloads), 64):
        aggregator.process_batch(payloads[start : start + 64], lambda _: b"10.0.0.1")
    b"".join(render(store, Format.TEXT))  # what is new is exposed as 0 first
    aggregator.sweep()
    found = {}
    for family in text_string_to_metric_families(b"".join(render(store, Format.TEXT)).decode()):
        for sample in family.samples:
            name = sample.name.removesuffix("_sum") if family.type == "histogram" else sample.name
            if not sample.name.endswith(("_bucket", "_count")):
                found[name, tuple(sample.labels.get(label, "") for label in LABELS[name])] = sample.value
    return found


@pytest.mark.parametrize("told", [True, False], ids=["told", "untold"])
@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_what_is_scraped_is_what_was_sent(stream: Stream, *, told: bool) -> None:
    """Untold, with the ids of the API only, some of the very first lines are held back."""
    settings = StatsdSettings(release=stream.release, mode=stream.mode) if told else StatsdSettings()
    held = () if told else BEFORE_ANY_SIGN
    expected = {key: value for key, value in read(stream).values.items() if key[0] not in held}
    found = {key: value for key, value in scrape(stream, settings).items() if key[0] not in held}
    assert {key for key in found if key not in expected} == set()
    assert {key for key, value in expected.items() if found.get(key, -1) != pytest.approx(value, abs=1e-9)} == set()


def test_names_of_sixty_thousand_characters_are_rejected_and_leave_nothing() -> None:
    names = AirflowNameResolver(know_ids(), StatsdSettings())
    aggregator = Aggregator(LiveTables(Store(FAMILIES)), names)
    tails = ("duration", "x__y", "z.dag_bag_size")
    starts = ("airflow.dagrun.dependency-check.", "airflow.dag.a.", "airflow.", "shop.", "a.pool.open_slots.")

    def send(run: int) -> None:
        lines = [f"{start}{run}{'n' * 60_000}.{tail}:1|ms".encode() for start in starts for tail in tails]
        aggregator.process_batch(lines, lambda _: b"10.0.0.1")

    send(0)
    tracemalloc.start()
    for run in range(1, 5):
        send(run)
    grown, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert grown < 20_000
    assert aggregator.rejected == {"too_long": 5 * len(starts) * len(tails)}
    assert not aggregator.unmapped


def test_a_tag_without_a_value_makes_no_second_sample_of_a_series() -> None:
    store = Store(FAMILIES)
    names = AirflowNameResolver(know_ids(), StatsdSettings(release="3.3.2", mode="datadog"))
    aggregator = Aggregator(LiveTables(store, birth_hold=0.0), names)
    aggregator.process_batch([b"orders:1|c|#region:eu", b"orders:5|c|#region:eu,express"], lambda _: b"10.0.0.1")
    b"".join(render(store, Format.TEXT))
    aggregator.sweep()
    lines = b"".join(render(store, Format.TEXT)).decode().splitlines()
    found = [line for line in lines if line.startswith("airflow_custom_orders_total")]
    assert found == ['airflow_custom_orders_total{region="eu"} 6']

"""The protobuf format says the same as the text format, as the official protobuf package reads it."""

from __future__ import annotations

import gzip
import math
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from exporter.metrics.family import Family, HistogramForm, Kind
from exporter.metrics.reading import Change
from exporter.store.exposition import Format, render
from exporter.store.ledger import Ledger
from exporter.store.protobuf import SLICE_BYTES, SLICE_HISTOGRAMS
from exporter.store.rendering import CHUNK_BYTES, END, PAUSE
from exporter.store.store import FamilyTable, Series, Store
from exporter.web.compression import compress
from tests.unit.store.client_model import parse_delimited
from tests.unit.store.test_exposition_oracle import EXPOSITIONS

WAIT = Family("airflow_wait_seconds", Kind.HISTOGRAM, "How long it waited", ("queue",), buckets=(0.5, 60))
TASK_WAIT = Family(
    "airflow_task_wait_seconds", Kind.HISTOGRAM, "Wait by task", ("task_id",), native_only=True, audience="tests"
)
SLOTS = Family("airflow_pool_slots", Kind.GAUGE, "Slots that the pool has", ("pool",))
TRIES = Family("airflow_task_tries_total", Kind.COUNTER, "Tries that ran", ("dag_id",))
FORMS = (HistogramForm.NATIVE, HistogramForm.BOTH)


def body(store: Store, form: Format = Format.PROTOBUF, *names: str) -> bytes:
    return b"".join(render(store, form, frozenset(names)))


def parse(store: Store, *names: str) -> list[Any]:
    return parse_delimited(body(store, Format.PROTOBUF, *names))


def make_ledger(form: HistogramForm, values: dict[str, list[float]], family: Family = WAIT) -> tuple[Ledger, Store]:
    ledger = Ledger([family], birth_hold=0.0, forms={family: form})
    store = Store([family])
    table = ledger.tables[family]
    table.native_only = family.native_only
    store.attach(table)
    changes = [Change(family, (label,), value) for label, observed in values.items() for value in observed]
    ledger.publish(ledger.stage(changes))
    body(store)
    ledger.publish(ledger.stage([]))
    return ledger, store


def same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


def check_metric(metric: Any, series: Series, table: FamilyTable) -> None:
    """Compare a parsed metric with the cells that it was made of."""
    cells = series.cells
    labels = dict(zip(table.family.labels, series.labels, strict=True))
    assert {pair.name: pair.value for pair in metric.label} == labels
    match table.family.kind:
        case Kind.COUNTER:
            assert same(metric.counter.value, float(cells[0]))
        case Kind.GAUGE:
            assert same(metric.gauge.value, float(cells[0]))
        case Kind.SUMMARY:
            assert [each.value for each in metric.summary.quantile] == cells[:-2]
            assert (metric.summary.sample_sum, metric.summary.sample_count) == (cells[-2], cells[-1])
        case Kind.HISTOGRAM:
            found = metric.histogram
            assert [each.cumulative_count for each in found.bucket] == list(accumulate(cells[:-2]))
            assert [each.upper_bound for each in found.bucket] == list(table.buckets)
            assert (found.sample_count, found.sample_sum) == (sum(cells[:-1]), cells[-1])
            assert not found.HasField("schema")


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=50, deadline=None)
@given(EXPOSITIONS)
def test_what_the_protobuf_package_reads_is_what_the_store_has(tables: list[FamilyTable]) -> None:
    store = Store([table.family for table in tables])
    for table in tables:
        store.attach(table)
    filled = [table for table in tables if table.series]
    for _ in range(2):
        families = parse(store)
        assert [(one.name, one.help) for one in families] == [(one.family.name, one.family.help) for one in filled]
        for family, table in zip(families, filled, strict=True):
            assert family.type == {"counter": 0, "gauge": 1, "summary": 2, "histogram": 4}[table.family.kind]
            for metric, series in zip(family.metric, table.series, strict=True):
                check_metric(metric, series, table)


def test_labels_of_the_scope_come_first() -> None:
    store = Store([SLOTS])
    store.attach(FamilyTable(SLOTS, [Series(("a",), [1])], scope=(("airflow", "é" * 100),)))
    ((family,),) = [parse(store)]
    assert [(pair.name, pair.value) for pair in family.metric[0].label] == [("airflow", "é" * 100), ("pool", "a")]


def test_a_new_value_is_exposed_though_the_labels_are_cached() -> None:
    store = Store([TRIES])
    series = Series(("etl",), [1])
    store.attach(FamilyTable(TRIES, [series]))
    values = []
    for value in (1, 2, 2.5, math.inf):
        series.value = value
        values.append(parse(store)[0].metric[0].counter.value)
    assert values == [1, 2, 2.5, math.inf]


def test_a_series_that_is_not_revealed_is_zero_and_counts_as_exposed() -> None:
    store = Store([TRIES, WAIT])
    hidden = [Series(("a",), [7], revealed=False), Series(("a",), [1, 2, 3, 9.5], revealed=False)]
    store.attach(FamilyTable(TRIES, hidden[:1]))
    store.attach(FamilyTable(WAIT, hidden[1:]))
    tries, wait = parse(store)
    assert tries.metric[0].counter.value == 0
    assert (wait.metric[0].histogram.sample_count, wait.metric[0].histogram.sample_sum) == (0, 0)
    assert all(series.exposed_at for series in hidden)


@pytest.mark.parametrize("name", ["airflow_wait_seconds", "airflow_wait_seconds_bucket", "airflow_wait_seconds_sum"])
def test_a_family_is_chosen_by_the_name_of_a_sample(name: str) -> None:
    store = Store([WAIT, SLOTS])
    store.attach(FamilyTable(WAIT, [Series(("a",), [1, 2, 3, 9.5])]))
    store.attach(FamilyTable(SLOTS, [Series(("a",), [1])]))
    assert [family.name for family in parse(store, name)] == ["airflow_wait_seconds"]


# ---- native histograms ------------------------------------------------------------------------------


def read_native(histogram: Any) -> dict[int, int]:
    """Index and count of each bucket."""
    found, index, count = {}, 0, 0
    deltas = iter(histogram.positive_delta)
    for span in histogram.positive_span:
        index += span.offset
        for _ in range(span.length):
            count += next(deltas)
            found[index] = count
            index += 1
    assert next(deltas, None) is None
    return found


observations = st.lists(st.one_of(st.floats(0, 1e6), st.sampled_from([0.0, 1.0, 2.0, 60.0, 1e-9])), max_size=60)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=30, deadline=None)
@given(observations)
def test_each_observation_is_in_the_bucket_with_its_bounds(form: HistogramForm, values: list[float]) -> None:
    _, store = make_ledger(form, {"a": values} if values else {"a": [1.0]})
    values = values or [1.0]
    found = parse(store)[0].metric[0].histogram
    factor = 2 ** (2**-found.schema)
    assert factor <= 1.1
    buckets = read_native(found)
    assert found.zero_count + sum(buckets.values()) == found.sample_count == len(values)
    assert found.zero_count == sum(value <= found.zero_threshold for value in values)
    rest = sorted(value for value in values if value > found.zero_threshold)
    for index, count in buckets.items():
        taken, rest = rest[:count], rest[count:]
        assert all(factor ** (index - 1) * (1 - 1e-12) < value <= factor**index * (1 + 1e-12) for value in taken)
    assert [each.upper_bound for each in found.bucket] == ([0.5, 60] if form is HistogramForm.BOTH else [])


def test_a_histogram_that_is_not_revealed_has_its_schema_and_no_observation() -> None:
    ledger = Ledger([WAIT], birth_hold=60.0, forms={WAIT: HistogramForm.NATIVE})
    store = Store([WAIT])
    store.attach(ledger.tables[WAIT])
    ledger.publish(ledger.stage([Change(WAIT, ("a",), value) for value in (0.0, 3.0, 70.0)]))
    found = parse(store)[0].metric[0].histogram
    assert (found.schema, found.zero_count, found.sample_count, list(found.positive_span)) == (3, 0, 0, [])
    assert found.zero_threshold > 0


@pytest.mark.parametrize("form", FORMS)
def test_the_text_format_has_the_classic_form(form: HistogramForm) -> None:
    values = {"a": [0.1, 3.0, 1000.0], "b": [0.0]}
    classic = body(make_ledger(HistogramForm.CLASSIC, values)[1], Format.TEXT)
    assert body(make_ledger(form, values)[1], Format.TEXT) == classic


def test_a_family_that_is_native_only_is_not_in_the_text_format() -> None:
    _, store = make_ledger(HistogramForm.BOTH, {"load": [3.0]}, TASK_WAIT)
    assert body(store, Format.TEXT) == b""
    found = parse(store)[0].metric[0].histogram
    assert (found.sample_count, found.sample_sum, list(found.bucket)) == (1, 3.0, [])


# ---- turns of other threads -------------------------------------------------------------------------


def make_large_family() -> tuple[Ledger, Store]:
    """3,000 native histograms of some 400 bytes each, all of which change once more after they were rendered."""
    values = [1.3**power for power in range(60)]
    ledger, store = make_ledger(HistogramForm.NATIVE, {f"queue_{number}": values for number in range(3000)})
    ledger.publish(ledger.stage([Change(WAIT, (f"queue_{number}",), 5.0) for number in range(3000)]))
    return ledger, store


def count_encoded(ledger: Ledger) -> int:
    """Histograms that are encoded as they are now."""
    return sum(one.wired is one.value for one in ledger.tables[WAIT].series)


def test_a_large_family_is_rendered_in_slices_between_which_others_get_their_turn() -> None:
    ledger, store = make_large_family()
    encoded = [count_encoded(ledger)]
    chunks = []
    for chunk in render(store, Format.PROTOBUF):
        chunks.append(chunk)
        encoded.append(count_encoded(ledger))
    slices = [after - before for before, after in pairwise(encoded)]
    assert (encoded[0], encoded[-1]) == (0, 3000)
    assert max(slices) == SLICE_HISTOGRAMS
    assert max(map(len, chunks)) < 2 * CHUNK_BYTES
    assert len(parse_delimited(b"".join(chunks))[0].metric) == 3000


def test_there_are_no_more_pauses_than_are_needed() -> None:
    _, store = make_large_family()
    changed, cached = (list(render(store, Format.PROTOBUF)) for _ in range(2))
    assert changed[-1] is cached[-1] is END
    assert changed[:-1].count(PAUSE) == 3000 // SLICE_HISTOGRAMS
    assert cached[:-1].count(PAUSE) <= len(b"".join(cached)) // SLICE_BYTES


def test_counters_are_rendered_in_slices_too() -> None:
    store = Store([TRIES])
    store.attach(FamilyTable(TRIES, [Series((f"{number:0>100}",), [number]) for number in range(10_000)]))
    pauses = list(render(store, Format.PROTOBUF))[:-1].count(PAUSE)
    assert 2 < pauses <= len(body(store)) // SLICE_BYTES


def test_pauses_do_not_end_a_gzip_stream() -> None:
    _, store = make_large_family()
    packed = b"".join(compress(render(store, Format.PROTOBUF)))
    assert gzip.decompress(packed) == body(store)

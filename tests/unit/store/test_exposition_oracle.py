"""The exposition says what prometheus-client would say of the same families."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

from exporter.metrics.family import Family, Kind
from exporter.store.exposition import Format, render
from exporter.store.store import FamilyTable, Series, Store

write_float: Callable[[float], str] = floatToGoString

NAMES = st.from_regex(r"airflow_[a-z]{1,6}(_seconds|_bytes)?", fullmatch=True)
LABELS = st.lists(st.from_regex(r"x_[a-z]{1,4}", fullmatch=True), max_size=3, unique=True).map(tuple)
HELPS = st.text(min_size=1, max_size=20).filter(lambda words: not words.endswith("."))
GAUGES = st.one_of(st.integers(-(10**20), 10**20), st.floats())
COUNTS = st.one_of(st.integers(0, 10**20), st.floats(0, allow_infinity=False))
OBJECTIVES = st.lists(st.sampled_from([0.0, 0.5, 0.9, 0.99, 1.0]), max_size=4, unique=True).map(sorted)
BOUNDS = st.lists(st.floats(0, 1e9), min_size=1, max_size=5, unique=True).map(sorted).map(tuple)


@st.composite
def tables(draw: st.DrawFn) -> FamilyTable:
    """Any table: a family, and series that fit it."""
    kind = draw(st.sampled_from(Kind))
    name = draw(NAMES) + ("_total" if kind is Kind.COUNTER else "")
    buckets = draw(BOUNDS) if kind is Kind.HISTOGRAM else ()
    objectives = tuple((one, 0.01) for one in draw(OBJECTIVES)) if kind is Kind.SUMMARY else ()
    declared = kind is not Kind.SUMMARY
    family = Family(name, kind, draw(HELPS), draw(LABELS), buckets=buckets, objectives=objectives, declared=declared)
    values = st.tuples(*[st.text(max_size=8)] * len(family.labels))
    counts = st.lists(st.integers(0, 1000), min_size=len(buckets) + 1, max_size=len(buckets) + 1)
    cells = {
        Kind.GAUGE: GAUGES.map(lambda value: [value]),
        Kind.COUNTER: COUNTS.map(lambda value: [value]),
        Kind.SUMMARY: st.builds(
            lambda quantiles, total, count: [*quantiles, total, count],
            st.lists(st.floats(0), min_size=len(objectives), max_size=len(objectives)),
            st.floats(0, 1e12),
            st.integers(0, 1000),
        ),
        Kind.HISTOGRAM: st.builds(lambda many, total: [*many, total], counts, st.floats(0, 1e12)),
    }[kind]
    series = draw(st.dictionaries(values, cells, min_size=1, max_size=4))
    return FamilyTable(family, [Series(labels, list(each)) for labels, each in series.items()])


EXPOSITIONS = st.lists(tables(), max_size=4, unique_by=lambda table: table.family.base_name)


class Peer:
    """The same families in prometheus-client's terms."""

    def __init__(self, tables_: list[FamilyTable]) -> None:
        self._tables = tables_

    def collect(self) -> Iterator[Metric]:
        for table in self._tables:
            family = table.family
            if family.kind is Kind.HISTOGRAM:
                histogram = HistogramMetricFamily(family.name, family.help, labels=family.labels)
                for series in table.series:
                    *counts, total = series.cells
                    bounds = [*map(floatToGoString, family.buckets), "+Inf"]
                    sums = [sum(counts[: place + 1]) for place in range(len(counts))]
                    histogram.add_metric(series.labels, list(zip(bounds, sums, strict=True)), total)
                yield histogram
                continue
            if family.kind is Kind.SUMMARY:
                yield summarize(table)
                continue
            make = CounterMetricFamily if family.kind is Kind.COUNTER else GaugeMetricFamily
            metric = make(family.name, family.help, labels=family.labels)
            for series in table.series:
                metric.add_metric(series.labels, series.cells[0])
            yield metric


def summarize(table: FamilyTable) -> Metric:
    """A summary with its quantiles, which the client does not make by itself."""
    family = table.family
    metric = Metric(family.name, family.help, "summary")
    for series in table.series:
        *quantiles, total, count = series.cells
        labels = dict(zip(family.labels, series.labels, strict=True))
        for (quantile, _), value in zip(family.objectives, quantiles, strict=True):
            metric.add_sample(family.name, {**labels, "quantile": write_float(quantile)}, value)
        metric.add_sample(family.name + "_sum", labels, total)
        metric.add_sample(family.name + "_count", labels, count)
    return metric


def generate(tables_: list[FamilyTable], form: Format) -> str:
    registry = CollectorRegistry(support_collectors_without_names=True)
    registry.register(Peer(tables_))
    made: bytes = (generate_latest if form is Format.TEXT else generate_openmetrics)(registry)
    return made.decode()


def parse(body: str, form: Format) -> list[tuple[object, ...]]:
    """What a parser makes of it, in a form in which NaN equals NaN and a family's samples have no order."""
    families = (parse_text if form is Format.TEXT else parse_openmetrics)(body)
    return [(one.name, one.type, one.documentation, sorted(map(freeze, one.samples))) for one in families]


def freeze(sample: Sample) -> tuple[object, ...]:
    return (sample.name, sorted(sample.labels.items()), repr(float(sample.value)))


@pytest.mark.parametrize("form", [Format.TEXT, Format.OPENMETRICS])
@given(given_tables=EXPOSITIONS)
def test_any_families_parse_to_the_same_samples_as_prometheus_clients(
    form: Format, given_tables: list[FamilyTable]
) -> None:
    store = Store([table.family for table in given_tables])
    for table in given_tables:
        store.attach(table)
    expected = parse(generate(given_tables, form), form)
    for _ in ("newly written", "kept"):
        assert parse(b"".join(render(store, form)).decode(), form) == expected

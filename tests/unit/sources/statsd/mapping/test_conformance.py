"""Half of the case tables of statsd_exporter v0.30.0 (see tests/data/statsd/NOTICE), each case of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exporter.sources.statsd.mapping.escape import escape
from exporter.sources.statsd.mapping.file import BUCKETS, QUANTILES, MappingError
from exporter.sources.statsd.mapping.mapper import parse_mapping
from exporter.sources.statsd.model import STATSD_EXPORTER_DIALECTS, MetricType, Sample, Signature
from exporter.sources.statsd.parser import parse_line, split_lines

TABLES: dict[str, Any] = json.loads((Path(__file__).parents[4] / "data/statsd/conformance.json").read_text())
LINES = [case for case in TABLES["lines"] if isinstance(case["case"], dict)]
PLAIN = {"CounterEvent": "C", "GaugeEvent": "G", "ObserverEvent": "O"}
GO = {
    "5 * time.Minute": 300.0,
    "15 * time.Minute": 900.0,
    "time.Minute + time.Second*2": 62.0,
    "prometheus.DefBuckets": BUCKETS,
    "defaultQuantiles": QUANTILES,
}
UNSAID = {
    "Influx no tags with invalid Datadog style extended aggregation values and timings type",
    "datadog timing with extended aggregation values and invalid signalfx tags",
}
"""These name no outcome, and the peer does not look at one; it reads their values, and so do we."""
HISTOGRAMS = """
mappings:
- match: histogram.*
  name: histogram_$1
  observer_type: histogram
"""


def encode(text: str) -> bytes:
    """The tables hold a replacement character where the peer has bytes that are no UTF-8."""
    return text.encode().replace("\ufffd".encode(), b"\xc3")


def read(text: str) -> list[Sample]:
    return [
        sample for line in split_lines(encode(text)) for sample in parse_line(line, STATSD_EXPORTER_DIALECTS).samples
    ]


def list_events(samples: list[Sample]) -> list[tuple[Any, ...]]:
    """Samples as the peer's events: rates applied, times in seconds, tags as labels."""
    events: list[tuple[Any, ...]] = []
    for (name, kind, tags, rate, _), value, relative in samples:
        labels = {escape(key): text for key, text in tags if text}
        counted = value / rate if kind is MetricType.COUNTER else value / 1000 if kind is MetricType.TIMER else value
        letter = {MetricType.COUNTER: "C", MetricType.GAUGE: "G"}.get(kind, "O")
        times = int(1 / rate) if letter == "O" else 1
        events += [(letter, name, pytest.approx(counted), relative, labels)] * times
    return events


def list_expected(case: dict[str, Any]) -> list[tuple[Any, ...]]:
    expected = []
    for event in case.get("out") or []:
        letter = PLAIN[event["$type"].removeprefix("event.")]
        labels = {key: value for key, value in dict(event.get(f"{letter}Labels") or {}).items() if key != "$type"}
        name, value = event[f"{letter}MetricName"], event[f"{letter}Value"]
        expected.append((letter, name, value, event.get("GRelative", False), labels))
    return expected


@pytest.mark.parametrize("case", TABLES["packets"], ids=lambda case: case["name"])
def test_packets(case: dict[str, Any]) -> None:
    assert list_expected(case) == list_events(read(case.get("in", "")))


@pytest.mark.parametrize(("name", "case"), [(entry["name"], entry["case"]) for entry in LINES])
def test_lines(name: str, case: dict[str, Any]) -> None:
    if name in UNSAID:
        assert len(read(case["in"])) == 6
    else:
        assert list_expected(case) == list_events(read(case["in"]))


@pytest.mark.parametrize("case", TABLES["escaping"], ids=lambda case: case["name"] or "empty")
def test_escaping(case: dict[str, Any]) -> None:
    assert escape(case["name"]) == case["case"]


@pytest.mark.parametrize("case", TABLES["actions"], ids=lambda case: case["testName"])
def test_actions(case: dict[str, Any]) -> None:
    rule = parse_mapping(case["config"]).file.rules[0]
    assert rule.drop is (case["expectedAction"]["$go"] == "ActionTypeDrop")


@pytest.mark.parametrize("case", TABLES["conflicts"], ids=lambda case: case["name"])
def test_conflicts(case: dict[str, Any]) -> None:
    mapper = parse_mapping(HISTOGRAMS)
    counted, drops = 0.0, []
    for event in case["in"]:
        letter = PLAIN[event["$type"].removeprefix("event.")]
        labels = {key: value for key, value in dict(event.get(f"{letter}Labels") or {}).items() if key != "$type"}
        kind = {"C": MetricType.COUNTER, "G": MetricType.GAUGE, "O": MetricType.HISTOGRAM}[letter]
        resolution = mapper.resolve(Signature(event[f"{letter}MetricName"], kind, tuple(labels.items())))
        counted += event[f"{letter}Value"] if resolution.targets else 0
        drops.append(resolution.drop)
    assert [counted] == case["expected"]
    assert drops == [""] * (len(drops) - 1) + ["conflict"]


def tell(value: Any) -> Any:
    """A value of a table: a Go expression stands for what it gives."""
    if isinstance(value, dict) and "$go" in value:
        return GO[value["$go"]]
    if isinstance(value, list):
        return tuple((item["Quantile"], item["Error"]) if isinstance(item, dict) else item for item in value)
    return value


@pytest.mark.parametrize("case", TABLES["mapping_files"], ids=lambda case: case["testName"])
def test_mapping_files(case: dict[str, Any]) -> None:
    if case.get("configBad"):
        with pytest.raises(MappingError):
            parse_mapping(case["config"])
        return
    mapper = parse_mapping(case.get("config") or "")
    for expected in case.get("mappings", []):
        check_mapping(mapper, expected)


def check_mapping(mapper: Any, expected: dict[str, Any]) -> None:
    match = mapper.match(expected["statsdMetric"], "counter")
    if "name" not in expected:
        assert match is None or match.rule.drop
        return
    [target] = mapper.resolve(Signature(expected["statsdMetric"], MetricType.COUNTER)).targets
    labels = {key: value for key, value in dict(expected.get("labels") or {}).items() if key != "$type"}
    assert (target.family.name, dict(zip(target.family.labels, target.labels, strict=True))) == (
        expected["name"],
        labels,
    )
    options = match.rule.options if match else None
    said = {"maxAge": "max_age", "ageBuckets": "age_buckets", "bufCap": "buf_cap"}
    for key in expected.keys() & {"quantiles", "buckets", *said}:
        assert getattr(options, said.get(key, key)) == tell(expected[key])
    if "ttl" in expected:
        assert target.family.ttl == tell(expected["ttl"])
    if "scale" in expected:
        assert target.scale == expected["scale"]["Val"]

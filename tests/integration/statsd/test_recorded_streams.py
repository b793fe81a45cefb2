"""Each recorded stream gives the counts and sums that an independent reading of it gives, hinted at or not."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import pytest

from exporter.config.settings import StatsdSettings
from exporter.metrics.catalogue.families import FAMILIES
from exporter.sources.directory import Directory
from exporter.sources.statsd import parser
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.model import Action, MetricType, Resolution, Signature
from tests.integration.statsd.reading import DAGS, Reading
from tests.integration.statsd.streams import STREAMS, Line, Stream, read_lines, read_payloads

GOLDEN = Path(__file__).parent / "golden"
SILENT = StatsdSettings()
BEFORE_ANY_SIGN = ("airflow_serde_load_serializers_duration_seconds",)
"""Sent when a process starts, before anything that tells which client sends and so whether it is in seconds."""
OF_API = frozenset(family for family in FAMILIES if family.source == "airflow")


class Replay:
    """A stream resolved into plain dictionaries; resolutions are kept until the resolver's revision grows."""

    def __init__(self, names: AirflowNameResolver, lines: Iterable[Line]) -> None:
        self.values: dict[tuple[str, tuple[str, ...]], float] = defaultdict(float)
        self.counts: dict[tuple[str, tuple[str, ...]], int] = defaultdict(int)
        self.drops: Counter[str] = Counter()
        self.rules: Counter[tuple[str, str]] = Counter()
        self.ambiguous = 0
        self.forgotten = 0
        kept: dict[Signature, Resolution] = {}
        revision = -1
        for line in lines:
            signature = sign(line)
            if names.revision != revision:
                revision, kept = names.revision, {}
                self.forgotten += 1
            resolution = kept.get(signature)
            if resolution is None:
                resolution = kept[signature] = names.resolve(signature)
            self.take(resolution, line.value)

    def take(self, resolution: Resolution, value: float) -> None:
        assert bool(resolution.targets) != bool(resolution.drop)
        self.drops[resolution.drop] += 1
        self.rules[resolution.rule, resolution.drop] += bool(resolution.drop)
        self.ambiguous += resolution.ambiguous
        for family, labels, action, scale, plus in resolution.targets:
            key = (family.name, labels)
            assert len(labels) == len(family.labels)
            amount = value * scale + plus
            self.values[key] = amount if action is Action.SET else self.values[key] + amount
            self.counts[key] += action is not Action.SET


def sign(line: Line) -> Signature:
    return Signature(line.name, MetricType(line.type), line.tags, line.rate, line.dialect)


@cache
def know_ids() -> Directory:
    """What the API would tell of ids."""
    directory = Directory()
    directory.set_dags(DAGS)
    for stream in (Stream("3.3.2", "influxdb"), Stream("2.11.2", "influxdb")):
        for line in read_lines(stream):
            tags = dict(line.tags)
            if "dag_id" in tags and "task_id" in tags:
                directory.record_try(tags["dag_id"], tags["task_id"])
    return directory


@cache
def read(stream: Stream) -> Reading:
    return Reading(stream).read(read_lines(stream))


def assert_same(replay: Replay, reading: Reading, *, held: tuple[str, ...] = ()) -> None:
    """Every series and its value; families that are held back at first may be missing, or have less."""
    values = {key: value for key, value in replay.values.items() if key[0] not in held}
    expected = {key: value for key, value in reading.values.items() if key[0] not in held}
    assert set(values) == set(expected)
    assert [key for key, value in expected.items() if abs(values[key] - value) > 1e-9 * max(1, abs(value))] == []


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_all_counts_and_sums_are_those_of_an_independent_reading(stream: Stream) -> None:
    sent = read_lines(stream)
    settings = StatsdSettings(release=stream.release, mode=stream.mode)
    replay = Replay(AirflowNameResolver(know_ids(), settings), sent)
    reading = read(stream)
    assert_same(replay, reading)
    assert replay.counts == reading.counts
    assert replay.ambiguous == 0


@pytest.mark.parametrize(
    "stream", [stream for stream in STREAMS if stream.name != "3.3.2-plain"], ids=lambda stream: stream.name
)
def test_the_stream_tells_all_of_itself(stream: Stream) -> None:
    sent = read_lines(stream)
    replay = Replay(AirflowNameResolver(Directory(), SILENT), sent)
    assert_same(replay, read(stream), held=BEFORE_ANY_SIGN)
    assert replay.forgotten < 12
    assert replay.drops["unknown_unit"] <= 8


def test_what_the_api_tells_does_as_well_as_the_configuration() -> None:
    stream = Stream("2.11.2", "datadog")
    directory = know_ids.__wrapped__()
    directory.set_version("2.11.2")
    directory.set_metrics_config({"statsd_datadog_enabled": "True", "timer_unit_consistency": "False"})
    sent = read_lines(stream)
    assert_same(Replay(AirflowNameResolver(directory, SILENT), sent), read(stream))


def test_without_ids_from_the_api_3_3_in_plain_mode_has_the_same_sums_over_all_ids() -> None:
    """Dots that were sent as underscores are only undone from when on the stream tells them."""
    stream = Stream("3.3.2", "plain")
    sent = read_lines(stream)
    replay, reading = Replay(AirflowNameResolver(Directory(), SILENT), sent), read(stream)
    counters = {name for name, _ in reading.values if name.endswith("_total")}
    for name in counters:
        summed = [sum(value for key, value in one.values.items() if key[0] == name) for one in (replay, reading)]
        assert summed[0] == pytest.approx(summed[1]), name
    assert replay.ambiguous > 0


@pytest.mark.slow
@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_the_exporters_lines_are_those_of_the_small_reader(stream: Stream) -> None:
    """So what is shown here with plain dictionaries holds for what is received."""
    parsed = [parser.parse_line(line) for text in read_payloads(stream) for line in parser.split_lines(text.encode())]
    assert not [one.rejected for one in parsed if one.rejected]
    samples = [sample for one in parsed for sample in one.samples]
    read = [
        (
            Signature(
                line.name, MetricType(line.type), line.tags, 1.0 if line.type == "g" else line.rate, line.dialect
            ),
            line.value,
        )
        for line in read_lines(stream)
    ]
    assert [(sample.signature, sample.value) for sample in samples] == read


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_with_the_api_on_nothing_that_it_feeds_comes_from_statsd(stream: Stream) -> None:
    sent = read_lines(stream)
    settings = StatsdSettings(release=stream.release, mode=stream.mode)
    alone, beside = (
        Replay(AirflowNameResolver(know_ids(), settings), sent),
        Replay(AirflowNameResolver(know_ids(), settings, OF_API), sent),
    )
    of_api = {family.name for family in OF_API}
    stand_ins = {"airflow_task_starts_total", "airflow_task_execution_duration_seconds"}
    assert {key[0] for key in alone.values} - {key[0] for key in beside.values} >= stand_ins
    assert not {key[0] for key in beside.values} & (of_api | stand_ins)
    assert beside.drops["fed_by_api"] > 0
    rest = {key: value for key, value in alone.values.items() if key[0] not in of_api | stand_ins}
    assert beside.values == rest


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_the_series_are_those_of_the_golden_file(stream: Stream) -> None:
    """Set UPDATE_GOLDEN to write them anew, and read the difference line by line."""
    replay = Replay(
        AirflowNameResolver(know_ids(), StatsdSettings(release=stream.release, mode=stream.mode)), read_lines(stream)
    )
    names = {family.name: family.labels for family in FAMILIES}
    lines = [
        f"{write_series(name, names[name], labels)} {value:.10g}" for (name, labels), value in replay.values.items()
    ]
    drops = [f"# {count} dropped as {drop}: {rule}" for (rule, drop), count in sorted(replay.rules.items()) if drop]
    text = "\n".join([*sorted(lines), *drops, ""])
    path = GOLDEN / f"{stream.name}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text


def write_series(name: str, labels: tuple[str, ...], values: tuple[str, ...]) -> str:
    pairs = ",".join(f'{label}="{value}"' for label, value in zip(labels, values, strict=True))
    return f"{name}{{{pairs}}}" if pairs else name

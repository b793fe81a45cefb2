"""A line that differs from an earlier one only in its ids gets what it would get alone."""

from __future__ import annotations

from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.config.settings import StatsdSettings
from exporter.sources.directory import Directory
from exporter.sources.statsd.airflow_names import custom
from exporter.sources.statsd.airflow_names.events.table import EVENTS
from exporter.sources.statsd.airflow_names.line_shapes import MAX_LAYOUTS
from exporter.sources.statsd.airflow_names.lookup import EventLookup
from exporter.sources.statsd.airflow_names.name_tree import build_name_tree
from exporter.sources.statsd.airflow_names.resolver import AirflowNameResolver
from exporter.sources.statsd.fast_parser import FastParser
from exporter.sources.statsd.model import ALL_DIALECTS, KeyParts, MetricType, Resolution, Sample
from tests.integration.statsd.streams import STREAMS, Stream, read_payloads
from tests.integration.statsd.test_recorded_streams import OF_API
from tests.unit.sources.statsd.airflow_names.test_plans import PLACES, SETTINGS, Forgetful, know

IDS = (
    "etl",
    "sales",
    "sales.eu",
    "sales__eu",
    "a",
    "success",
    "failed",
    "None",
    "é",
    "",
    "a:b",
    "a=b",
    "50%",
    "b" * 260,
)
WORDS = sorted({part for event in EVENTS for name in (event.name, *event.legacy) for part in name.split(".")})
LOOKUP = EventLookup()
PREFIXES = ("airflow.prod.", "airflow.", "")
TREE = build_name_tree(PREFIXES, LOOKUP.legacy_names, LOOKUP.modern)
PARSER = FastParser(ALL_DIALECTS)


@st.composite
def draw_line(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A name of Airflow's with any ids, legacy or modern, with tags or without: what is before the value, and after."""
    event = draw(st.sampled_from(EVENTS))
    name = draw(st.sampled_from((event.name, *event.legacy)))
    while "{" in name:
        start, end = name.index("{"), name.index("}") + 1
        name = name[:start] + draw(st.sampled_from(IDS)) + name[end:]
    tail: str = draw(st.sampled_from([event.type, event.type, event.type, *MetricType]))
    tail += draw(st.sampled_from(["", "", "", "|@0.1"]))
    tags = draw(st.lists(st.tuples(st.sampled_from((*PLACES, *event.tags)), st.sampled_from(IDS)), max_size=4))
    if tags and draw(st.sampled_from([True, False])):
        return f"airflow.{name}".encode(), f"{tail}|#{','.join(':'.join(tag) for tag in tags)}".encode()
    return f"airflow.{name}{''.join(f',{key}={value}' for key, value in tags)}".encode(), tail.encode()


USERS = (
    "rows",
    "rows.read",
    "team.rows",
    "rows_total",
    "rows-read",
    "prod.scheduler_heartbeat",
    "dag_bag.rows",
    "é.rows",
)


@st.composite
def draw_users_line(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A name of a user's, or one that looks like Airflow's, with or without Airflow's prefix."""
    prefix = draw(st.sampled_from(("airflow.", "airflow.", "", "team.airflow.", "airflow.team.airflow.")))
    name = draw(st.sampled_from((*USERS, *(event.name for event in EVENTS[:5]))))
    tags = draw(st.lists(st.tuples(st.sampled_from(("env", "dag_id", "le")), st.sampled_from(IDS)), max_size=2))
    text = "".join(f",{key}={value}" for key, value in tags)
    return f"{prefix}{name}{text}".encode(), draw(st.sampled_from([*MetricType])).encode()


@settings(max_examples=300, deadline=None)
@given(
    SETTINGS,
    st.lists(draw_line() | draw_users_line(), min_size=1, max_size=30),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0, 2, 500]),
)
def test_what_is_found_is_what_the_line_would_get_alone(
    how: StatsdSettings, lines: list[tuple[bytes, bytes]], api: bool, settled: bool, limit: int
) -> None:
    with patch.object(custom, "MAX_FAMILIES", limit):
        compare(how, lines, api=api, settled=settled)


def compare(how: StatsdSettings, lines: list[tuple[bytes, bytes]], *, api: bool, settled: bool) -> None:
    """Resolve the lines with and without what is remembered of earlier ones."""
    bindings = OF_API if api else frozenset()
    fast, slow = AirflowNameResolver(know(), how, bindings), Forgetful(know(), how, bindings)
    if settled:
        fast.assume_defaults()
        slow.assume_defaults()
    for name, tail in [*lines, *lines, *lines]:
        key, sample = PARSER.split_key(name, tail), PARSER.parse(name, b"1", tail)
        assert (key is None) == (sample is None)
        if key is None or sample is None:
            continue
        expected, recalled = slow.resolve(sample.signature), fast.recall(sample.signature)
        assert recalled is None or describe(recalled) == describe(expected)
        assert describe(find(fast, key, sample)) == describe(expected)
        assert fast.revision == slow.revision


def find(resolver: AirflowNameResolver, key: KeyParts, sample: Sample) -> Resolution:
    """What becomes of a line, by an earlier one if there was one like it."""
    found = resolver.find_similar(key)
    return found[0].resolve(found[1]) if found else resolver.resolve(sample.signature)


def describe(resolution: Resolution) -> str:
    """All of it, but for how it was worked out. Each resolver makes its own families of users' metrics."""
    return repr(resolution._replace(plan=None, claim=None, targets=tuple(resolution.targets)))


@settings(max_examples=1_000, deadline=None)
@given(st.lists(st.sampled_from([*WORDS, "airflow", "prod", "etl", ""]), min_size=1, max_size=8).map(".".join))
def test_the_tree_finds_the_name_that_the_lookup_finds(name: str) -> None:
    found = TREE.find(name.split("."))
    if found is not None and "" not in name.split(".")[found.start :]:
        ids = ".".join(name.split(".")[found.start : -1 if found.suffix else None])
        starts = (name.removeprefix(prefix) for prefix in PREFIXES if name.startswith(prefix))
        expected = next(match for start in starts if (match := LOOKUP.find(start)))
        assert (expected.legacy, expected.ids) == (found.legacy, ids)


@pytest.mark.parametrize(
    ("stream", "share"),
    [("3.3.2-plain", 0.3), ("3.3.2-influxdb", 0.6), ("2.11.2-plain", 0.45), ("2.11.2-datadog", 0.8)],
)
def test_many_new_names_of_a_small_airflow_are_like_earlier_ones(stream: str, share: float) -> None:
    recorded = next(one for one in STREAMS if one.name == stream)
    names = AirflowNameResolver(Directory(), StatsdSettings(release=recorded.release, mode=recorded.mode))
    alike = [find_alike(names, line) for line in list_new_lines(recorded)]
    assert sum(alike) >= share * len(alike)


def list_new_lines(stream: Stream) -> list[bytes]:
    """The first line of each name with its tags."""
    lines = {line.partition(b":")[0] + line.partition(b"|")[2]: line for line in split_lines(stream)}
    return list(lines.values())


def split_lines(stream: Stream) -> list[bytes]:
    return [line for payload in read_payloads(stream) for line in payload.encode().split(b"\n") if line]


def find_alike(names: AirflowNameResolver, line: bytes) -> bool:
    """Whether there was a line like this one; it is resolved if there was none."""
    name, _, rest = line.partition(b":")
    raw, _, tail = rest.partition(b"|")
    key, sample = PARSER.split_key(name, tail), PARSER.parse(name, raw, tail)
    assert key is not None
    assert sample is not None
    if names.find_similar(key):
        return True
    names.resolve(sample.signature)
    return False


def test_what_is_remembered_is_bounded() -> None:
    names = AirflowNameResolver(Directory(), StatsdSettings(release="3.3.2", mode="influxdb"))
    names.assume_defaults()
    for name in (b"dag_processing.total_parse_time", b"scheduler.tasks.running", b"ti_failures"):
        find_alike(names, b"airflow.%s,dag_id=etl:1|c" % name)
    for number in range(2 * MAX_LAYOUTS):
        line = b"airflow.ti.start,dag_id=etl,task_id=load,other_%d=x:1|c" % number
        find_alike(names, line)
    assert 0 < len(names._shapes._tagged) <= MAX_LAYOUTS

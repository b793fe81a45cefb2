"""What the parser makes of StatsD lines."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.sources.statsd.model import (
    REJECT_REASONS,
    STATSD_EXPORTER_DIALECTS,
    Dialects,
    MetricType,
    Sample,
    Signature,
)
from exporter.sources.statsd.parser import parse_line, split_lines

TAGGED = (("dag_id", "a"), ("task_id", "b"))
NAMES = st.text("abcxyz_.-0189é", min_size=1, max_size=20)
TAGS = st.lists(st.tuples(NAMES, st.text("abc01-_é/", min_size=1, max_size=9)), max_size=4)


def read(line: bytes, dialects: Dialects = STATSD_EXPORTER_DIALECTS) -> list[tuple[object, ...]]:
    return [(s.signature.name, s.signature.type.value, s.value, s.relative) for s in parse_line(line, dialects).samples]


def test_datagrams_split_into_lines_and_line_ends_are_no_lines() -> None:
    assert list(split_lines(b"a:1|c\r\nb:2|g\n\n")) == [b"a:1|c", b"b:2|g"]


def test_a_negative_gauge_is_sent_as_zero_and_a_step_down() -> None:
    steps = [sample for line in split_lines(b"slots:0|g\nslots:-3|g") for sample in parse_line(line).samples]
    assert [(step.value, step.relative) for step in steps] == [(0.0, False), (-3.0, True)]


def test_gauges_may_be_endless_and_nothing_else() -> None:
    assert read(b"a:inf|g") == [("a", "g", math.inf, False)]
    assert parse_line(b"a:inf|c").rejected == parse_line(b"a:Infinity|ms").rejected == ["bad_value"]


@pytest.mark.parametrize(
    ("line", "dialect"),
    [
        (b"n,dag_id=a,task_id=b:1|c", "influxdb"),
        (b"n#dag_id=a,task_id=b:1|c", ""),
        (b"n[dag_id=a,task_id=b]:1|c", ""),
        (b"n:1|c|#dag_id:a,task_id:b", "datadog"),
        (b"n:1|c|#dag_id:a,#task_id:b", "datadog"),
    ],
)
def test_every_dialect_gives_the_same_tags_and_is_told(line: bytes, dialect: str) -> None:
    assert parse_line(line) == ([Sample(Signature("n", MetricType.COUNTER, TAGGED, dialect=dialect), 1.0)], [])


def test_a_dialect_that_is_off_leaves_the_name_as_it_is() -> None:
    assert read(b"n,k=v:1|c", Dialects(influxdb=False)) == [("n,k=v", "c", 1.0, False)]
    assert parse_line(b"n:1|c|#k:v", Dialects(dogstatsd=False)).samples[0].signature.tags == ()


def test_several_values_share_a_line() -> None:
    assert [s[2] for s in read(b"n:1:2:3|h")] == [1, 2, 3]
    assert read(b"n:1|c:2|ms") == [("n", "c", 1.0, False), ("n", "ms", 2.0, False)]
    assert parse_line(b"n:1|c:x|c").rejected == ["bad_value"]
    assert parse_line(b"n:|c:2|c") == ([Sample(Signature("n", MetricType.COUNTER), 2.0)], ["no_value"])


def test_a_negative_counter_is_read_as_what_it_means_depends_on_its_name() -> None:
    assert read(b"dag_processing.processes:-1|c") == [("dag_processing.processes", "c", -1.0, False)]


def test_styles_of_tags_are_mixed_only_where_both_say_something() -> None:
    assert parse_line(b"n,flag:1|c|#k:v").samples == [
        Sample(Signature("n", MetricType.COUNTER, (("flag", ""), ("k", "v")), 1.0, "datadog"), 1.0)
    ]


def test_fields_of_newer_dogstatsd_are_passed_over() -> None:
    line = b"n:1|c|@0.5|#k:v|c:ci-ab:c|T1656581400|e:it-false|card:low"
    assert parse_line(line).samples == [Sample(Signature("n", MetricType.COUNTER, (("k", "v"),), 0.5, "datadog"), 1.0)]
    assert parse_line(b"n:1|c|c:abc", STATSD_EXPORTER_DIALECTS).samples[0].signature.tags == (("container_id", "abc"),)


def test_a_gauge_has_no_rate_and_a_bad_rate_counts_once() -> None:
    assert parse_line(b"n:4|g|@0.1").samples[0].signature.rate == 1.0
    assert parse_line(b"n:4|c|@0").samples[0].signature.rate == 1.0
    assert parse_line(b"n:4|c|@7").rejected == ["bad_rate"]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "empty"),
        (b":1|c", "no_name"),
        (b"[a=b]:1|c", "no_name"),
        (b"n", "no_value"),
        (b"n:|c", "no_value"),
        (b"n:1", "bad_type"),
        (b"n:1|x", "bad_type"),
        (b"n:1|s", "set_type"),
        (b"n:1_000|c", "bad_value"),
        (b"n: 1|c", "bad_value"),
        (b"n:nan|g", "bad_value"),
        (b"n:0x10|g", "bad_value"),
        (b"n:1e999|g", "bad_value"),
        ("n:٣|g".encode(), "bad_value"),
        (b"n:1|c:2|c|#k:v", "bad_type"),
        (b"n:1:2|c", "bad_type"),
        (b"n:1|c|c", "bad_field"),
        (b"n:1|c|", "bad_field"),
        (b"n,a=b:1|c|#k:v", "bad_tags"),
        (b"n\xff:1|c", "not_utf8"),
        (b"n" * 70_000, "too_long"),
        (b"n" * 1_001 + b":1|c", "too_long"),
        (b"n" * 1_001 + b",k=v:1|c", "too_long"),
        (b"_e{1,1}:a|b", "event"),
        (b"_sc|up|0", "service_check"),
    ],
)
def test_every_refusal_has_its_reason(line: bytes, reason: str) -> None:
    assert parse_line(line) == ([], [reason])


def test_a_long_name_and_long_tags_are_read() -> None:
    for line in (b"n" * 1_000 + b":1|c", b"n,k=" + b"v" * 5_000 + b":1|c"):
        assert len(parse_line(line).samples) == 1


@given(st.binary(max_size=200) | st.text("ab:|#,=@c[]g1.-ms\n", max_size=60).map(str.encode))
def test_no_bytes_raise_and_what_comes_of_them_is_bounded(datagram: bytes) -> None:
    for line in split_lines(datagram):
        parsed = parse_line(line)
        assert parsed.samples or parsed.rejected
        assert len(parsed.samples) + len(parsed.rejected) <= 2 * len(line) + 1
        assert set(parsed.rejected) <= set(REJECT_REASONS)
        assert all(0 < s.signature.rate <= 1 and not math.isnan(s.value) for s in parsed.samples)


@given(NAMES, TAGS, st.floats(0, 1e12), st.sampled_from(list(MetricType)))
def test_what_is_written_is_read_back(name: str, tags: list[tuple[str, str]], value: float, kind: MetricType) -> None:
    written = ",".join(f"{key}:{text}" for key, text in tags)
    line = f"{name}:{value}|{kind}" + (f"|#{written}" if tags else "")
    dialect = "datadog" if tags else ""
    assert parse_line(line.encode()).samples == [Sample(Signature(name, kind, tuple(tags), 1.0, dialect), value)]

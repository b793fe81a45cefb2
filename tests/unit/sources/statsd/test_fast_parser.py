"""Whatever the fast parser reads, it reads as the full one does."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from exporter.sources.statsd.fast_parser import MAX_TAILS, FastParser
from exporter.sources.statsd.model import ALL_DIALECTS, STATSD_EXPORTER_DIALECTS, Dialects, Sample
from exporter.sources.statsd.parser import Parsed, parse_line
from tests.integration.statsd.streams import STREAMS, Stream, read_payloads

DIALECTS = [
    ALL_DIALECTS,
    STATSD_EXPORTER_DIALECTS,
    Dialects(dogstatsd=False),
    Dialects(influxdb=False),
    Dialects(librato=False, signalfx=False),
]
NAMES = st.sampled_from(
    ["a.b", "a,k=v", "a,k=v,l=w", "a,k", "a,", ",k=v", "a#k=v", "a[k=v]", "_e{1}", "_sc|", "é", "", "a|c"]
)
VALUES = st.sampled_from(
    ["1", "0", "-3", "+2.5", ".5", "5.", "1e3", "1e999", "inf", "nan", "1:2", "", " 1", "1_0", "٣"]
)
TAILS = st.sampled_from(
    [
        "c",
        "g",
        "ms",
        "h",
        "d",
        "s",
        "q",
        "",
        "c|@0.1",
        "c|@7",
        "g|@0.5",
        "c|#k:v,l:w",
        "c|#k:v|@0.1",
        "c|@0.1|#k",
        "c|#",
        *("c|T1", "c|c:id", "c|c:id:c", "c|e:x", "c:2|c", "c|", "c|#k:v,#l:w", "c|#é:x", "ms|card:low", "c\r", "c|#|"),
    ]
)
LINES = st.builds("{}:{}|{}".format, NAMES, VALUES, TAILS).map(str.encode) | st.binary(max_size=60)
LINES |= st.text("ab:|#,=@c[]g1.-ms_", max_size=40).map(str.encode)


def read(parser: FastParser, line: bytes) -> Sample | None:
    name, _, rest = line.partition(b":")
    raw, _, tail = rest.partition(b"|")
    return parser.parse(name, raw, tail)


@settings(max_examples=1_000, deadline=None)
@given(LINES, st.sampled_from(DIALECTS))
@example(b"a:1|c|#k:\xff", ALL_DIALECTS)
@example(b"a" * 1_000 + b":1|c", ALL_DIALECTS)
@example(b"a" * 1_001 + b":1|c", ALL_DIALECTS)
@example(b"\xff:1|c", ALL_DIALECTS)
@example(b"a:1", ALL_DIALECTS)
@example(b"a" * 65_532 + b":1|c", ALL_DIALECTS)
@example(b"a" * 65_531 + b":1|c", ALL_DIALECTS)
def test_what_is_read_fast_is_what_is_read(line: bytes, dialects: Dialects) -> None:
    found = read(FastParser(dialects), line)
    if found is not None:
        assert parse_line(line, dialects) == Parsed([found], [])


@pytest.mark.parametrize("stream", STREAMS, ids=lambda stream: stream.name)
def test_every_line_that_airflow_was_seen_to_send_is_read_fast(stream: Stream) -> None:
    parser = FastParser(ALL_DIALECTS)
    sent = {line for payload in read_payloads(stream) for line in payload.encode().split(b"\n") if line}
    for line in sent:
        found = read(parser, line)
        assert found is not None, line
        assert parse_line(line) == Parsed([found], [])


def test_what_is_remembered_is_bounded() -> None:
    parser = FastParser(ALL_DIALECTS)
    for number in range(3 * MAX_TAILS):
        read(parser, b"a:1|c|@0.%d" % number)
        read(parser, b"a:1|" + b"c" * number)
    assert len(parser._tails) <= MAX_TAILS

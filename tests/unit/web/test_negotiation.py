"""What a scrape is answered with, by its request headers: the format, gzip, JSON."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.store.exposition import Format
from exporter.web.negotiation import AcceptedValue, accepts_gzip, choose_format, parse_accept

PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,"
    "text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
)
PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"
PROMETHEUS_3_PROTOBUF = f"{PROTOBUF};q=0.6,{PROMETHEUS_3}"
PROMETHEUS_3_TEXT_ONLY = "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
PROMETHEUS_2_5 = "application/openmetrics-text; version=0.0.1,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", Format.TEXT),
        ("*/*", Format.TEXT),
        (BROWSER, Format.TEXT),
        (PROMETHEUS_3, Format.OPENMETRICS),
        (PROMETHEUS_3_PROTOBUF, Format.PROTOBUF),
        (PROMETHEUS_3_TEXT_ONLY, Format.TEXT),
        (PROMETHEUS_2_5, Format.TEXT),
        ("application/openmetrics-text", Format.OPENMETRICS),
        ('Application/OpenMetrics-Text; Version="1.0.0"; charset=utf-8', Format.OPENMETRICS),
        ("application/openmetrics-text;version=2.0.0", Format.TEXT),
        ("application/openmetrics-text;q=0.2, text/plain;q=0.3", Format.TEXT),
        ("application/openmetrics-text, text/plain", Format.OPENMETRICS),
        ("application/openmetrics-text;q=0.2, text/*;q=0.3", Format.TEXT),
        ("application/openmetrics-text;q=0.2, text/plain;q=0.1, */*;q=0.3", Format.OPENMETRICS),
        ("application/openmetrics-text;q=0", Format.TEXT),
        ("application/openmetrics-text;q=much", Format.TEXT),
        ("application/openmetrics-text;q=nan", Format.TEXT),
        ("application/openmetrics-text;q=7", Format.TEXT),
        (PROTOBUF, Format.PROTOBUF),
        (f"{PROTOBUF};q=0.3, text/plain;q=0.4", Format.TEXT),
        (f"{PROTOBUF};q=0", Format.TEXT),
        (PROTOBUF.replace("delimited", "text"), Format.TEXT),
        ("application/vnd.google.protobuf", Format.TEXT),
        ("application/*", Format.TEXT),
        (",;,=;q", Format.TEXT),
    ],
)
def test_the_format_is_the_one_preferred(accept: str, chosen: Format) -> None:
    assert choose_format(accept) is chosen


@given(st.text(alphabet='applicaton/xmetrics-v=1.0q;, *"\\', max_size=80))
def test_any_header_chooses_a_format(accept: str) -> None:
    assert choose_format(accept).content_type.endswith("; charset=utf-8")


def test_values_of_a_header_are_read_with_version_and_quality() -> None:
    header = 'Text/Plain; Version="0.0.4"; q=0.5, */*'
    assert list(parse_accept(header)) == [AcceptedValue("text/plain", "0.0.4", 0.5), AcceptedValue("*/*", "", 1.0)]


@pytest.mark.parametrize("quality", ["much", "nan", "-0.1", "7", ""])
def test_an_invalid_quality_refuses(quality: str) -> None:
    assert not accepts_gzip(f"gzip;q={quality}")

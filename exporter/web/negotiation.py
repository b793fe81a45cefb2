"""Content negotiation: the exposition format, gzip and JSON, as the request headers ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from starlette.requests import Request

from exporter.store.exposition import Format

METRIC_FAMILY = ("io.prometheus.client.metricfamily", "delimited")
"""The parameters `proto` and `encoding` of Prometheus' protobuf format, in lower case."""


class AcceptedValue(NamedTuple):
    """One value of an Accept or Accept-Encoding header, in lower case."""

    name: str
    version: str
    """The parameter `version`; empty where it is not given."""
    quality: float
    """From 0 (refused) to 1 (the default)."""
    is_metric_family: bool = False
    """Whether `proto` and `encoding` are those of Prometheus' protobuf format."""


def choose_format(accept_header: str) -> Format:
    """The format that an Accept header prefers: protobuf and OpenMetrics only if they are named, else text."""
    text = {"text/plain": 0.0, "text/*": 0.0, "*/*": 0.0}
    openmetrics = protobuf = 0.0
    for media_type, version, quality, is_metric_family in parse_accept(accept_header):
        if media_type == "application/vnd.google.protobuf" and is_metric_family:
            protobuf = max(protobuf, quality)
        elif media_type == "application/openmetrics-text" and version in ("", "1.0.0"):
            openmetrics = max(openmetrics, quality)
        elif media_type in text and version in ("", "0.0.4"):
            text[media_type] = max(text[media_type], quality)
    text_quality = next(filter(None, text.values()), 0.0)
    if protobuf and protobuf >= max(openmetrics, text_quality):
        return Format.PROTOBUF
    return Format.OPENMETRICS if openmetrics and openmetrics >= text_quality else Format.TEXT


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header names gzip, and does not prefer the uncompressed response."""
    qualities = {coding: quality for coding, _, quality, _ in parse_accept(accept_encoding)}
    gzip = qualities.get("gzip", 0.0)
    return gzip > 0 and gzip >= qualities.get("identity", 0.0)


def prefers_json(request: Request) -> bool:
    """Whether `?format=json` or the Accept header asks for JSON; a browser's header does not."""
    chosen = request.query_params.get("format")
    accept = request.headers.get("accept", "").lower()
    return chosen == "json" if chosen else "application/json" in accept and "text/html" not in accept


def parse_accept(header: str) -> Iterator[AcceptedValue]:
    """Yield the values of an Accept or Accept-Encoding header; one with an invalid quality counts as refused."""
    for part in header.lower().split(","):
        name, *rest = (piece.strip() for piece in part.split(";"))
        pairs = (piece.partition("=") for piece in rest)
        parameters = {key.strip(): value.strip(' "') for key, _, value in pairs}
        is_metric_family = (parameters.get("proto"), parameters.get("encoding")) == METRIC_FAMILY
        quality = parse_quality(parameters.get("q", "1"))
        yield AcceptedValue(name, parameters.get("version", ""), quality, is_metric_family)


def parse_quality(text: str) -> float:
    """A quality value between 0 and 1; 0 if the text is anything else."""
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0.0 <= quality <= 1.0 else 0.0

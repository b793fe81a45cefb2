"""Content negotiation: the exposition format, gzip and JSON, as the request headers ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from starlette.requests import Request

from exporter.store.exposition import Format


class AcceptedValue(NamedTuple):
    """One value of an Accept or Accept-Encoding header, in lower case."""

    name: str
    version: str
    """The parameter `version`; empty where it is not given."""
    quality: float
    """From 0 (refused) to 1 (the default)."""


def choose_format(accept_header: str) -> Format:
    """The exposition format that an Accept header prefers: OpenMetrics only if it is named, else the text format."""
    text = {"text/plain": 0.0, "text/*": 0.0, "*/*": 0.0}
    openmetrics = 0.0
    for media_type, version, quality in parse_accept(accept_header):
        if media_type == "application/openmetrics-text" and version in ("", "1.0.0"):
            openmetrics = max(openmetrics, quality)
        elif media_type in text and version in ("", "0.0.4"):
            text[media_type] = max(text[media_type], quality)
    text_quality = next(filter(None, text.values()), 0.0)
    return Format.OPENMETRICS if openmetrics and openmetrics >= text_quality else Format.TEXT


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether an Accept-Encoding header names gzip, and does not prefer the uncompressed response."""
    qualities = {coding: quality for coding, _, quality in parse_accept(accept_encoding)}
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
        yield AcceptedValue(name, parameters.get("version", ""), parse_quality(parameters.get("q", "1")))


def parse_quality(text: str) -> float:
    """A quality value between 0 and 1; 0 if the text is anything else."""
    try:
        quality = float(text)
    except ValueError:
        return 0.0
    return quality if 0.0 <= quality <= 1.0 else 0.0

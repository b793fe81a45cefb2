"""The recorded streams of real Airflows, and a small reader of their lines that is not the exporter's."""

from __future__ import annotations

import json
import lzma
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parents[2] / "data" / "statsd"
LINE = re.compile(
    r"(?P<name>[^:,|]+)(,(?P<influxdb>[^:]*))?:(?P<value>[^|]+)\|(?P<type>\w+)(\|@(?P<rate>[\d.]+))?(\|#(?P<datadog>.*))?"
)


class Stream(NamedTuple):
    """One recording: an Airflow and how it was set up."""

    release: str
    mode: str
    variant: str = ""

    @property
    def name(self) -> str:
        return "-".join(part for part in self if part)


STREAMS = (
    Stream("2.11.2", "plain"),
    Stream("2.11.2", "influxdb"),
    Stream("2.11.2", "datadog"),
    Stream("3.3.2", "plain"),
    Stream("3.3.2", "influxdb"),
    Stream("3.3.2", "influxdb", "nolegacy"),
    Stream("3.3.2", "datadog"),
)


class Line(NamedTuple):
    """One line of a stream."""

    name: str
    type: str
    value: float
    tags: tuple[tuple[str, str], ...]
    rate: float
    dialect: str


@cache
def read_lines(stream: Stream) -> tuple[Line, ...]:
    """Every line of a recording, in its order."""
    return tuple(list_lines(stream))


def list_lines(stream: Stream) -> Iterator[Line]:
    for payload in read_payloads(stream):
        yield from (parse_line(text) for text in payload.split("\n") if text)


def read_payloads(stream: Stream) -> Iterator[str]:
    """Every datagram of a recording."""
    with lzma.open(FOLDER / f"{stream.name}.jsonl.xz", "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def parse_line(text: str) -> Line:
    match = LINE.fullmatch(text)
    assert match, text
    dialect = next((name for name in ("influxdb", "datadog") if match[name]), "")
    separator = "=" if dialect == "influxdb" else ":"
    listed = (match[dialect] if dialect else "").split(",")
    tags = tuple((name, value) for name, _, value in (tag.partition(separator) for tag in listed) if name)
    return Line(match["name"], match["type"], float(match["value"]), tags, float(match["rate"] or 1), dialect)

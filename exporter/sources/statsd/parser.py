"""StatsD lines: bytes to samples. Pure, never raises, and everything that it makes is bounded by the line's length.

Read are plain StatsD, DogStatsD 1.0 to 1.6, and tags in the name as InfluxDB, Librato and SignalFX write them. What is
refused, and what several values in one line mean, follows statsd_exporter, so that its users find the same counts.
Three things differ on purpose: an endless counter or time and NaN are refused (they would spoil a sum for ever), a
sample rate above 1 counts as 1, and fields of newer DogStatsD are passed over instead of refused. Negative counters
are read here: what they mean depends on the name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from exporter.sources.statsd.model import ALL, Dialects, Sample, Signature, Type

LINE_BYTES = 65_535
"""Longer lines are refused: no datagram holds one, only a stream that lost its line ends."""
LEAST_RATE = 1e-6
"""A smaller sample rate is no rate: one line would stand for more than a million events."""
CLIENT_TELEMETRY = "datadog.dogstatsd.client."
"""What DogStatsD clients tell of themselves begins so."""

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
ENDLESS = re.compile(r"[+-]?inf(?:inity)?\Z", re.IGNORECASE)
TYPES = {kind.value: kind for kind in Type}
PACKED = frozenset({Type.TIMER, Type.HISTOGRAM, Type.DISTRIBUTION})
"""Only these types take several values before one type: `name:1:2:3|h`."""
LONE_FIELDS = ("c:", "e:", "card:")
"""Fields in which a colon does not begin another value."""
PASSED_OVER = ("T", "e:", "card:")
"""Fields of newer DogStatsD that say nothing a scraped metric could hold: timestamp, origin, cardinality."""

Tags = tuple[tuple[str, str], ...]


class Parsed(NamedTuple):
    """What one line says, and why parts of it (or all) say nothing."""

    samples: list[Sample]
    rejected: list[str]
    """Of REJECTIONS; a `bad_rate` stands beside its sample, which then counts once."""


class Head(NamedTuple):
    """What stands before the value."""

    name: str
    tags: Tags = ()
    dialect: str = ""


class Refusal(Exception):  # noqa: N818 - it is told, not raised to callers
    """Why a line or a value of it is refused; never leaves this module."""


def split(datagram: bytes) -> Iterator[bytes]:
    """The lines of a datagram; empty ones (a line end at the end) are no lines."""
    for line in datagram.split(b"\n"):
        bare = line.removesuffix(b"\r")
        if bare:
            yield bare


def parse(line: bytes, dialects: Dialects = ALL) -> Parsed:
    """Read one line: its samples, and a reason for everything that was refused."""
    parsed = Parsed([], [])
    try:
        name, rest = divide(line)
        head = read_name(name, dialects)
        values = list_values(rest, tagged=any(value for _, value in head.tags))
    except Refusal as refusal:
        parsed.rejected.append(str(refusal))
        return parsed
    for value in values:
        try:
            parsed.samples.append(read_sample(head, value, dialects, parsed.rejected))
        except Refusal as refusal:
            parsed.rejected.append(str(refusal))
    return parsed


def divide(line: bytes) -> tuple[str, str]:
    """Name with its tags, and what comes after the first colon."""
    if not line or len(line) > LINE_BYTES:
        raise Refusal("too_long" if line else "empty")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise Refusal("not_utf8") from None
    if text.startswith("_e{"):
        raise Refusal("event")
    if text.startswith("_sc|"):
        raise Refusal("service_check")
    name, _, rest = text.partition(":")
    if not name:
        raise Refusal("no_name")
    if not rest:
        raise Refusal("no_value")
    return name, rest


def read_name(text: str, dialects: Dialects) -> Head:
    """Part a name from the tags that InfluxDB, Librato or SignalFX would have in it."""
    name, listed = find_bracketed(text) if dialects.signalfx else (text, None)
    dialect = ""
    if listed is None and not (dialects.signalfx and ("[" in text or "]" in text)):
        name, listed = find_trailing(text, dialects)
        dialect = "influxdb" if listed and text[len(name)] == "," else ""
    if not name:
        raise Refusal("no_name")
    return Head(name, tuple(list_tags(listed, "=")), dialect) if listed else Head(name)


def find_bracketed(text: str) -> tuple[str, str | None]:
    """SignalFX: `name[k=v]`, brackets anywhere in the name. None where the brackets are no pair."""
    start, end = text.find("["), text.find("]")
    if start < 0 or end < start:
        return text, None
    return text[:start] + text[end + 1 :], text[start + 1 : end]


def find_trailing(text: str, dialects: Dialects) -> tuple[str, str | None]:
    """InfluxDB: `name,k=v`; Librato: `name#k=v`. The first of the marks that are read begins the tags."""
    marks = (dialects.influxdb and ",", dialects.librato and "#")
    found = [place for mark in marks if mark and (place := text.find(mark)) >= 0]
    if not found:
        return text, None
    return text[: min(found)], text[min(found) + 1 :]


def list_tags(text: str, separator: str) -> Iterator[tuple[str, str]]:
    """Tags in their order; one without a name is none, one without a value has an empty one."""
    for tag in text.split(","):
        name, _, value = tag.partition(separator)
        if name:
            yield name, value


def list_dogstatsd_tags(text: str) -> Iterator[tuple[str, str]]:
    """As DogStatsD writes them; its PHP client puts a `#` before every tag."""
    return list_tags(",".join(tag.removeprefix("#") for tag in text.split(",")), ":")


def list_values(rest: str, *, tagged: bool) -> list[str]:
    """What follows the name, as one text `value|type|fields` for each value."""
    if tagged and "|#" in rest:
        raise Refusal("bad_tags")
    head, bar, tail = rest.partition("|")
    if not bar:
        raise Refusal("bad_type")
    if ":" in head:
        if tail.split("|", 1)[0] not in PACKED:
            raise Refusal("bad_type")
        return [f"{value}|{tail}" for value in head.split(":")]
    return [rest] if "|#" in rest or is_single(tail.split("|")) else rest.split(":")


def is_single(fields: list[str]) -> bool:
    """Whether no colon begins another value: in `1|c|c:id` it belongs to the id, in `1|c|@0.5:2|c` it begins one."""
    if ":" in fields[0]:
        return False
    first = next((field for field in fields[1:] if ":" in field), None)
    return first is None or first.startswith(LONE_FIELDS)


def read_sample(head: Head, text: str, dialects: Dialects, flaws: list[str]) -> Sample:
    """Read `value|type|fields`; a sample rate that is none goes to the flaws."""
    number, *fields = text.split("|")
    if not fields:
        raise Refusal("bad_type")
    kind = read_type(fields[0])
    value = read_value(number, kind)
    if value is None:
        raise Refusal("bad_value" if number else "no_value")
    rate, more = read_fields(fields[1:], dialects, flaws)
    dialect = "datadog" if more else head.dialect
    signature = Signature(head.name, kind, head.tags + more, 1.0 if kind is Type.GAUGE else rate, dialect)
    return Sample(signature, value, relative=kind is Type.GAUGE and number[0] in "+-")


def read_type(text: str) -> Type:
    if text == "s":
        raise Refusal("set_type")
    if text not in TYPES:
        raise Refusal("bad_type")
    return TYPES[text]


def read_value(text: str, kind: Type) -> float | None:
    """The number that a value is, or None: of Python's forms only those that StatsD has too.

    Only gauges are endless. A sign makes a gauge relative: the caller looks at the text.
    """
    if NUMBER.match(text):
        value = float(text)
        return None if math.isinf(value) else value
    return float(text) if kind is Type.GAUGE and ENDLESS.match(text) else None


def read_fields(fields: list[str], dialects: Dialects, flaws: list[str]) -> tuple[float, Tags]:
    """Sample rate and tags of the fields after the type."""
    rate = 1.0
    tags: list[tuple[str, str]] = []
    for field in fields:
        if field.startswith("@"):
            rate = read_rate(field[1:], flaws)
        elif field.startswith("#"):
            tags.extend(list_dogstatsd_tags(field[1:]) if dialects.dogstatsd else ())
        elif field.startswith("c:") and len(field) > 2:
            tags.extend([("container_id", field[2:])] if dialects.containers else ())
        elif not field.startswith(PASSED_OVER):
            raise Refusal("bad_field")
    return rate, tuple(tags)


def read_rate(text: str, flaws: list[str]) -> float:
    """A rate in (0, 1]; anything else is 1 and a flaw: the line still tells of one event."""
    rate = float(text) if NUMBER.match(text) else math.nan
    if LEAST_RATE <= rate <= 1:
        return rate
    flaws.append("bad_rate")
    return 1.0

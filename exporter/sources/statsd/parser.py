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

from exporter.sources.statsd.model import ALL_DIALECTS, Dialects, MetricType, Sample, Signature, Tags

MAX_LINE_BYTES = 65_535
"""Longer lines are refused: no datagram holds one, only a stream that lost its line ends."""
MIN_SAMPLE_RATE = 1e-6
"""A smaller sample rate is no rate: one line would stand for more than a million events."""
CLIENT_TELEMETRY_PREFIX = "datadog.dogstatsd.client."
"""What DogStatsD clients tell of themselves begins so."""

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
INFINITE = re.compile(r"[+-]?inf(?:inity)?\Z", re.IGNORECASE)
TYPES = {kind.value: kind for kind in MetricType}
PACKED = frozenset({MetricType.TIMER, MetricType.HISTOGRAM, MetricType.DISTRIBUTION})
"""Only these types take several values before one type: `name:1:2:3|h`."""
SINGLE_VALUE_FIELDS = ("c:", "e:", "card:")
"""Fields in which a colon does not begin another value."""
IGNORED_FIELDS = ("T", "e:", "card:")
"""Fields of newer DogStatsD that say nothing a scraped metric could hold: timestamp, origin, cardinality."""


class Parsed(NamedTuple):
    """What one line says, and why parts of it (or all) say nothing."""

    samples: list[Sample]
    rejected: list[str]
    """Of REJECT_REASONS; a `bad_rate` stands beside its sample, which then counts once."""


class NameAndTags(NamedTuple):
    """What stands before the value."""

    name: str
    tags: Tags = ()
    dialect: str = ""


class LineRejected(Exception):  # noqa: N818 - it is told, not raised to callers
    """Why a line or a value of it is refused; never leaves this module."""


def split_lines(datagram: bytes) -> Iterator[bytes]:
    """The lines of a datagram; empty ones (a line end at the end) are no lines."""
    for line in datagram.split(b"\n"):
        bare = line.removesuffix(b"\r")
        if bare:
            yield bare


def parse_line(line: bytes, dialects: Dialects = ALL_DIALECTS) -> Parsed:
    """Read one line: its samples, and a reason for everything that was refused."""
    parsed = Parsed([], [])
    try:
        name, rest = split_name(line)
        head = parse_name(name, dialects)
        values = split_values(rest, tagged=any(value for _, value in head.tags))
    except LineRejected as refusal:
        parsed.rejected.append(str(refusal))
        return parsed
    for value in values:
        try:
            parsed.samples.append(parse_sample(head, value, dialects, parsed.rejected))
        except LineRejected as refusal:
            parsed.rejected.append(str(refusal))
    return parsed


def split_name(line: bytes) -> tuple[str, str]:
    """Name with its tags, and what comes after the first colon."""
    if not line or len(line) > MAX_LINE_BYTES:
        raise LineRejected("too_long" if line else "empty")
    try:
        text = line.decode()
    except UnicodeDecodeError:
        raise LineRejected("not_utf8") from None
    if text.startswith("_e{"):
        raise LineRejected("event")
    if text.startswith("_sc|"):
        raise LineRejected("service_check")
    name, _, rest = text.partition(":")
    if not name:
        raise LineRejected("no_name")
    if not rest:
        raise LineRejected("no_value")
    return name, rest


def parse_name(text: str, dialects: Dialects) -> NameAndTags:
    """Part a name from the tags that InfluxDB, Librato or SignalFX would have in it."""
    name, listed = split_signalfx_tags(text) if dialects.signalfx else (text, None)
    dialect = ""
    if listed is None and not (dialects.signalfx and ("[" in text or "]" in text)):
        name, listed = split_trailing_tags(text, dialects)
        dialect = "influxdb" if listed and text[len(name)] == "," else ""
    if not name:
        raise LineRejected("no_name")
    return NameAndTags(name, tuple(parse_tags(listed, "=")), dialect) if listed else NameAndTags(name)


def split_signalfx_tags(text: str) -> tuple[str, str | None]:
    """SignalFX: `name[k=v]`, brackets anywhere in the name. None where the brackets are no pair."""
    start, end = text.find("["), text.find("]")
    if start < 0 or end < start:
        return text, None
    return text[:start] + text[end + 1 :], text[start + 1 : end]


def split_trailing_tags(text: str, dialects: Dialects) -> tuple[str, str | None]:
    """InfluxDB: `name,k=v`; Librato: `name#k=v`. The first of the marks that are read begins the tags."""
    marks = (dialects.influxdb and ",", dialects.librato and "#")
    found = [place for mark in marks if mark and (place := text.find(mark)) >= 0]
    if not found:
        return text, None
    return text[: min(found)], text[min(found) + 1 :]


def parse_tags(text: str, separator: str) -> Iterator[tuple[str, str]]:
    """Tags in their order; one without a name is none, one without a value has an empty one."""
    for tag in text.split(","):
        name, _, value = tag.partition(separator)
        if name:
            yield name, value


def parse_dogstatsd_tags(text: str) -> Iterator[tuple[str, str]]:
    """As DogStatsD writes them; its PHP client puts a `#` before every tag."""
    return parse_tags(",".join(tag.removeprefix("#") for tag in text.split(",")), ":")


def split_values(rest: str, *, tagged: bool) -> list[str]:
    """What follows the name, as one text `value|type|fields` for each value."""
    if tagged and "|#" in rest:
        raise LineRejected("bad_tags")
    head, bar, tail = rest.partition("|")
    if not bar:
        raise LineRejected("bad_type")
    if ":" in head:
        if tail.split("|", 1)[0] not in PACKED:
            raise LineRejected("bad_type")
        return [f"{value}|{tail}" for value in head.split(":")]
    return [rest] if "|#" in rest or has_single_value(tail.split("|")) else rest.split(":")


def has_single_value(fields: list[str]) -> bool:
    """Whether no colon begins another value: in `1|c|c:id` it belongs to the id, in `1|c|@0.5:2|c` it begins one."""
    if ":" in fields[0]:
        return False
    first = next((field for field in fields[1:] if ":" in field), None)
    return first is None or first.startswith(SINGLE_VALUE_FIELDS)


def parse_sample(head: NameAndTags, text: str, dialects: Dialects, problems: list[str]) -> Sample:
    """Read `value|type|fields`; a sample rate that is none goes to the problems."""
    number, *fields = text.split("|")
    if not fields:
        raise LineRejected("bad_type")
    kind = parse_type(fields[0])
    value = parse_value(number, kind)
    if value is None:
        raise LineRejected("bad_value" if number else "no_value")
    rate, more = parse_fields(fields[1:], dialects, problems)
    dialect = "datadog" if more else head.dialect
    signature = Signature(head.name, kind, head.tags + more, 1.0 if kind is MetricType.GAUGE else rate, dialect)
    return Sample(signature, value, relative=kind is MetricType.GAUGE and number[0] in "+-")


def parse_type(text: str) -> MetricType:
    if text == "s":
        raise LineRejected("set_type")
    if text not in TYPES:
        raise LineRejected("bad_type")
    return TYPES[text]


def parse_value(text: str, kind: MetricType) -> float | None:
    """The number that a value is, or None: of Python's forms only those that StatsD has too.

    Only gauges are endless. A sign makes a gauge relative: the caller looks at the text.
    """
    if NUMBER.match(text):
        value = float(text)
        return None if math.isinf(value) else value
    return float(text) if kind is MetricType.GAUGE and INFINITE.match(text) else None


def parse_fields(fields: list[str], dialects: Dialects, problems: list[str]) -> tuple[float, Tags]:
    """Sample rate and tags of the fields after the type."""
    rate = 1.0
    tags: list[tuple[str, str]] = []
    for field in fields:
        if field.startswith("@"):
            rate = parse_rate(field[1:], problems)
        elif field.startswith("#"):
            tags.extend(parse_dogstatsd_tags(field[1:]) if dialects.dogstatsd else ())
        elif field.startswith("c:") and len(field) > 2:
            tags.extend([("container_id", field[2:])] if dialects.containers else ())
        elif not field.startswith(IGNORED_FIELDS):
            raise LineRejected("bad_field")
    return rate, tuple(tags)


def parse_rate(text: str, problems: list[str]) -> float:
    """A rate in (0, 1]; anything else is 1 and a flaw: the line still tells of one event."""
    rate = float(text) if NUMBER.match(text) else math.nan
    if MIN_SAMPLE_RATE <= rate <= 1:
        return rate
    problems.append("bad_rate")
    return 1.0

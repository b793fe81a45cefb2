"""Parses StatsD lines: bytes to samples. Pure, never raises; its output is bounded by the length of the line.

It parses plain StatsD, DogStatsD 1.0 to 1.6, and tags in the name in the formats of InfluxDB, Librato and SignalFX. It
rejects the same lines as statsd_exporter, and reads several values in one line as it does, so the counts are the same.
Four things differ on purpose: infinite counters or times and NaN are rejected (a sum would never recover), a sample
rate above 1 counts as 1, fields of newer DogStatsD versions are ignored instead of rejected, and names have a limit.
Negative counters are accepted here: what they mean depends on the name.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from exporter.sources.statsd.model import ALL_DIALECTS, Dialects, MetricType, Sample, Signature, Tags

MAX_LINE_BYTES = 65_535
"""Longer lines are rejected. No datagram is longer, only a stream without line ends."""
MAX_NAME_LENGTH = 1_000
"""Characters of a name without its tags; longer ones are rejected, because names are remembered in several places.

Airflow's longest names consist of a prefix and two ids with 250 characters each.
"""
MIN_SAMPLE_RATE = 1e-6
"""Smaller sample rates are invalid: one line would stand for more than a million events."""
CLIENT_TELEMETRY_PREFIX = "datadog.dogstatsd.client."
"""Prefix of the names under which DogStatsD clients report about themselves."""

NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
INFINITE = re.compile(r"[+-]?inf(?:inity)?\Z", re.IGNORECASE)
TYPES = {kind.value: kind for kind in MetricType}
PACKED = frozenset({MetricType.TIMER, MetricType.HISTOGRAM, MetricType.DISTRIBUTION})
"""Types that may have several values in one line: `name:1:2:3|h`."""
SINGLE_VALUE_FIELDS = ("c:", "e:", "card:")
"""Fields in which a colon does not start another value."""
IGNORED_FIELDS = ("T", "e:", "card:")
"""Fields of newer DogStatsD versions that a scraped metric cannot hold: timestamp, origin, cardinality."""


class Parsed(NamedTuple):
    """The samples of one line, and the reasons why parts of it were rejected."""

    samples: list[Sample]
    rejected: list[str]
    """Of REJECT_REASONS. A sample with a `bad_rate` is kept and counts once."""


class NameAndTags(NamedTuple):
    """The part of a line before the value."""

    name: str
    tags: Tags = ()
    dialect: str = ""


class LineRejected(Exception):  # noqa: N818 - it is reported, never raised to callers
    """Why a line, or one of its values, is rejected; never leaves this module."""


def split_lines(datagram: bytes) -> Iterator[bytes]:
    """The lines of a datagram, without empty ones."""
    for line in datagram.split(b"\n"):
        bare = line.removesuffix(b"\r")
        if bare:
            yield bare


def parse_line(line: bytes, dialects: Dialects = ALL_DIALECTS) -> Parsed:
    """Parse one line: its samples, and a reason for everything that is rejected."""
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
    """The name with its tags, and what follows the first colon."""
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
    """Split a name from tags in the format of InfluxDB, Librato or SignalFX."""
    name, listed = split_signalfx_tags(text) if dialects.signalfx else (text, None)
    dialect = ""
    if listed is None and not (dialects.signalfx and ("[" in text or "]" in text)):
        name, listed = split_trailing_tags(text, dialects)
        dialect = "influxdb" if listed and text[len(name)] == "," else ""
    if not name:
        raise LineRejected("no_name")
    if len(name) > MAX_NAME_LENGTH:
        raise LineRejected("too_long")
    return NameAndTags(name, tuple(parse_tags(listed, "=")), dialect) if listed else NameAndTags(name)


def split_signalfx_tags(text: str) -> tuple[str, str | None]:
    """SignalFX: `name[k=v]`, with the brackets anywhere in the name; None if they are not a pair."""
    start, end = text.find("["), text.find("]")
    if start < 0 or end < start:
        return text, None
    return text[:start] + text[end + 1 :], text[start + 1 : end]


def split_trailing_tags(text: str, dialects: Dialects) -> tuple[str, str | None]:
    """InfluxDB: `name,k=v`; Librato: `name#k=v`. The first mark of a supported format starts the tags."""
    marks = (dialects.influxdb and ",", dialects.librato and "#")
    found = [place for mark in marks if mark and (place := text.find(mark)) >= 0]
    if not found:
        return text, None
    return text[: min(found)], text[min(found) + 1 :]


def parse_tags(text: str, separator: str) -> Iterator[tuple[str, str]]:
    """Tags in their order. A tag without a key is skipped; without a value, its value is empty."""
    for tag in text.split(","):
        name, _, value = tag.partition(separator)
        if name:
            yield name, value


def parse_dogstatsd_tags(text: str) -> Iterator[tuple[str, str]]:
    """Tags in DogStatsD's format. Its PHP client puts a `#` before every tag."""
    return parse_tags(",".join(tag.removeprefix("#") for tag in text.split(",")), ":")


def split_values(rest: str, *, tagged: bool) -> list[str]:
    """What follows the name, as one text `value|type|fields` per value."""
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
    """Whether there is one value: the colon in `1|c|c:id` belongs to a field, in `1|c|@0.5:2|c` it starts a value."""
    if ":" in fields[0]:
        return False
    first = next((field for field in fields[1:] if ":" in field), None)
    return first is None or first.startswith(SINGLE_VALUE_FIELDS)


def parse_sample(head: NameAndTags, text: str, dialects: Dialects, problems: list[str]) -> Sample:
    """Parse `value|type|fields`. An invalid sample rate is added to the problems."""
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
    """The number of a value; None if it is not a number in StatsD's format, which is narrower than Python's.

    Only gauges may be infinite. A sign makes a gauge relative: the caller checks the text.
    """
    if NUMBER.match(text):
        value = float(text)
        return None if math.isinf(value) else value
    return float(text) if kind is MetricType.GAUGE and INFINITE.match(text) else None


def parse_fields(fields: list[str], dialects: Dialects, problems: list[str]) -> tuple[float, Tags]:
    """Sample rate and tags, from the fields after the type."""
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
    """A sample rate in (0, 1]. Any other counts as 1 and is a problem: the line still reports one event."""
    rate = float(text) if NUMBER.match(text) else math.nan
    if MIN_SAMPLE_RATE <= rate <= 1:
        return rate
    problems.append("bad_rate")
    return 1.0

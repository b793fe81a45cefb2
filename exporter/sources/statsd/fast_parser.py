"""Parses ordinary StatsD lines in one pass: one plain number, at most one kind of tags, no unusual characters.

Other lines get None and are parsed by `parser.parse_line`. A test compares both parsers: what this one accepts, it
parses as the other does.
"""

from __future__ import annotations

import math
import re

from exporter.sources.statsd.model import CLIENTS, Dialects, KeyParts, MetricType, Sample, Signature, Tags
from exporter.sources.statsd.parser import MAX_LINE_BYTES, MAX_NAME_LENGTH, parse_dogstatsd_tags, parse_line

NUMBER = re.compile(rb"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
MAX_TAILS = 1_000
"""Combinations of type and sample rate that are cached."""
MAX_TAIL_BYTES = 40
"""Longer ones are not cached."""
SIGNS = b"+-"

TypeAndRate = tuple[MetricType, float]
"""Type and sample rate."""


class FastParser:
    """Parses ordinary lines for one set of dialects. Its cache is bounded."""

    def __init__(self, dialects: Dialects) -> None:
        self.dialects = dialects
        self._tails: dict[bytes, TypeAndRate | None] = {}

    def parse(self, name: bytes, raw: bytes, tail: bytes) -> Sample | None:
        """The sample of the line `name:raw|tail`, which has been cut at its first colon and the first bar after it."""
        key = self.split_key(name, tail)
        return self.build_sample(key, raw) if key and len(name) + len(raw) + len(tail) + 2 <= MAX_LINE_BYTES else None

    def build_sample(self, key: KeyParts, raw: bytes) -> Sample | None:
        """The sample of a line with that key; None if its value is not an ordinary number."""
        value = float(raw) if NUMBER.match(raw) else math.inf
        if math.isinf(value):
            return None
        kind, rate, text, separator, listed = key
        tags = parse_tags(listed, separator) if separator else ()
        signature = Signature(text, kind, tags, rate, CLIENTS[separator] if tags or separator == "=" else "")
        return Sample(signature, value, kind is MetricType.GAUGE and raw[0] in SIGNS)

    def split_key(self, name: bytes, tail: bytes) -> KeyParts | None:
        """The parts of a line without its value; None if it is not an ordinary line."""
        front, mark, listed = tail.partition(b"|#")
        known = self._tails[front] if front in self._tails else self._parse_tail(front)
        if known is None or name[:1] == b"_":
            return None
        try:
            text, tags = name.decode(), listed.decode()
        except UnicodeDecodeError:
            return None
        if "[" in text or "]" in text or "#" in text:
            return None
        head, comma, inner = text.partition(",")
        if len(head) > MAX_NAME_LENGTH:
            return None
        if mark:
            separator, ordinary = ":", not comma and "|" not in tags and self.dialects.dogstatsd
        else:
            separator, tags = "=" if comma else "", inner
            ordinary = not comma or (inner != "" and self.dialects.influxdb)
        kind, rate = known
        return (kind, rate, head, separator, tags) if ordinary and head else None

    def _parse_tail(self, tail: bytes) -> TypeAndRate | None:
        """Type and sample rate of what follows a value; None if there is more, or if it is invalid."""
        parsed = parse_line(b"x:1|" + tail, self.dialects)
        found = None
        if len(parsed.samples) == 1 and not parsed.rejected and not parsed.samples[0].signature.tags:
            signature = parsed.samples[0].signature
            found = signature.type, signature.rate
        if len(tail) <= MAX_TAIL_BYTES:
            if len(self._tails) >= MAX_TAILS:
                self._tails.clear()
            self._tails[tail] = found
        return found


def parse_tags(text: str, separator: str) -> Tags:
    """The same as `parser.parse_tags`, as a tuple."""
    if separator == ":" and "#" in text:
        # Only the PHP client puts a `#` before every tag.
        return tuple(parse_dogstatsd_tags(text))
    pairs = [tag.partition(separator) for tag in text.split(",")]
    return tuple([(name, value) for name, _, value in pairs if name])

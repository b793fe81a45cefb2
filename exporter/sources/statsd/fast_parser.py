"""Parses ordinary StatsD lines in one pass: one plain number, at most one kind of tags, no unusual characters.

Other lines get None and are parsed by `parser.parse_line`. A test compares both parsers: what this one accepts, it
parses as the other does.
"""

from __future__ import annotations

import math
import re

from exporter.sources.statsd.model import Dialects, MetricType, Sample, Signature, Tags
from exporter.sources.statsd.parser import MAX_LINE_BYTES, parse_dogstatsd_tags, parse_line

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
        if not NUMBER.match(raw) or len(name) + len(tail) > MAX_LINE_BYTES - len(raw) - 2:
            return None
        value = float(raw)
        front, mark, listed = tail.partition(b"|#")
        known = self._tails[front] if front in self._tails else self._parse_tail(front)
        if known is None or math.isinf(value) or name[:1] == b"_":
            return None
        try:
            head, tags = name.decode(), listed.decode()
        except UnicodeDecodeError:
            return None
        kind, rate = known
        signature = self._build_signature(head, kind, rate, tags if mark else None)
        if signature is None:
            return None
        return Sample(signature, value, kind is MetricType.GAUGE and raw[0] in SIGNS)

    def _build_signature(self, text: str, kind: MetricType, rate: float, listed: str | None) -> Signature | None:
        """The signature of the text before the value, and of the DogStatsD tags after it."""
        if "[" in text or "]" in text or "#" in text:
            return None
        name, comma, inner = text.partition(",")
        if not name:
            return None
        if listed is not None:
            if comma or "|" in listed or not self.dialects.dogstatsd:
                return None
            # Only the PHP client puts a `#` before every tag.
            tags = tuple(parse_dogstatsd_tags(listed)) if "#" in listed else split_tags(listed, ":")
            return Signature(name, kind, tags, rate, "datadog" if tags else "")
        if comma:
            if not inner or not self.dialects.influxdb:
                return None
            return Signature(name, kind, split_tags(inner, "="), rate, "influxdb")
        return Signature(name, kind, (), rate, "")

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


def split_tags(text: str, separator: str) -> Tags:
    """The same as `parser.parse_tags`, as a tuple."""
    return tuple([(name, value) for name, _, value in [tag.partition(separator) for tag in text.split(",")] if name])

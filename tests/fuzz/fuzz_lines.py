"""Coverage-guided fuzzing of StatsD lines: nothing raises, and what comes of a datagram is bounded by its length."""

from __future__ import annotations

import math
import sys

import atheris

with atheris.instrument_imports(include=["exporter.sources.statsd"]):
    from exporter.sources.statsd.model import REJECT_REASONS, STATSD_EXPORTER_DIALECTS
    from exporter.sources.statsd.parser import parse_line, split_lines


def check(datagram: bytes) -> None:
    for line in split_lines(datagram):
        parsed = parse_line(line, STATSD_EXPORTER_DIALECTS)
        assert parsed.samples or parsed.rejected
        assert len(parsed.samples) + len(parsed.rejected) <= 2 * len(line) + 1
        assert set(parsed.rejected) <= set(REJECT_REASONS)
        assert all(0 < s.signature.rate <= 1 and s.signature.name and not math.isnan(s.value) for s in parsed.samples)


if __name__ == "__main__":
    atheris.Setup(sys.argv, check)
    atheris.Fuzz()

"""How statsd_exporter turns any name into one that Prometheus allows."""

from __future__ import annotations

import re

INVALID = re.compile(r"--+|[^a-zA-Z0-9_]")


def escape(name: str) -> str:
    """Every character that is not allowed becomes an underscore, a run of dashes becomes one; no digit comes first."""
    escaped = INVALID.sub("_", name)
    return f"_{escaped}" if escaped[:1].isdigit() else escaped

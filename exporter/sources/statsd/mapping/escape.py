"""How statsd_exporter turns any name into one that Prometheus allows."""

from __future__ import annotations

import re

VALID = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
INVALID = re.compile(r"--+|[^a-zA-Z0-9_]")


def escape(name: str) -> str:
    """Every character that is not allowed becomes an underscore, a run of dashes becomes one; no digit comes first."""
    if VALID.match(name):
        return name
    escaped = INVALID.sub("_", name)
    return f"_{escaped}" if escaped[:1].isdigit() else escaped

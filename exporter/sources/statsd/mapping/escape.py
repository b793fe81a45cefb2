"""Converts any name to one that Prometheus allows, as statsd_exporter does."""

from __future__ import annotations

import re

VALID = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*\Z")
INVALID = re.compile(r"--+|[^a-zA-Z0-9_]")


def escape(name: str) -> str:
    """Replace each invalid character, and each run of dashes, by an underscore; a leading digit gets one before it."""
    if VALID.match(name):
        return name
    escaped = INVALID.sub("_", name)
    return f"_{escaped}" if escaped[:1].isdigit() else escaped

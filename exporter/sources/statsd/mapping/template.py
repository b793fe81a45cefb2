"""Names and label values with `$1`, `${1}` or (regular expressions only) `${group}` in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from exporter.sources.statsd.mapping.pattern import Caught

GLOB_REFERENCE = re.compile(r"\$\{?([a-zA-Z0-9_$]+)\}?")
REGEX_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))", re.ASCII)

NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,3})\Z")

Fill = Callable[[str], str]
"""Fills a template with what one match caught."""


def fill_glob(captures: Sequence[str]) -> Fill:
    """`$1_x` refers to `1_x`, which nothing is called: it is empty, as every unknown reference."""

    def find(reference: re.Match[str]) -> str:
        number = int(reference[1]) if reference[1].isdecimal() and len(reference[1]) < 5 else 0
        return captures[number - 1] if 1 <= number <= len(captures) else ""

    return lambda template: GLOB_REFERENCE.sub(find, template)


def fill_regex(match: Caught) -> Fill:
    """As Go expands templates: the longest name counts, `$$` is a dollar, unknown groups are empty."""

    def find(reference: re.Match[str]) -> str:
        name = reference[1] or reference[2]
        if not name:
            return "$"
        if NUMBER.match(name):
            return (match[int(name)] or "") if int(name) <= len(match.groups()) else ""
        return match.groupdict().get(name) or ""

    return lambda template: REGEX_REFERENCE.sub(find, template)

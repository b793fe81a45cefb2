"""AirflowNameResolver and label values with `$1`, `${1}` or (regular expressions only) `${group}` in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from exporter.sources.statsd.mapping.regex import RegexMatch, RegexPattern

GLOB_REFERENCE = re.compile(r"\$\{?([a-zA-Z0-9_$]+)\}?")
REGEX_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))", re.ASCII)

NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,3})\Z")

Fill = Callable[[str], str]
"""Fills a template with what one match caught."""


def fill_glob(captures: Sequence[str]) -> Fill:
    """`$1_x` refers to `1_x`, which nothing is called: it is empty, as every unknown reference."""
    many = len(captures)

    def fill(template: str) -> str:
        parts, lone = read_glob_template(template)
        if lone:
            return captures[lone - 1] if lone <= many else ""
        return "".join([
            part if isinstance(part, str) else captures[part - 1] if 1 <= part <= many else "" for part in parts
        ])  # fmt: skip

    return fill


@lru_cache(maxsize=10_000)
def read_glob_template(template: str) -> tuple[tuple[str | int, ...], int]:
    """A template's texts and the numbers of what it refers to, 0 for nothing; and the number, if it is only that."""
    pieces = GLOB_REFERENCE.split(template)
    parts = tuple(number_glob(piece) if place % 2 else piece for place, piece in enumerate(pieces))
    only = len(parts) == 3 and not parts[0] and not parts[2]
    return parts, parts[1] if only and isinstance(parts[1], int) else 0


def number_glob(reference: str) -> int:
    return int(reference) if reference.isdecimal() and len(reference) < 5 else 0


def list_empty_glob_references(template: str, stars: int) -> list[str]:
    """References to what no star catches."""
    caught = {str(number) for number in range(1, stars + 1)}
    return [name for name in GLOB_REFERENCE.findall(template) if name.lstrip("0") not in caught]


def list_empty_regex_references(template: str, pattern: RegexPattern) -> list[str]:
    """References to what is no group."""
    groups = {str(number) for number in range(pattern.groups + 1)} | set(pattern.groupindex)
    names = [braced or bare for braced, bare in REGEX_REFERENCE.findall(template)]
    return [name for name in names if name and name not in groups]


def fill_regex(match: RegexMatch) -> Fill:
    """As Go expands templates: the longest name counts, `$$` is a dollar, unknown groups are empty."""

    def find(reference: re.Match[str]) -> str:
        name = reference[1] or reference[2]
        if not name:
            return "$"
        if NUMBER.match(name):
            return (match[int(name)] or "") if int(name) <= len(match.groups()) else ""
        return match.groupdict().get(name) or ""

    return lambda template: REGEX_REFERENCE.sub(find, template)

"""Fills names and label values that contain `$1`, `${1}` or (regular expressions only) `${group}`."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from exporter.sources.statsd.mapping.regex import RegexMatch, RegexPattern

GLOB_REFERENCE = re.compile(r"\$\{?([a-zA-Z0-9_$]+)\}?")
REGEX_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))", re.ASCII)

NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,3})\Z")

Fill = Callable[[str], str]
"""Fills a template with what one match captured."""


def fill_glob(captures: Sequence[str]) -> Fill:
    """Fills templates of a glob. Unknown references are empty: `$1_x` refers to `1_x`, which is none."""
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
    """The texts and numbers (0: unknown) that a template consists of, and its number if it is only one reference."""
    pieces = GLOB_REFERENCE.split(template)
    parts = tuple(number_glob(piece) if place % 2 else piece for place, piece in enumerate(pieces))
    only = len(parts) == 3 and not parts[0] and not parts[2]
    return parts, parts[1] if only and isinstance(parts[1], int) else 0


def number_glob(reference: str) -> int:
    """The number of a reference; 0 if it is not a number."""
    return int(reference) if reference.isdecimal() and len(reference) < 5 else 0


def list_empty_glob_references(template: str, stars: int) -> list[str]:
    """References to stars that do not exist."""
    caught = {str(number) for number in range(1, stars + 1)}
    return [name for name in GLOB_REFERENCE.findall(template) if name.lstrip("0") not in caught]


def list_empty_regex_references(template: str, pattern: RegexPattern) -> list[str]:
    """References to groups that do not exist."""
    groups = {str(number) for number in range(pattern.groups + 1)} | set(pattern.groupindex)
    names = [braced or bare for braced, bare in REGEX_REFERENCE.findall(template)]
    return [name for name in names if name and name not in groups]


def fill_regex(match: RegexMatch) -> Fill:
    """Fills templates as Go does: the longest name counts, `$$` is a dollar, unknown groups are empty."""

    def find(reference: re.Match[str]) -> str:
        name = reference[1] or reference[2]
        if not name:
            return "$"
        if NUMBER.match(name):
            return (match[int(name)] or "") if int(name) <= len(match.groups()) else ""
        return match.groupdict().get(name) or ""

    return lambda template: REGEX_REFERENCE.sub(find, template)

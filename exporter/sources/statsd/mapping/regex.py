"""Regular expressions of mapping files.

With the extra `regex` they are RE2's, as in statsd_exporter: the same syntax, and a matching time that grows linearly
with the length of the name. Without it they are Python's. Then names must be short, and nested repetition is rejected,
because its matching time can double with each character.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Protocol

HAS_RE2 = find_spec("re2") is not None
"""Whether the extra is installed. It is imported only when it is needed, because it takes 2.5 MB."""
MAX_NAME_LENGTH = 65_535 if HAS_RE2 else 250
"""Longer names match no regular expression. Airflow sends no names longer than 250 characters."""
NESTED = re.compile(r"[*+}]\??\)+(?:[*+]|\{[0-9]+,)")
"""A repeated group that ends with a repetition, as in `(a+)+`."""


class RegexMatch(Protocol):
    """What a regular expression captured of a name."""

    def __getitem__(self, group: int | str, /) -> str | None: ...
    def groups(self) -> tuple[str | None, ...]: ...
    def groupdict(self) -> dict[str, str | None]: ...


class RegexPattern(Protocol):
    """A compiled regular expression."""

    @property
    def groups(self) -> int: ...
    @property
    def groupindex(self) -> Mapping[str, int]: ...
    def search(self, string: str, /) -> RegexMatch | None: ...


class PatternError(ValueError):
    """A text is not a valid regular expression; the message says why."""


def compile_pattern(text: str) -> RegexPattern:
    """Compile with RE2 if it is installed, otherwise with Python's `re`. Raises PatternError."""
    return compile_re2(text) if HAS_RE2 else compile_python(text)


def compile_re2(text: str) -> RegexPattern:
    """Compile with RE2. Raises PatternError."""
    import re2  # type: ignore[import-not-found, import-untyped, unused-ignore] # noqa: PLC0415 - see HAS_RE2

    options = re2.Options()
    options.log_errors = False
    try:
        pattern: RegexPattern = re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0] if error.args else "it is too large"
        raise PatternError(reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)) from error
    return pattern


def compile_python(text: str) -> RegexPattern:
    """Compile with Python's `re`. Raises PatternError for what it cannot match safely."""
    if "[[:" in text or NESTED.search(text):
        raise PatternError("classes such as [:alpha:] and nested repetition need RE2: install the extra `regex`")
    try:
        return re.compile(text, re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise PatternError(str(error)) from error

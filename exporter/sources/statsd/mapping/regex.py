"""Regular expressions of mapping files.

They are RE2's, as in statsd_exporter, where the extra `regex` is installed: the same syntax, and a time that only grows
with the length of a name. Otherwise they are Python's, for which a name must be short and nested repetition is refused:
its time could double with each character.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Protocol

HAS_RE2 = find_spec("re2") is not None
"""Whether the optional extra is there. It is loaded only where it is needed: it takes 2.5 MB."""
MAX_NAME_LENGTH = 65_535 if HAS_RE2 else 250
"""Longer names match no regular expression; Airflow sends none longer than 250 characters."""
NESTED = re.compile(r"[*+}]\??\)+(?:[*+]|\{[0-9]+,)")
"""A repetition that ends a group which is repeated itself, as in `(a+)+`."""


class RegexMatch(Protocol):
    """What a regular expression caught of a name."""

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
    """A text is no regular expression; the message says why."""


def compile_pattern(text: str) -> RegexPattern:
    """Raises PatternError."""
    return compile_re2(text) if HAS_RE2 else compile_python(text)


def compile_re2(text: str) -> RegexPattern:
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
    if "[[:" in text or NESTED.search(text):
        raise PatternError("classes such as [:alpha:] and nested repetition need RE2: install the extra `regex`")
    try:
        return re.compile(text, re.ASCII)
    except (re.error, RecursionError, OverflowError) as error:
        raise PatternError(str(error)) from error

"""Reads typed values of a mapping file, and collects all problems instead of stopping at the first."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

DURATION = re.compile(r"\+?(?:(?:[0-9]{1,12}\.?[0-9]{0,9}|\.[0-9]{1,9})(?:ns|us|µs|ms|s|m|h))+\Z")
PART = re.compile(r"([0-9.]+)(ns|us|µs|ms|s|m|h)")
SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
FLAGS = {**dict.fromkeys(("true", "yes", "on", "y"), True), **dict.fromkeys(("", "false", "no", "off", "n"), False)}
MAX_PROBLEMS = 200
"""Problems that are reported at once."""


class SectionReader:
    """One section of a file. An invalid value is reported, and read as if it were missing."""

    def __init__(self, content: Any, place: str = "", problems: list[str] | None = None) -> None:  # noqa: ANN401
        self.place = place
        self.problems = [] if problems is None else problems
        self._content: dict[str, Any] = content if isinstance(content, dict) else {}
        if content and not isinstance(content, dict):
            self.add_problem("", "must have keys and values")

    def add_problem(self, key: str, problem: str) -> None:
        """Record a problem with its place."""
        line = f"{'.'.join(filter(None, (self.place, key[:50]))) or 'file'}: {problem}"
        if len(self.problems) < MAX_PROBLEMS and line not in self.problems:
            self.problems.append(line)

    def list_keys(self) -> list[str]:
        """The keys of the section."""
        return list(map(str, self._content))

    def allow(self, *keys: str) -> None:
        """Report every other key, because it would have no effect."""
        for key in self.list_keys():
            if key not in keys:
                self.add_problem(key, f"is not known here; known are {', '.join(keys)}")

    def value(self, key: str) -> Any:  # noqa: ANN401 - as the file has it
        return self._content.get(key)

    def section(self, key: str) -> SectionReader:
        """A subsection; empty if it is missing."""
        return SectionReader(self.value(key), ".".join(filter(None, (self.place, key))), self.problems)

    def sections(self, key: str) -> Iterator[SectionReader]:
        """The subsections in a list."""
        for index, content in enumerate(self._list(key)):
            yield SectionReader(content, f"{'.'.join(filter(None, (self.place, key)))}[{index}]", self.problems)

    def text(self, key: str) -> str:
        value = self.value(key) or ""
        if not isinstance(value, str):
            self.add_problem(key, "must be a text")
            return ""
        return value

    def choice(self, key: str, *choices: str) -> str:
        """One of these texts; empty if it is another."""
        text = self.text(key)
        if text not in choices:
            self.add_problem(key, f"is {text[:50]!r}, not one of {', '.join(filter(None, choices))}")
            return ""
        return text

    def flag(self, key: str) -> bool:
        text = self.text(key).lower()
        if text not in FLAGS:
            self.add_problem(key, f"is {text[:50]!r}, not true or false")
        return FLAGS.get(text, False)

    def number(self, key: str, otherwise: float) -> float:
        text = self.text(key)
        return self._number(key, text) if text else otherwise

    def whole(self, key: str, most: int = 999_999_999) -> int:
        text = self.text(key)
        if text and not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) <= most):
            self.add_problem(key, f"is {text[:50]!r}, not a whole number of at most {most}")
            return 0
        return int(text or 0)

    def duration(self, key: str) -> float:
        """A duration in Go's format, in seconds."""
        text = self.text(key)
        if text in ("", "0"):
            return 0.0
        if not DURATION.match(text):
            self.add_problem(key, f"is {text[:50]!r}, not a duration: write it with its unit, as in 30s, 5m or 1h30m")
            return 0.0
        return sum(float(number) * SECONDS[unit] for number, unit in PART.findall(text))

    def buckets(self, key: str) -> tuple[float, ...]:
        """Ascending upper bounds, without the last one if it is infinite."""
        bounds = tuple(self._bound(key, item) for item in self._list(key))
        if bounds and bounds[-1] == math.inf:
            bounds = bounds[:-1]
        if not all(map(math.isfinite, bounds)) or any(low >= high for low, high in pairwise(bounds)):
            self.add_problem(key, "must ascend, each bound higher than the one before it")
            return ()
        return bounds

    def quantiles(self, key: str) -> tuple[tuple[float, float], ...]:
        """The quantiles with their errors, sorted; if one is given twice, the last counts."""
        return tuple(sorted(dict(part.quantile() for part in self.sections(key)).items()))

    def quantile(self) -> tuple[float, float]:
        """One quantile with its maximum error."""
        self.allow("quantile", "error")
        quantile, error = self.number("quantile", 0.0), self.number("error", 0.0)
        if not (0 <= quantile <= 1 and 0 <= error <= 1):
            self.add_problem("", "a quantile and its error lie between 0 and 1")
        return quantile, error

    def _list(self, key: str) -> list[Any]:
        value = self.value(key) or []
        if not isinstance(value, list):
            self.add_problem(key, "must be a list")
            return []
        return value

    def _bound(self, key: str, item: object) -> float:
        if isinstance(item, str) and item.lower() in (".inf", "+.inf"):
            return math.inf
        return self._number(key, item if isinstance(item, str) else "")

    def _number(self, key: str, text: str) -> float:
        if not NUMBER.match(text) or math.isinf(float(text)):
            self.add_problem(key, f"is {text[:50]!r}, not a number")
            return 0.0
        return float(text)

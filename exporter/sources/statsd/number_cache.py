"""Values of StatsD lines as numbers. Most values are short and repeated, so they are parsed once."""

from __future__ import annotations

import re

MAX_NUMBERS = 20_000
"""Numbers that are cached."""
MAX_NUMBER_BYTES = 6
"""Longer numbers are not cached: they are unlikely to be repeated."""
MAX_PLAIN_VALUE = 1e100
"""Larger values take the cold path, which checks that sums stay finite."""
EXPONENTIAL = re.compile(rb"[0-9]+\.?[0-9]*[eE][+-]?[0-9]+\Z")
"""A number as Python writes small ones: 1e-05."""


class NumberCache:
    """Plain numbers by their text."""

    def __init__(self) -> None:
        self._numbers: dict[bytes, float] = {}
        self.get = self._numbers.get
        """The number of a text; None if it is not cached."""

    def parse(self, raw: bytes) -> float | None:
        """The value, if it is a plain number that is not negative; None for all others, which take the cold path."""
        try:
            value = float(raw)
        except ValueError:
            return None
        # float() takes more than there is on the wire: blanks, signs, underscores, "nan".
        is_plain = raw.replace(b".", b"", 1).isdigit() or EXPONENTIAL.match(raw)
        if not is_plain or value >= MAX_PLAIN_VALUE:
            return None
        if len(raw) <= MAX_NUMBER_BYTES:
            value = int(raw) if raw.isdigit() else value
            if len(self._numbers) >= MAX_NUMBERS:
                self._numbers.clear()
            self._numbers[raw] = value
        return value

"""The single statements on which the database lately spent most of its time."""

from __future__ import annotations

import re
from collections.abc import Mapping

from exporter.metrics.catalogue import database
from exporter.metrics.family import Family, Labels
from exporter.sources.database.models import StatementTotals, subtract

MAX_STATEMENTS = 10
HALF_LIFE = 3600.0
"""Seconds after which the time of a statement counts half: so one that became slow is soon among the first ones, and
the ten change rarely."""
MAX_TEXT = 300
"""Characters of a text that are shown."""
NORMALIZED = re.compile(r"\s*\(*\s*(?:select|insert|replace|update|delete|with)\b", re.IGNORECASE)
"""Statements in whose texts the database replaces values; in others, such as CREATE ROLE, there may be a password."""
NOTHING = StatementTotals(0.0, 0.0, 0.0)


class Ranking:
    """Ranks statements by the time that was spent on them, of which the older counts less."""

    def __init__(self, interval: float, *, with_texts: bool) -> None:
        self._decay = 0.5 ** (interval / HALF_LIFE)
        self._with_texts = with_texts
        self._spent: dict[str, float] = {}
        self._texts: dict[str, str] = {}

    def update(
        self, statements: Mapping[str, StatementTotals], last: Mapping[str, StatementTotals], texts: Mapping[str, str]
    ) -> None:
        """Take a reading, with the one before it and the texts of new statements."""
        self._spent = {
            one: self._decay * self._spent.get(one, 0.0) + subtract(totals, last.get(one, NOTHING)).seconds
            for one, totals in statements.items()
        }
        if self._with_texts:
            kept = {one: text for one, text in self._texts.items() if one in statements}
            self._texts = kept | {one: shorten(text) for one, text in texts.items() if NORMALIZED.match(text)}

    def clear(self) -> None:
        """Forget the time that was spent: another server has another ranking."""
        self._spent.clear()

    def build_tables(
        self, statements: Mapping[str, StatementTotals], purposes: Mapping[str, str]
    ) -> dict[Family, dict[Labels, float]]:
        """The families of the first ten."""
        ranked = sorted(self._spent, key=lambda one: (-self._spent[one], one))[:MAX_STATEMENTS]
        labels = {one: (one, purposes.get(one, "other")) for one in ranked}
        return {
            database.TOP_SECONDS: {labels[one]: statements[one].seconds for one in ranked},
            database.TOP_CALLS: {labels[one]: statements[one].calls for one in ranked},
            database.TOP_INFO: {(*labels[one], self._texts[one]): 1 for one in ranked if one in self._texts},
        }


def shorten(text: str) -> str:
    """A text on one line."""
    return " ".join(text[: 2 * MAX_TEXT].split())[:MAX_TEXT]

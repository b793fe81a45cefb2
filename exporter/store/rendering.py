"""One pass over the store that renders it, whatever the format."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock

from exporter.metrics.family import Family
from exporter.store.store import FamilyTable, PersistentSeries, Series, list_sample_names

CHUNK_BYTES = 64 * 1024
"""Bytes that are rendered until other threads, and other connections of the web server, get their turn."""
BLOCK_LINES = 1000
"""Lines that are rendered while other scrapes wait."""
MAX_HISTOGRAM_TEXT = 16 * 1024 * 1024
"""Bytes of histograms' lines that are cached: those of about 200,000 lines."""


class End(bytes):
    """The type of END."""

    __slots__ = ()


PAUSE = b""
"""A chunk that means: there is nothing to send yet, but others should get their turn."""
END = End()
"""The last chunk; it is empty too."""

cache_lock = Lock()
"""Protects what series cache from other scrapes. A thread that changes a value does not need it."""


class Rendering:
    """One pass over the store; it collects the series that were rendered as 0 because they are not revealed.

    `encoded` counts native histograms that changed, since the last pause. `room` is how many bytes of histograms' lines
    it may still cache. Only a `complete` pass, over all families, caches:
    several passes over a part each would cache more together.
    """

    __slots__ = ("_hidden", "_reveal_all", "complete", "encoded", "room")

    def __init__(self, *, reveal_all: bool, complete: bool = True) -> None:
        self._reveal_all = reveal_all
        self._hidden: list[Series] = []
        self.complete = complete
        self.encoded = 0
        self.room = MAX_HISTOGRAM_TEXT if complete else 0

    def read(self, series: Series) -> list[float]:
        """The cells to render: those of the series, or zeros if it is not revealed."""
        if not (series.revealed or self._reveal_all):
            self._hidden.append(series)
            return [0] * len(series.cells)
        if isinstance(series, PersistentSeries):
            return series.saved if isinstance(series.saved, list) else [series.saved]
        value = series.value
        return value if isinstance(value, list) else series.cells

    def mark_exposed(self, now: float) -> None:
        """Note that the zeros were exposed, `now` in monotonic seconds."""
        for series in self._hidden:
            series.exposed_at = series.exposed_at or now


def split_blocks(table: FamilyTable, lines: int) -> Iterator[list[Series]]:
    """Yield the series of a table, with `lines` lines each, in blocks of about BLOCK_LINES lines."""
    step = max(1, BLOCK_LINES // lines)
    series = table.series
    for start in range(0, len(series), step):
        yield series[start : start + step]


def is_selected(family: Family, names: frozenset[str]) -> bool:
    """Whether a family, or one of its samples, is among the names; all are if there are none."""
    return not names or not names.isdisjoint((family.name, family.base_name, *list_sample_names(family)))

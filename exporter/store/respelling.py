"""Series that turn out to be of something whose id is spelled otherwise: they go on under the right labels."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from exporter.metrics.family import Family, Labels
from exporter.store.live_table import Live
from exporter.store.senders import Gauge
from exporter.store.store import Kept, Series

Spell = Callable[[tuple[str, ...], Labels], Labels]
"""The right label values, by the names of the labels and their values so far."""


def respell(live: Live, spell: Spell) -> list[Series]:
    """Move the series of one family to the labels that are right; returns those that are no longer exposed.

    Where there is one with these labels already, counts are added up, and of a gauge the other stays.
    """
    family, known = live.table.family, live.known
    moved: dict[int, Series] = {}
    for old in list(known.values()):
        labels = spell(family.labels, old.labels)
        if labels == old.labels:
            continue
        del known[old.labels]
        live.shared.discard(old.labels)
        seen = live.seen.pop(old.labels, None)
        new = known.get(labels)
        if new is None:
            new = known[labels] = copy(family, labels, old)
            if seen is not None:
                live.seen[new.labels] = seen
            if isinstance(new, Gauge) and len(new.shares) > 1:
                live.shared.add(new.labels)
        else:
            add(new, old)
        moved[id(old)] = new
    if not moved:
        return []
    gone = [series for series in live.table.series if id(series) in moved]
    live.table.series = list(known.values())
    waiting = [moved.get(id(series), series) for series in live.hidden]
    live.hidden = deque(dict.fromkeys(series for series in waiting if not series.shown))
    return gone


def copy(family: Family, labels: Labels, old: Series) -> Series:
    """The same series with other labels; what was exposed under the old ones was exposed."""
    if isinstance(old, Gauge):
        gauge = Gauge(labels, family.merge)
        gauge.shares, gauge.seen, gauge.value = old.shares, old.seen, old.value
        return gauge
    series = type(old)(labels, old.cells, shown=old.shown)
    series.exposed_at = old.exposed_at
    if isinstance(series, Kept) and isinstance(old, Kept):
        series.kept = old.kept
    return series


def add(new: Series, old: Series) -> None:
    """Let a series go on with what another one counted. What had been shown is shown at once."""
    if isinstance(new, Gauge):
        return
    new.value = add_up(new.value, old.value)
    if isinstance(new, Kept) and isinstance(old, Kept):
        new.kept = add_up(new.kept, old.kept)
    new.shown = new.shown or old.shown


def add_up(one: float | list[float], other: float | list[float]) -> float | list[float]:
    """The sum of two values of one family, cell by cell for a histogram."""
    if isinstance(one, list) and isinstance(other, list):
        return [left + right for left, right in zip(one, other, strict=True)]
    return one if isinstance(one, list) or isinstance(other, list) else one + other

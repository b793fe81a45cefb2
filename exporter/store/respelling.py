"""Moves series to corrected labels, once it is known how an id in a StatsD name is really spelled."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from exporter.metrics.family import Family, Labels
from exporter.store.live_table import LiveTable
from exporter.store.senders import GaugeSeries
from exporter.store.store import PersistentSeries, Series

LabelCorrection = Callable[[tuple[str, ...], Labels], Labels]
"""Returns the correct label values for label names and the values so far."""


def respell(live: LiveTable, correct: LabelCorrection) -> list[Series]:
    """Move the series of one family to their correct labels; returns the series that are no longer exposed.

    If a series with the correct labels exists, counts are added to it, and a gauge keeps its value.
    """
    family, known = live.table.family, live.known
    moved: dict[int, Series] = {}
    for old in list(known.values()):
        labels = correct(family.labels, old.labels)
        if labels == old.labels:
            continue
        del known[old.labels]
        live.shared.discard(old.labels)
        seen = live.seen.pop(old.labels, None)
        new = known.get(labels)
        if new is None:
            new = known[labels] = copy_series(family, labels, old)
            if seen is not None:
                live.seen[new.labels] = seen
            if isinstance(new, GaugeSeries) and len(new.senders) > 1:
                live.shared.add(new.labels)
        else:
            add_series(new, old)
        moved[id(old)] = new
    if not moved:
        return []
    gone = [series for series in live.table.series if id(series) in moved]
    live.table.series = list(known.values())
    hidden = [moved.get(id(series), series) for series in live.hidden]
    live.hidden = deque(dict.fromkeys(series for series in hidden if not series.revealed))
    return gone


def copy_series(family: Family, labels: Labels, old: Series) -> Series:
    """The same series with other labels; it counts as exposed if the old one was."""
    if isinstance(old, GaugeSeries):
        gauge = GaugeSeries(labels, family.merge)
        gauge.senders, gauge.seen, gauge.value = old.senders, old.seen, old.value
        gauge.note_sole()
        return gauge
    series = type(old)(labels, old.cells, revealed=old.revealed)
    series.exposed_at = old.exposed_at
    if isinstance(series, PersistentSeries) and isinstance(old, PersistentSeries):
        series.saved = old.saved
    return series


def add_series(new: Series, old: Series) -> None:
    """Add the counts of another series to a series; if either is revealed, the sum is revealed."""
    if isinstance(new, GaugeSeries):
        return
    new.value = add_values(new.value, old.value)
    if isinstance(new, PersistentSeries) and isinstance(old, PersistentSeries):
        new.saved = add_values(new.saved, old.saved)
    new.revealed = new.revealed or old.revealed


def add_values(one: float | list[float], other: float | list[float]) -> float | list[float]:
    """The sum of two values of one family; of histograms, cell by cell."""
    if isinstance(one, list) and isinstance(other, list):
        return [left + right for left, right in zip(one, other, strict=True)]
    return one if isinstance(one, list) or isinstance(other, list) else one + other

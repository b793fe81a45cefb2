"""Picks the labels of a series from a list of texts, as fast as Python can."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from exporter.metrics.family import Labels

GetLabels = Callable[[Sequence[str]], Labels]


def build_label_getter(places: Sequence[int]) -> GetLabels:
    """A function that returns the elements at these places as a tuple."""
    if not places:
        return lambda _: ()
    getter: Any = itemgetter(*places)
    pick: GetLabels = getter if len(places) > 1 else lambda cells: (getter(cells),)
    return pick

"""How much time counts as waited between two readings."""

from __future__ import annotations

from collections.abc import Mapping

from exporter.metrics.family import Labels

MAX_GAP_SECONDS = 900.0
"""Of a longer time without a reading only this much is counted as waited."""

Counts = Mapping[Labels, int]
"""How many wait, by the labels of a counter."""


def count_waited(before: Counts, now: Counts, seconds: float, usual: float) -> dict[Labels, float]:
    """Seconds waited since the last reading, by what waits now, and what waited then.

    After at most the `usual` time between readings, what waits now counts as if it had waited all the time. After a
    longer one only as many count as waited at both ends, for a limited time: what happened between is not known.
    """
    if seconds <= usual:
        return {labels: count * seconds for labels, count in now.items()}
    counted = min(seconds, MAX_GAP_SECONDS)
    both = {labels: min(count, before.get(labels, 0)) for labels, count in now.items()}
    return {labels: count * counted for labels, count in both.items() if count}

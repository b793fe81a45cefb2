"""Native histograms: counts in buckets whose bounds grow by a constant factor, only those that are not empty.

A bucket with index i has the values above factor^(i-1) up to factor^i. The factor is 2^(1/8), about 1.09, to begin with
(Prometheus' schema 3). A histogram with more than MAX_BUCKETS buckets merges them in pairs: its factor is squared.

In a series' cells they follow the classic buckets and precede the sum: how often buckets were merged, the count of
zeros, the indexes in ascending order, and their counts. So they are saved and restored with all other cells.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence

SCHEMA = 3
"""The schema of a new histogram: its factor is 2 ** (2 ** -SCHEMA)."""
MAX_BUCKETS = 100
"""Buckets of one histogram: enough for 1 ms to 5 s with the first factor, and for 1 ms to 9 h after one merge."""
ZERO_THRESHOLD = 2.0**-20
"""Values up to it (about a millionth) are counted as zero."""
STEPS = tuple(2.0 ** (step / 2**SCHEMA - 1) for step in range(2**SCHEMA))
"""Bounds of the buckets between 0.5 and 1."""
EMPTY = (0, 0)
"""The cells of a native histogram without observations."""


def observe(cells: list[float], start: int, value: float, times: float = 1) -> None:
    """Count a value; `start` is the number of cells before those of the native histogram, and after them is the sum."""
    if value <= ZERO_THRESHOLD:
        cells[start + 1] += times
        return
    first = start + 2
    count = (len(cells) - 1 - first) // 2
    index = find_index(value, int(cells[start]))
    place = bisect_left(cells, index, first, first + count)
    if place < first + count and cells[place] == index:
        cells[place + count] += times
        return
    cells.insert(place + count, times)
    cells.insert(place, index)
    if count >= MAX_BUCKETS:
        merge_pairs(cells, start)


def find_index(value: float, merged: int) -> int:
    """The index of the bucket of a positive value, after `merged` merges."""
    fraction, exponent = math.frexp(value)
    index = bisect_left(STEPS, fraction) + (exponent - 1) * len(STEPS)
    for _ in range(merged):
        index = (index + 1) >> 1
    return index


def merge_pairs(cells: list[float], start: int) -> None:
    """Merge the buckets in pairs, once."""
    merged: dict[int, float] = {}
    for index, count in list_buckets(cells[start:-1]):
        wider = (index + 1) >> 1
        merged[wider] = merged.get(wider, 0) + count
    cells[start:-1] = [cells[start] + 1, cells[start + 1], *merged, *merged.values()]


def list_buckets(native: Sequence[float]) -> list[tuple[int, float]]:
    """The index and count of each bucket, in ascending order; without those of a histogram that is exposed as zero."""
    count = (len(native) - 2) // 2
    return [(int(index), many) for index, many in zip(native[2 : 2 + count], native[2 + count :], strict=True) if many]


def add_native(cells: Sequence[float], bounds: Sequence[float]) -> list[float]:
    """Cells of a classic histogram with a native one: what it counted so far is put at the upper bounds of its buckets.

    Only increases are looked at, so this moves no quantile; but count and sum continue.
    """
    *counts, total = cells
    grown = [*counts, *EMPTY, total]
    beyond = bounds[-1] * 2 if bounds else total / max(1, counts[-1])
    for bound, count in zip((*bounds, beyond), counts, strict=True):
        if count:
            observe(grown, len(counts), bound, count)
    return grown


def remove_native(cells: Sequence[float], bounds: Sequence[float]) -> list[float]:
    """The cells of the classic histogram alone."""
    return [*cells[: len(bounds) + 1], cells[-1]]

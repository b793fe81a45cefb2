"""Whether a measured value grows: a straight line through the means of blocks of samples, with its standard error.

Samples that follow each other closely are not independent, so each block counts as one value.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

BLOCKS = 12
SURE = 3.0
"""How many standard errors a slope must be above what is allowed."""


class Trend(NamedTuple):
    """The mean of a value, its slope per day, and the standard error of the slope."""

    mean: float
    slope: float
    error: float

    def grows(self, allowed: float) -> bool:
        """Whether the value certainly grows by more than this fraction of its mean a day."""
        return self.slope - SURE * self.error > allowed * self.mean

    def is_known(self, allowed: float) -> bool:
        """Whether the error is small enough to see growth by three times this fraction."""
        return SURE * self.error <= 3 * allowed * self.mean


def fit(times: Sequence[float], values: Sequence[float], day: float, blocks: int = BLOCKS) -> Trend:
    """The trend of values that were measured at these times; `day` is how much time a day is."""
    xs, ys = blocks_of(times, blocks), blocks_of(values, blocks)
    x_mean, y_mean = fmean(xs), fmean(ys)
    spread = sum((x - x_mean) ** 2 for x in xs)
    slope = sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / spread
    rest = sum((y - y_mean - slope * (x - x_mean)) ** 2 for x, y in zip(xs, ys, strict=True))
    error = math.sqrt(rest / (len(xs) - 2) / spread)
    return Trend(y_mean, slope * day, error * day)


def blocks_of(values: Sequence[float], blocks: int) -> list[float]:
    """The means of this many blocks of equal length; what does not fill the last one is left out of the first."""
    size = len(values) // blocks
    if size < 1:
        raise ValueError(f"{len(values)} samples are too few for {blocks} blocks")
    first = len(values) - size * blocks
    return [fmean(values[first + size * number : first + size * (number + 1)]) for number in range(blocks)]

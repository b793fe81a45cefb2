"""How long the readers of a source pause, so that their reads together take a limited part of the time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class ReaderLoad(NamedTuple):
    """What one reader asks for, in seconds."""

    interval: float
    """As configured."""
    duration: float
    """What a read typically takes."""

    @property
    def share(self) -> float:
        """The part of the time that its reads take at this interval."""
        return self.duration / self.interval


def compute_pauses(loads: Mapping[str, ReaderLoad], budget: float) -> dict[str, float]:
    """The seconds from the end of a read to the next, by reader: its interval, or more if all take over `budget`."""
    factor = compute_stretch([load.share for load in loads.values()], budget)
    return {name: load.interval * max(1.0, factor * math.sqrt(load.share)) for name, load in loads.items()}


def compute_stretch(shares: Iterable[float], budget: float) -> float:
    """How much longer intervals become, for each reader times the root of its share; 0 if all stay within `budget`.

    With the root the sum of the stretches is the lowest that keeps to the budget. Equal shares for all slow readers
    would make the slowest wait for an hour where each read takes 30 times as long as usual.
    """
    ascending = sorted(shares)
    roots = sum(map(math.sqrt, ascending))
    for share in ascending:
        factor = roots / budget
        if factor * math.sqrt(share) > 1:
            return factor
        # Its interval stays as it is.
        budget -= share
        roots -= math.sqrt(share)
    return 0.0

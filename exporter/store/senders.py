"""What one series is made of beside its value: each sender's share of a gauge, the window of a summary."""

from __future__ import annotations

import math
import random
from array import array
from collections import deque

from exporter.metrics.family import Family, Labels, Merge
from exporter.store.store import Series

SENDERS = 64
"""How many senders of one gauge are told apart; the one that was silent longest makes room."""
PERIODS = 3
"""After how many of its own periods a silent sender's share is gone."""
SHORTEST = 2.0
"""The least silence in seconds after which a share is gone."""
UNKNOWN = 20.0
"""The silence allowed in seconds to a sender whose period is not known yet, that was kept waiting once, or that another
one may have replaced.
"""
BURST = 0.5
"""Gaps below this many seconds lie within one burst and say nothing of the period."""
SAMPLES = 1_000
"""How many values each part of a window keeps; more are thinned out at random."""


class Share:
    """What one sender said last, and when (monotonic seconds)."""

    __slots__ = ("gap", "period", "rival", "seen", "value")

    def __init__(self, value: float, seen: float) -> None:
        self.value = value
        self.seen = seen
        self.gap = 0.0
        """Seconds between the last two times that it was said."""
        self.period = 0.0
        """The longest gap of late between two times that it was said, in seconds; 0 while it is not known."""
        self.rival = math.inf
        """When the first of the senders came that were not there yet when it was said last."""

    def come(self, now: float) -> None:
        """It is said again. A single long gap is no period: who was kept waiting once may move soon after."""
        gap = now - self.seen
        if gap >= BURST:
            self.period = max(min(gap, max(self.gap, UNKNOWN / PERIODS)), self.period * 0.9)
            self.gap = gap
        self.seen = now
        self.rival = math.inf

    def expires(self, ttl: float) -> float:
        """When the share is gone unless more comes; while others live. A new one may be this one, at a new address."""
        limit = max(SHORTEST, PERIODS * self.period) if self.period else UNKNOWN
        return min(self.seen + (min(limit, ttl) if ttl else limit), self.rival + UNKNOWN)

    def lapses(self, ttl: float) -> float:
        """When a share is gone that comes at regular times; one that came only once has the whole `ttl` seconds."""
        period = max(self.period, self.gap)
        return self.seen + (min(ttl, max(UNKNOWN, PERIODS * period)) if period else ttl)


class Gauge(Series):
    """A gauge of several senders, each known by the bytes of its address."""

    __slots__ = ("merge", "seen", "shares")

    def __init__(self, labels: Labels, merge: Merge) -> None:
        super().__init__(labels, [0])
        self.merge = merge
        self.shares: dict[bytes, Share] = {}
        self.seen = 0.0

    def set(self, sender: bytes, value: float, now: float, *, relative: bool = False) -> bool:
        """A sender says what its share is, or by how much it moved.

        Returns whether that was taken: its share stays what it was where a sum would leave the finite.
        """
        share = self.shares.get(sender)
        if share is None:
            share = self._admit(sender, now)
        share.come(now)
        self.seen = now
        before, share.value = share.value, share.value + value if relative else value
        several = len(self.shares) > 1
        if (relative and not may_move(before, value)) or (several and self._leaves_finite()):
            share.value = before
            return False
        self.value = self.combine() if several else share.value
        return True

    def _leaves_finite(self) -> bool:
        """Whether a sum of the shares, or of some of them, is no number or endless though none of them is."""
        if self.merge is not Merge.SUM:
            return False
        endless = {share.value for share in self.shares.values() if math.isinf(share.value)}
        total = sum(abs(share.value) for share in self.shares.values() if math.isfinite(share.value))
        return len(endless) > 1 or not math.isfinite(total)

    def _admit(self, sender: bytes, now: float) -> Share:
        if len(self.shares) >= SENDERS:
            del self.shares[min(self.shares, key=lambda one: self.shares[one].seen)]
        for other in self.shares.values():
            other.rival = min(other.rival, now)
        share = self.shares[sender] = Share(0, now)
        return share

    def lapses(self, ttl: float) -> float:
        """When a periodic series is gone: some of its periods after it was sent, at most `ttl` seconds."""
        return max(share.lapses(ttl) for share in self.shares.values()) if self.shares else math.inf

    def combine(self) -> float:
        """One value of all shares."""
        if self.merge is Merge.SUM:
            return sum(share.value for share in self.shares.values())
        if self.merge is Merge.MAXIMUM:
            return max(share.value for share in self.shares.values())
        return max(self.shares.values(), key=lambda share: share.seen).value

    def prune(self, now: float, ttl: float) -> None:
        """Let go of silent senders; the last one stays as long as the series."""
        newest = max(self.shares, key=lambda one: self.shares[one].seen)
        for sender, share in list(self.shares.items()):
            if sender != newest and share.expires(ttl) < now:
                del self.shares[sender]
        self.value = self.combine()


class Window(Series):
    """A summary: sum and count of all time, quantiles of the last `max_age` seconds, worked out when read.

    The window moves in `age_buckets` steps. One thread adds, any may read.
    """

    __slots__ = ("_count", "_ends", "_family", "_parts", "_seen", "_step", "_sum", "kept", "row")

    def __init__(self, labels: Labels, family: Family, now: float) -> None:
        super().__init__(labels, [0])
        # NaN is what no kept text says: the quantiles are worked out at each scrape.
        self.value = math.nan
        self._family = family
        self._step = family.max_age / family.age_buckets
        self._parts: deque[array[float]] = deque([array("d")], maxlen=family.age_buckets)
        self._ends = now + self._step
        self._sum: float = 0
        self._count: float = 0
        self._seen = 0
        self.kept: float | list[float] | None = None
        """Sum and count that the state file has; they are exposed where there is one."""
        self.row = 0
        """The row in the state file; 0 for none."""

    def observe(self, value: float, weight: float, now: float) -> bool:
        """Take a value that stands for `weight` of them; returns whether the sum could take it."""
        self.turn(now)
        total = self._sum + value * weight
        if not math.isfinite(total):
            return False
        self._sum = total
        self._count += weight
        newest = self._parts[-1]
        self._seen += 1
        if len(newest) < SAMPLES:
            newest.append(value)
        elif (place := random.randrange(self._seen)) < SAMPLES:  # noqa: S311 - a sample, no secret
            newest[place] = value
        return True

    def turn(self, now: float) -> None:
        """Let what is too old drop out."""
        if now < self._ends:
            return
        for _ in range(min(self._family.age_buckets, 1 + int((now - self._ends) / self._step))):
            self._parts.append(array("d"))
        self._ends = now + self._step
        self._seen = 0

    @property
    def cells(self) -> list[float]:
        """The quantiles (NaN of an empty window), then sum and count."""
        values = sorted(value for part in list(self._parts) for value in list(part))
        wanted = (quantile for quantile, _ in self._family.objectives)
        sums = self.kept if isinstance(self.kept, list) else [self._sum, self._count]
        return [*(pick(values, quantile) for quantile in wanted), *sums]

    @cells.setter
    def cells(self, cells: list[float]) -> None:
        """What the base class sets at first: nothing was observed."""

    def take(self) -> list[float]:
        """Sum and count as they are now."""
        return [self._sum, self._count]

    def resume(self, sums: list[float]) -> None:
        """Go on with the sum and count of an earlier process; the window begins empty."""
        self._sum, self._count = sums
        self.kept = [*sums]


def may_move(before: float, by: float) -> bool:
    """Whether a share that is moved stays a number, and finite where both are."""
    after = before + by
    return math.isfinite(after) or (math.isinf(after) and (math.isinf(before) or math.isinf(by)))


def pick(values: list[float], quantile: float) -> float:
    """The value of that rank in an ascending list."""
    return values[max(0, math.ceil(quantile * len(values)) - 1)] if values else math.nan

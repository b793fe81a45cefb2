"""Series with more than one value: a gauge that several senders set, a summary with a sliding window."""

from __future__ import annotations

import math
import random
from array import array
from collections import deque

from exporter.metrics.family import Family, Labels, Merge
from exporter.store.store import Series

MAX_SENDERS = 64
"""Senders that one gauge distinguishes; a new one replaces the sender that was silent longest."""
EXPIRY_PERIODS = 3
"""A sender's value expires after this many of its sending periods without a new value."""
MIN_EXPIRY = 2.0
"""Seconds that a value lives at least."""
DEFAULT_EXPIRY = 20.0
"""Seconds that a value lives if its sender's period is not known, was interrupted once, or if the sender may have been
replaced by a new one."""
BURST_GAP = 0.5
"""Shorter gaps (seconds) are within one burst and do not show the period."""
MAX_SAMPLES = 1_000
"""Values that each part of a summary's window keeps; of more, a random sample."""


class SenderValue:
    """The last value of one sender, and when it was sent (monotonic seconds)."""

    __slots__ = ("gap", "period", "replaced_by_at", "seen", "value")

    def __init__(self, value: float, seen: float) -> None:
        self.value = value
        self.seen = seen
        self.gap = 0.0
        """Seconds between the last two values."""
        self.period = 0.0
        """The longest recent gap between two values, in seconds; 0 while it is not known."""
        self.replaced_by_at = math.inf
        """When the first new sender appeared after the last value: it may be the same process at a new address."""

    def update(self, now: float) -> None:
        """Note that a value was sent. One long gap alone does not raise the period: it may have been a delay."""
        gap = now - self.seen
        if gap >= BURST_GAP:
            self.period = max(min(gap, max(self.gap, DEFAULT_EXPIRY / EXPIRY_PERIODS)), self.period * 0.9)
            self.gap = gap
        self.seen = now
        self.replaced_by_at = math.inf

    def expires(self, ttl: float) -> float:
        """When the value expires if nothing more is sent, while other senders are active (monotonic seconds)."""
        limit = max(MIN_EXPIRY, EXPIRY_PERIODS * self.period) if self.period else DEFAULT_EXPIRY
        return min(self.seen + (min(limit, ttl) if ttl else limit), self.replaced_by_at + DEFAULT_EXPIRY)

    def expires_periodic(self, ttl: float) -> float:
        """When the value of a periodic gauge expires; after a single value only the `ttl` (seconds) counts."""
        period = max(self.period, self.gap)
        return self.seen + (min(ttl, max(DEFAULT_EXPIRY, EXPIRY_PERIODS * period)) if period else ttl)


class GaugeSeries(Series):
    """A gauge that several senders set, each identified by its address."""

    __slots__ = ("merge", "seen", "senders", "sole", "sole_sender")

    def __init__(self, labels: Labels, merge: Merge) -> None:
        super().__init__(labels, [0])
        self.merge = merge
        self.senders: dict[bytes, SenderValue] = {}
        self.sole_sender: bytes | None = None
        """The address of the only sender; None if there are several, or none."""
        self.sole: SenderValue | None = None
        """Its value."""
        self.seen = 0.0

    def set(self, sender: bytes, value: float, now: float, *, relative: bool = False) -> bool:
        """Set a sender's value, or change it by `value` if `relative`.

        Returns False, and keeps the value, if the merged value would overflow or not be a number.
        """
        sent = self.senders.get(sender)
        if sent is None:
            sent = self._admit(sender, now)
        sent.update(now)
        self.seen = now
        before, sent.value = sent.value, sent.value + value if relative else value
        several = len(self.senders) > 1
        if (relative and not can_add(before, value)) or (several and self._overflows()):
            sent.value = before
            return False
        self.value = self.combine() if several else sent.value
        return True

    def _overflows(self) -> bool:
        """Whether the sum of the values is infinite or not a number, although no single value is."""
        if self.merge is not Merge.SUM:
            return False
        infinite = {sent.value for sent in self.senders.values() if math.isinf(sent.value)}
        total = sum(abs(sent.value) for sent in self.senders.values() if math.isfinite(sent.value))
        return len(infinite) > 1 or not math.isfinite(total)

    def _admit(self, sender: bytes, now: float) -> SenderValue:
        if len(self.senders) >= MAX_SENDERS:
            del self.senders[min(self.senders, key=lambda one: self.senders[one].seen)]
        for other in self.senders.values():
            other.replaced_by_at = min(other.replaced_by_at, now)
        sent = self.senders[sender] = SenderValue(0, now)
        self.note_sole()
        return sent

    def note_sole(self) -> None:
        """To be called where the number of senders has changed."""
        self.sole_sender, self.sole = next(iter(self.senders.items())) if len(self.senders) == 1 else (None, None)

    def expires_periodic(self, ttl: float) -> float:
        """When a periodic series expires: after some of its periods, at most after `ttl` seconds."""
        return max(sent.expires_periodic(ttl) for sent in self.senders.values()) if self.senders else math.inf

    def combine(self) -> float:
        """The merged value of all senders."""
        if self.merge is Merge.SUM:
            return sum(sent.value for sent in self.senders.values())
        if self.merge is Merge.MAXIMUM:
            return max(sent.value for sent in self.senders.values())
        return max(self.senders.values(), key=lambda sent: sent.seen).value

    def prune(self, now: float, ttl: float) -> None:
        """Remove the values of silent senders; the newest value stays as long as the series."""
        newest = max(self.senders, key=lambda one: self.senders[one].seen)
        for sender, sent in list(self.senders.items()):
            if sender != newest and sent.expires(ttl) < now:
                del self.senders[sender]
        self.note_sole()
        self.value = self.combine()


class SummarySeries(Series):
    """A summary: sum and count since the start, quantiles of the last `max_age` seconds, computed when they are read.

    The window moves in `age_buckets` steps. One thread adds values, any thread may read.
    """

    __slots__ = ("_count", "_ends", "_family", "_parts", "_seen", "_step", "_sum", "row", "saved")

    def __init__(self, labels: Labels, family: Family, now: float) -> None:
        super().__init__(labels, [0])
        # NaN equals no rendered value, so the quantiles are rendered at each scrape.
        self.value = math.nan
        self._family = family
        self._step = family.max_age / family.age_buckets
        self._parts: deque[array[float]] = deque([array("d")], maxlen=family.age_buckets)
        self._ends = now + self._step
        self._sum: float = 0
        self._count: float = 0
        self._seen = 0
        self.saved: float | list[float] | None = None
        """Sum and count in the state file, which are exposed; None without a state file."""
        self.row = 0
        """The id of its row in the state file; 0 before the first write."""

    def observe(self, value: float, weight: float, now: float) -> bool:
        """Observe a value `weight` times; False, without effect, if the sum would overflow."""
        self.turn(now)
        total = self._sum + value * weight
        if not math.isfinite(total):
            return False
        self._sum = total
        self._count += weight
        newest = self._parts[-1]
        self._seen += 1
        if len(newest) < MAX_SAMPLES:
            newest.append(value)
        elif (place := random.randrange(self._seen)) < MAX_SAMPLES:  # noqa: S311 - a sample, not a secret
            newest[place] = value
        return True

    def turn(self, now: float) -> None:
        """Remove the values that are older than the window."""
        if now < self._ends:
            return
        for _ in range(min(self._family.age_buckets, 1 + int((now - self._ends) / self._step))):
            self._parts.append(array("d"))
        self._ends = now + self._step
        self._seen = 0

    @property
    def cells(self) -> list[float]:
        """The quantiles (NaN if the window is empty), then sum and count."""
        values = sorted(value for part in list(self._parts) for value in list(part))
        wanted = (quantile for quantile, _ in self._family.objectives)
        sums = self.saved if isinstance(self.saved, list) else [self._sum, self._count]
        return [*(get_quantile(values, quantile) for quantile in wanted), *sums]

    @cells.setter
    def cells(self, cells: list[float]) -> None:
        """The base class sets the initial value; a summary has its own state."""

    def snapshot(self) -> list[float]:
        """Sum and count."""
        return [self._sum, self._count]

    def resume(self, sums: list[float]) -> None:
        """Continue from the sum and count that an earlier process saved; the window starts empty."""
        self._sum, self._count = sums
        self.saved = [*sums]


def can_add(before: float, by: float) -> bool:
    """Whether the sum is a number, and finite if both are."""
    after = before + by
    return math.isfinite(after) or (math.isinf(after) and (math.isinf(before) or math.isinf(by)))


def get_quantile(values: list[float], quantile: float) -> float:
    """The value of that rank in an ascending list; NaN if it is empty."""
    return values[max(0, math.ceil(quantile * len(values)) - 1)] if values else math.nan

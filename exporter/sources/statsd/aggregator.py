"""The warm path: from datagrams to series.

A line's key is everything except its value. The action of a key is compiled once and cached. From then on a line costs
two splits, one lookup and one or two additions.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate
from operator import length_hint

from exporter.sources.statsd import parser
from exporter.sources.statsd.action_cache import (
    ActionCache,
    Cell,
    CompiledAction,
    SeriesUpdate,
    Tables,
    normalize_number,
)
from exporter.sources.statsd.fast_parser import FastParser
from exporter.sources.statsd.model import Action, MetricType, Resolver, Sample
from exporter.sources.statsd.number_cache import NumberCache

MAX_CACHED_LINE_BYTES = 256
"""Longer lines are parsed each time, so that the size of the cache is bounded."""
RECOMPILE_INTERVAL = 10.0
"""Minimum seconds between two refreshes of the cache because the resolver has learned something."""
NO_SENDER = object()
"""Equals no sender's address."""

SenderLookup = Callable[[int], bytes]
"""Returns the sender's address of a datagram, by its place in the batch."""
FindSender = Callable[[], bytes]
"""Returns the sender's address of the current line."""
LineParts = tuple[bytes, bytes, bytes, bytes]
"""A line cut at its first colon and the first bar after it: its key, name, value, and type with all further fields."""


class Aggregator:
    """Processes batches of datagrams. Only the receiving thread calls it; other threads may read its counts."""

    def __init__(self, tables: Tables, resolver: Resolver, clock: Callable[[], float] = time.monotonic) -> None:
        self._tables = tables
        self._clock = clock
        self._actions = ActionCache(tables, resolver)
        self._parser = FastParser(resolver.dialects)
        self.resolver = resolver
        self._recompiled_at = -math.inf
        self._numbers = NumberCache()
        self.lines = 0
        self._blank = 0
        """Blank lines of the current batch."""
        self.rejected: Counter[str] = Counter()

    @property
    def events(self) -> Counter[MetricType]:
        """Values that were counted or dropped, by type."""
        return self._actions.get_counts()[0]

    @property
    def dropped(self) -> Counter[str]:
        """Values that were dropped, by reason."""
        return self._actions.get_counts()[1]

    @property
    def ambiguous(self) -> int:
        """Lookups of names whose ids can be split in several ways."""
        return self._actions.ambiguous

    @property
    def unmapped(self) -> dict[str, int]:
        """Unmapped names, with the number of lookups."""
        return self._actions.unmapped

    @property
    def compiled_count(self) -> int:
        """Actions compiled since the start."""
        return self._actions.compiled_count

    def set_resolver(self, resolver: Resolver) -> None:
        """Use another resolver for all further lines."""
        self._actions.set_resolver(resolver)
        self._parser = FastParser(resolver.dialects)
        self.resolver = resolver

    def sweep(self) -> None:
        """Expire series and refresh the cache; called about once a second."""
        if self._tables.sweep():
            self.resolver.release(self._tables.pop_expired_families())
            self._actions.evict_stale()
        now = self._clock()
        if self._actions.is_outdated and now >= self._recompiled_at + RECOMPILE_INTERVAL:
            self._recompiled_at = now
            self._actions.refresh()

    def process_batch(self, batch: Sequence[bytes], senders: SenderLookup, only: bytes | None = None) -> None:
        """Process each line of each datagram. `only` is the address of all senders, if it is one and known."""
        found, senders = split_batch(batch, senders)
        sender, now = NO_SENDER if only is None else only, self._tables.clock()
        actions, numbers = self._actions.recent.get, self._numbers.get
        parse_number = self._numbers.parse
        lines = iter(found)
        find_sender = build_sender_finder(found, lines, senders)
        for line in lines:
            name, _, rest = line.partition(b":")
            raw, _, tail = rest.partition(b"|")
            key = b"\n".join((name, tail))
            action, number = actions(key), numbers(raw)
            value = parse_number(raw) if number is None else number
            if action is None or value is None:
                action = self._process_line(line, (key, name, raw, tail), value, find_sender)
                if action is None or value is None:
                    continue
            hits, counter, cells, histogram_spec, counters, updates, gauge = action
            hits[0] += 1
            if gauge and gauge.sole_sender == sender:
                gauge.sole.update(now)
                gauge.seen = now
                gauge.value = gauge.sole.value = value
                continue
            if counter:
                counter.value += value
            if cells and histogram_spec:
                bounds, scale, plus, weight = histogram_spec
                observed = value * scale + plus
                cells[bisect_left(bounds, observed)] += weight
                cells[-1] += observed * weight
            if counters:
                for series, scale, plus in counters:
                    series.value += value * scale + plus
            if updates:
                self._apply_updates(updates, value, find_sender)
        self.lines += len(found) - self._blank
        self._blank = 0

    def _process_line(
        self, line: bytes, parts: LineParts, number: float | None, find_sender: FindSender
    ) -> CompiledAction | None:
        """Process a line that is not cached, or whose value is not a plain `number`.

        Returns the action that is still to be applied to the number; None if the line was processed.
        """
        key, name, raw, tail = parts
        known = self._actions.get(key)
        if known and number is not None:
            return known
        if line.endswith(b"\r"):
            line, tail = line[:-1], tail.removesuffix(b"\r")
        split = self._parser.split_key(name, tail) if len(line) <= parser.MAX_LINE_BYTES else None
        similar = self._actions.compile_similar(key, split) if split and number is not None else None
        if similar:
            return similar
        kept = key if len(line) <= MAX_CACHED_LINE_BYTES else b""
        sample = self._parser.build_sample(split, raw) if split else None
        if sample:
            self._process_sample(sample, known, kept, find_sender)
        else:
            # What has several values has several actions.
            self._process_unusual_line(line, known, b"" if b":" in raw else kept, find_sender)
        return None

    def _process_unusual_line(
        self, line: bytes, known: CompiledAction | None, key: bytes, find_sender: FindSender
    ) -> None:
        """Process a line of any form. With one value, its action is cached by the key."""
        if not line.strip():
            self._blank += 1
            return
        parsed = parser.parse_line(line, self.resolver.dialects)
        self.rejected.update(parsed.rejected)
        kept = key if len(parsed.samples) == 1 else b""
        for sample in parsed.samples:
            self._process_sample(sample, known, kept, find_sender)

    def _process_sample(
        self, sample: Sample, known: CompiledAction | None, key: bytes, find_sender: FindSender
    ) -> None:
        value = normalize_number(sample.value)
        action = known or self._compile(sample, value, key)
        action[0][0] += 1
        self._apply_checked(action, value, find_sender, relative=sample.relative)

    def _compile(self, sample: Sample, value: float, key: bytes) -> CompiledAction:
        """The action of a sample; cached under the key, unless that is empty or a target rejects the value."""
        action, rejected = self._actions.compile(sample.signature, value)
        if rejected:
            self.rejected.update(rejected)
        elif key:
            self._actions.put(key, action)
        return action

    def _apply_checked(self, action: CompiledAction, value: float, find_sender: FindSender, *, relative: bool) -> None:
        """Apply any value, with checks that sums stay finite."""
        _, counter, cells, histogram_spec, counters, updates, _ = action
        if counter:
            self._add(counter, value)
        if cells and histogram_spec:
            bounds, scale, plus, weight = histogram_spec
            self._observe(cells, bounds, value * scale + plus, weight)
        for series, scale, plus in counters:
            self._add(series, value * scale + plus)
        if updates:
            self._apply_updates(updates, value, find_sender, relative=relative)

    def _apply_updates(
        self,
        updates: Sequence[SeriesUpdate],
        value: float,
        find_sender: FindSender,
        *,
        relative: bool = False,
    ) -> None:
        """Apply a value to gauges, summaries and series that may expire."""
        for family, action, series, scale, plus, weight, bounds in updates:
            amount = value * scale + plus
            if action is Action.SET:
                # A gauge may be infinite if it is sent so, but not because of its scale.
                scaled_out = amount != value and not math.isfinite(amount)
                if scaled_out or not self._tables.set(family, series, find_sender(), amount, relative=relative):
                    self.rejected["overflow"] += 1
                continue
            if action is Action.ADD:
                self._add(series, amount)
            elif bounds:
                self._observe(series.value, bounds, amount, weight)  # type: ignore[arg-type]
            elif not self._tables.observe(series, amount, weight):
                self.rejected["overflow"] += 1
            if family.ttl:
                self._tables.touch(family, series)

    def _add(self, series: Cell, amount: float) -> None:
        if not amount >= 0:
            self.rejected["bad_value"] += 1
            return
        total = series.value + amount  # type: ignore[operator]
        if total < math.inf:
            series.value = total
        else:
            self.rejected["overflow"] += 1

    def _observe(self, cells: list[float], bounds: tuple[float, ...], amount: float, weight: float) -> None:
        total = cells[-1] + amount * weight
        if math.isfinite(total):
            cells[bisect_left(bounds, amount)] += weight
            cells[-1] = total
        else:
            self.rejected["overflow"] += 1


def split_batch(batch: Sequence[bytes], senders: SenderLookup) -> tuple[Sequence[bytes], SenderLookup]:
    """All lines of all datagrams, and a function that returns the sender of a line."""
    if batch and batch[-1].endswith(b"\n"):
        # DogStatsD's client ends each datagram so: a blank line would cost more than the one before it.
        batch = [datagram.removesuffix(b"\n") for datagram in batch]
    if b"\n" not in b"".join(batch):
        return batch, senders
    ends: list[int] = []

    def find_line_sender(place: int) -> bytes:
        if not ends:
            ends.extend(accumulate(datagram.count(b"\n") + 1 for datagram in batch))
        return senders(bisect_right(ends, place))

    return b"\n".join(batch).split(b"\n"), find_line_sender


def build_sender_finder(found: Sequence[bytes], lines: Iterator[bytes], senders: SenderLookup) -> FindSender:
    """A function that returns the sender of the line that `lines`, the iterator of all that were found, yielded last.

    Few lines need their sender, so it costs the others nothing: not even their places are counted.
    """
    return lambda: senders(len(found) - length_hint(lines) - 1)

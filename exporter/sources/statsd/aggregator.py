"""From datagrams to series: the warm path of StatsD.

A line's key is everything but its value. What a key means is worked out once and kept; from then on a line costs two
cuts, one look-up and one addition or two.
"""

from __future__ import annotations

import math
import time
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate

from exporter.sources.statsd import parser
from exporter.sources.statsd.action_cache import Cell, Feed, Meaning, Meanings, Tables, is_stale, tidy
from exporter.sources.statsd.fast_parser import FastParser
from exporter.sources.statsd.model import Action, Resolver, Sample, Type

NUMBERS = 20_000
"""How many spellings of numbers are kept."""
SHORT = 6
"""Bytes of a number up to which its spelling is likely to come again."""
LONG = 40
"""Bytes from which on digits are no number that anybody means."""
LONGEST = 256
"""Bytes up to which a line's meaning is kept: longer ones are read each time."""
PAUSE = 10.0
"""Seconds between times that every meaning is worked out anew, because the resolver knows more."""
LARGEST = 1e100
"""A larger number is added with care, on the cold path: it alone can take a sum out of the finite."""
DIGITS = range(ord("0"), ord("9") + 1)

Senders = Callable[[int], bytes]
"""The address of the sender of a datagram, by its place in the batch."""


class Absorber:
    """Takes batches of datagrams. Only the receiving thread calls it; others may read its counts."""

    def __init__(self, tables: Tables, resolver: Resolver, clock: Callable[[], float] = time.monotonic) -> None:
        self._tables = tables
        self._clock = clock
        self._meanings = Meanings(tables, resolver)
        self._parser = FastParser(resolver.dialects)
        self.resolver = resolver
        self._renewed = -math.inf
        self._numbers: dict[bytes, float] = {}
        self.lines = 0
        self.rejected: Counter[str] = Counter()

    @property
    def events(self) -> Counter[Type]:
        """Values that were taken or dropped, by type."""
        return self._meanings.count()[0]

    @property
    def dropped(self) -> Counter[str]:
        """Values that were dropped, by reason."""
        return self._meanings.count()[1]

    @property
    def ambiguous(self) -> int:
        """Names whose ids could be split in several ways, each time that they were looked up."""
        return self._meanings.ambiguous

    @property
    def unmapped(self) -> dict[str, int]:
        """Names that nothing knows, with how often they had to be looked up."""
        return self._meanings.unmapped

    @property
    def learned(self) -> int:
        """How many meanings were worked out."""
        return self._meanings.learned

    def change(self, resolver: Resolver) -> None:
        """Resolve by another resolver from now on."""
        self._meanings.change(resolver)
        self._parser = FastParser(resolver.dialects)
        self.resolver = resolver

    def sweep(self) -> None:
        """What is due about once a second."""
        if self._tables.sweep():
            self._meanings.forget_capped()
        now = self._clock()
        if self._meanings.outdated and now >= self._renewed + PAUSE:
            self._renewed = now
            self._meanings.renew()

    def absorb(self, batch: Sequence[bytes], senders: Senders) -> None:
        """Take each line of each datagram."""
        found, senders = cut(batch, senders)
        meanings, numbers = self._meanings.young.get, self._numbers.get
        blank = 0
        for place, line in enumerate(found):
            name, _, rest = line.partition(b":")
            raw, _, tail = rest.partition(b"|")
            meaning = meanings(name + b"\n" + tail)
            if SHORT < len(raw) < LONG and raw.replace(b".", b"", 1).isdigit():
                value: float | None = float(raw)
            else:
                value = numbers(raw)
                if value is None:
                    value = self._number(raw)
            if meaning is None or value is None:
                blank += self._read(line, senders, place)
                continue
            tally, counter, cells, how, adds, feeds = meaning
            if feeds and is_stale(feeds):
                blank += self._read(line, senders, place)
                continue
            tally[0] += 1
            if counter:
                counter.value += value
            if cells and how:
                bounds, scale, plus, weight = how
                observed = value * scale + plus
                cells[bisect_left(bounds, observed)] += weight
                cells[-1] += observed * weight
            for series, scale, plus in adds:
                series.value += value * scale + plus
            if feeds:
                self._apply(feeds, value, senders, place)
        self.lines += len(found) - blank

    def _number(self, raw: bytes) -> float | None:
        """A plain number that is not negative; None for whatever needs a closer look."""
        try:
            value = float(raw)
        except ValueError:
            return None
        # float() takes more than there is on the wire: blanks, signs, underscores, "nan".
        if not (raw[0] in DIGITS and raw[-1] in DIGITS and value < LARGEST) or b"_" in raw:
            return None
        if raw.isdigit():
            value = int(raw)
        if len(raw) <= SHORT:
            if len(self._numbers) >= NUMBERS:
                self._numbers.clear()
            self._numbers[raw] = value
        return value

    def _read(self, line: bytes, senders: Senders, place: int) -> bool:
        """Read a whole line, the cold path; says whether there was nothing in it."""
        name, _, rest = line.partition(b":")
        raw, _, tail = rest.partition(b"|")
        key = name + b"\n" + tail
        known = self._meanings.recall(key)
        sample = self._parser.parse(name, raw, tail)
        if sample is None:
            return self._read_odd(line, known, senders, place)
        meaning = known or self._learn(sample, key if len(line) <= LONGEST else b"")
        meaning[0][0] += 1
        self._take(meaning, tidy(sample.value), senders, place, relative=sample.relative)
        return False

    def _read_odd(self, line: bytes, known: Meaning | None, senders: Senders, place: int) -> bool:
        """Read a line of any form; says whether there was nothing in it. Only a line with one value has a meaning."""
        if not line.strip():
            return True
        name, _, rest = line.partition(b":")
        raw, _, tail = rest.partition(b"|")
        parsed = parser.parse(line, self.resolver.dialects)
        self.rejected.update(parsed.rejected)
        kept = name + b"\n" + tail if b":" not in raw and len(parsed.samples) == 1 and len(line) <= LONGEST else b""
        for sample in parsed.samples:
            meaning = known or self._learn(sample, kept)
            meaning[0][0] += 1
            self._take(meaning, tidy(sample.value), senders, place, relative=sample.relative)
        return False

    def _learn(self, sample: Sample, key: bytes) -> Meaning:
        """What a sample does; remembered under the key, if there is one and every target takes the value."""
        meaning, refused = self._meanings.resolve(sample.signature, tidy(sample.value))
        if refused:
            self.rejected.update(refused)
        elif key:
            self._meanings.keep(key, meaning)
        return meaning

    def _take(self, meaning: Meaning, value: float, senders: Senders, place: int, *, relative: bool) -> None:
        """What a value does that may be of any kind."""
        _, counter, cells, how, adds, feeds = meaning
        if counter:
            self._add(counter, value)
        if cells and how:
            bounds, scale, plus, weight = how
            self._observe(cells, bounds, value * scale + plus, weight)
        for series, scale, plus in adds:
            self._add(series, value * scale + plus)
        self._apply(feeds, value, senders, place, relative=relative)

    def _apply(
        self, feeds: Sequence[Feed], value: float, senders: Senders, place: int, *, relative: bool = False
    ) -> None:
        """What a value does to gauges, summaries and what may expire."""
        for family, action, series, scale, plus, weight, bounds in feeds:
            amount = value * scale + plus
            if action is Action.SET:
                # A gauge may be endless if it is sent so, but not because it was scaled.
                scaled_out = amount != value and not math.isfinite(amount)
                if scaled_out or not self._tables.set(family, series, senders(place), amount, relative=relative):
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


def cut(batch: Sequence[bytes], senders: Senders) -> tuple[Sequence[bytes], Senders]:
    """All lines of all datagrams, and who sent a line."""
    joined = b"\n".join(batch)
    if joined.count(b"\n") < len(batch):
        return batch, senders
    ends: list[int] = []

    def find_sender(place: int) -> bytes:
        if not ends:
            ends.extend(accumulate(datagram.count(b"\n") + 1 for datagram in batch))
        return senders(bisect_right(ends, place))

    return joined.split(b"\n"), find_sender

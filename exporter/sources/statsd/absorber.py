"""From datagrams to series: the warm path of StatsD.

A line's key is everything but its value. What a key means is worked out once and kept; from then on a line costs two
cuts, one look-up and one addition. The kept meanings are forgotten together when there are too many, when the
resolver would answer otherwise, or when series expired.
"""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from exporter.family import Family, Kind, Labels
from exporter.sources.statsd import lines
from exporter.sources.statsd.event import Action, Resolver, Sample, Signature, Target, Type

KEYS = 200_000
"""How many meanings are kept."""
NUMBERS = 20_000
"""How many spellings of numbers are kept."""
EXACT = 2**53
"""Up to here floats are exact."""
LONGEST = 256
"""Bytes up to which a line's meaning is kept: longer ones are read each time."""
NAMES = 1_000
"""How many names that nothing knows are kept for the page of sources."""
NUMBER = re.compile(rb"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?\Z")
"""Values that are read without the whole line."""
SIMPLE = frozenset({Type.COUNTER, Type.TIMER})

Senders = Callable[[int], bytes]
"""The address of the sender of a datagram, by its place in the batch."""


class Cell(Protocol):
    """What is changed of a series."""

    value: float | list[float]


class Tables(Protocol):
    """The live tables (exporter/events.py), which take back the series that they found."""

    def find(self, family: Family, labels: Labels) -> Cell | None: ...
    def bounds(self, family: Family) -> tuple[float, ...]: ...
    def set(self, family: Family, series: Any, sender: bytes, value: float, *, relative: bool) -> None: ...  # noqa: ANN401
    def observe(self, series: Any, value: float, weight: float) -> None: ...  # noqa: ANN401
    def touch(self, family: Family, series: Any) -> None: ...  # noqa: ANN401
    def sweep(self) -> bool: ...


class Feed(NamedTuple):
    """One series that a signature feeds, with what one value does to it."""

    target: Target
    series: Cell
    scale: float
    plus: float
    weight: float
    bounds: tuple[float, ...]


class Meaning:
    """What lines with one key do. The first fields serve the warm path, which knows two simple kinds of lines.

    `add` is a counter that grows by value * scale + plus; `cells` a histogram's, with its bounds.
    """

    __slots__ = ("add", "bounds", "cells", "drop", "feeds", "kind", "plus", "scale", "weight")

    def __init__(self, kind: Type, feeds: Sequence[Feed], drop: str) -> None:
        self.kind = kind
        self.feeds = feeds
        self.drop = drop
        self.add: Cell | None = None
        self.cells: list[float] | None = None
        self.bounds: tuple[float, ...] = ()
        self.scale = self.plus = self.weight = 0.0
        if kind in SIMPLE and len(feeds) == 1 and not feeds[0].target.family.ttl and min(feeds[0][2:4]) >= 0:
            self._simplify(feeds[0])

    def _simplify(self, feed: Feed) -> None:
        value = feed.series.value
        self.scale, self.plus, self.weight, self.bounds = feed.scale, feed.plus, feed.weight, feed.bounds
        if feed.target.action is Action.ADD:
            self.add = feed.series
        elif feed.target.action is Action.OBSERVE and isinstance(value, list):
            self.cells = value


class Absorber:
    """Takes batches of datagrams. Only the receiving thread calls it; others may read its counts."""

    def __init__(self, tables: Tables, resolver: Resolver) -> None:
        self._tables = tables
        self._resolver = resolver
        self._revision = resolver.revision
        self._meanings: dict[bytes, Meaning] = {}
        self._numbers: dict[bytes, float] = {}
        self.lines = 0
        self.events: Counter[Type] = Counter()
        self.rejected: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self.ambiguous = 0
        self.unmapped: dict[str, int] = {}
        """Names that nothing knows, with how many lines they had."""

    def change(self, resolver: Resolver) -> None:
        """Resolve by another resolver from now on."""
        self._resolver = resolver
        self.forget()

    def forget(self) -> None:
        """Work out every meaning anew."""
        self._meanings.clear()
        self._revision = self._resolver.revision

    def sweep(self) -> None:
        """What is due about once a second."""
        if self._tables.sweep() or self._revision != self._resolver.revision:
            self.forget()

    def absorb(self, batch: Sequence[bytes], senders: Senders) -> None:
        """Take each line of each datagram."""
        meanings, numbers, apply = self._meanings.get, self._numbers.get, self._apply
        counter, counted, timed, total = Type.COUNTER, 0, 0, 0
        for place, datagram in enumerate(batch):
            for line in datagram.split(b"\n") if b"\n" in datagram else (datagram,):
                name, _, rest = line.partition(b":")
                raw, _, tail = rest.partition(b"|")
                meaning = meanings(name + b"\n" + tail)
                if meaning is None:
                    total += self._read(line, senders, place)
                    continue
                value = numbers(raw)
                if value is None and (value := self._number(raw)) is None:
                    total += self._read(line, senders, place)
                    continue
                total += 1
                if (series := meaning.add) is not None:
                    series.value += value * meaning.scale + meaning.plus  # type: ignore[operator]
                    if meaning.kind is counter:
                        counted += 1
                    else:
                        timed += 1
                elif (cells := meaning.cells) is not None:
                    observed = value * meaning.scale + meaning.plus
                    cells[bisect_left(meaning.bounds, observed)] += meaning.weight
                    cells[-1] += observed * meaning.weight
                    timed += 1
                else:
                    apply(meaning, value, senders, place)
        self.lines += total
        self.events[Type.COUNTER] += counted
        self.events[Type.TIMER] += timed

    def _number(self, raw: bytes) -> float | None:
        """A plain number that is not negative; None for whatever needs a closer look."""
        if not NUMBER.match(raw) or len(raw) > 40:
            return None
        value: float = int(raw) if raw.isdigit() else float(raw)
        if len(raw) <= 6:
            if len(self._numbers) >= NUMBERS:
                self._numbers.clear()
            self._numbers[raw] = value
        return value if value < 1e300 else None

    def _read(self, line: bytes, senders: Senders, place: int) -> int:
        """Read a whole line, the cold path; returns 1 unless there was nothing in it."""
        if not line.strip():
            return 0
        parsed = lines.parse(line)
        self.rejected.update(parsed.rejected)
        for sample in parsed.samples:
            meaning = self._resolve(sample.signature)
            self._apply(meaning, tidy(sample.value), senders, place, relative=sample.relative)
            if len(parsed.samples) == 1 and not parsed.rejected:
                self._keep(line, sample, meaning)
        return 1

    def _keep(self, line: bytes, sample: Sample, meaning: Meaning) -> None:
        name, _, rest = line.partition(b":")
        raw, _, tail = rest.partition(b"|")
        if len(line) > LONGEST or sample.relative or b":" in raw:
            return
        if len(self._meanings) >= KEYS:
            self._meanings.clear()
        self._meanings[name + b"\n" + tail] = meaning

    def _resolve(self, signature: Signature) -> Meaning:
        found = self._resolver.resolve(signature)
        self.ambiguous += found.ambiguous
        if found.drop == "unmapped" and (signature.name in self.unmapped or len(self.unmapped) < NAMES):
            self.unmapped[signature.name] = self.unmapped.get(signature.name, 0) + 1
        feeds: list[Feed] = []
        drop = found.drop
        for target in found.targets:
            try:
                series = self._tables.find(target.family, target.labels)
            except ValueError:
                drop = "conflict"
                continue
            if series is None:
                drop = "capped"
                continue
            feeds.append(self._feed(target, series, 1.0 / signature.rate))
        return Meaning(signature.type, feeds, "" if feeds else drop)

    def _feed(self, target: Target, series: Cell, weight: float) -> Feed:
        weight = tidy(weight)
        times = weight if target.action is Action.ADD else 1
        bounds = self._tables.bounds(target.family) if target.family.kind is Kind.HISTOGRAM else ()
        return Feed(target, series, tidy(target.scale * times), tidy(target.plus * times), weight, bounds)

    def _apply(self, meaning: Meaning, value: float, senders: Senders, place: int, *, relative: bool = False) -> None:
        """What one value does, for lines of every kind."""
        self.events[meaning.kind] += 1
        if meaning.drop:
            self.dropped[meaning.drop] += 1
        for feed in meaning.feeds:
            amount = value * feed.scale + feed.plus
            family, action = feed.target.family, feed.target.action
            if action is Action.SET:
                self._tables.set(family, feed.series, senders(place), amount, relative=relative)
            elif not 0 <= amount < math.inf and (action is Action.ADD or not math.isfinite(amount)):
                self.rejected["bad_value"] += 1
            elif action is Action.OBSERVE:
                self._tables.observe(feed.series, amount, feed.weight)
                self._observe(feed, amount)
            else:
                feed.series.value += amount  # type: ignore[operator]
            if family.ttl:
                self._tables.touch(family, feed.series)

    def _observe(self, feed: Feed, amount: float) -> None:
        cells = feed.series.value
        if isinstance(cells, list):
            cells[bisect_left(feed.bounds, amount)] += feed.weight
            cells[-1] += amount * feed.weight


def tidy(value: float) -> float:
    """The same number, as an integer where it is one: whole counts stay whole."""
    return int(value) if abs(value) < EXACT and value == int(value) else value

"""What lines mean: worked out once for all that differ in nothing but their value, and kept while they come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from exporter.family import Family, Kind, Labels
from exporter.sources.statsd.event import PASSING, Action, Resolver, Signature, Target, Type

KEYS = 100_000
"""How many meanings a generation has; there are two."""
NAMES = 1_000
"""How many names that nothing knows are kept for the page of sources."""
HOWS = 1_000
"""How many ways to observe are shared."""
EXACT = 2**53
"""Up to here floats are exact."""
MODEST = 1e100
"""Up to here a scale, or what is added after it, cannot take what the warm path adds out of the finite."""


class Cell(Protocol):
    """What is changed of a series. One that expired has a negative `exposed_at`."""

    value: float | list[float]
    exposed_at: float


class Tables(Protocol):
    """The live tables (exporter/events.py), which take back the series that they found."""

    def find(self, family: Family, labels: Labels) -> Cell | None: ...
    def bounds(self, family: Family) -> tuple[float, ...]: ...
    def set(self, family: Family, series: Any, sender: bytes, value: float, *, relative: bool) -> bool: ...  # noqa: ANN401
    def observe(self, series: Any, value: float, weight: float) -> bool: ...  # noqa: ANN401
    def touch(self, family: Family, series: Any) -> None: ...  # noqa: ANN401
    def sweep(self) -> bool: ...


class Feed(NamedTuple):
    """One series that a signature feeds, with what one value does to it."""

    family: Family
    action: Action
    series: Cell
    scale: float
    plus: float
    weight: float
    bounds: tuple[float, ...]


# Plain tuples from here on: Python takes them apart twice as fast as named ones.
Addition = tuple[Any, float, float]
"""A counter, `scale` and `plus`: it grows by value * scale + plus."""
Observation = tuple[tuple[float, ...], float, float, float]
"""How values are counted in a histogram's cells: its bounds, `scale`, `plus` and `weight`. What is observed is
value * scale + plus, `weight` times.
"""
Meaning = tuple[list[int], Any, list[float] | None, Observation | None, Sequence[Addition], Sequence[Feed]]
"""What lines with one key do, in as few objects as it takes: there is one for every series and more.

These are `tally, counter, cells, how, adds, feeds`. `tally` counts them, together with all of the same type and fate.
What lives as long as the process is changed in place: `counter` grows by the value as it is, `cells` are a histogram's
in which it is observed `how`, `adds` are further counters. `feeds` is whatever needs more: gauges, summaries, what may
expire, a second histogram.
"""


class Meanings:
    """Asks the resolver and finds the series. What did not come for a whole generation of others is forgotten."""

    def __init__(self, tables: Tables, resolver: Resolver) -> None:
        self._tables = tables
        self._resolver = resolver
        self.revision = resolver.revision
        self.young: dict[bytes, Meaning] = {}
        """To be looked into first; never replaced, only emptied."""
        self._old: dict[bytes, Meaning] = {}
        self._capped: list[bytes] = []
        self._tallies: dict[tuple[Type, str], list[int]] = {}
        self._dropped: dict[tuple[Type, str], Meaning] = {}
        self._hows: dict[Observation, Observation] = {}
        self.learned = 0
        """How many meanings were worked out."""
        self.ambiguous = 0
        self.unmapped: dict[str, int] = {}
        """Names that nothing knows, with how often they had to be looked up."""

    @property
    def outdated(self) -> bool:
        """Whether the resolver may answer otherwise now."""
        return self.revision != self._resolver.revision

    def change(self, resolver: Resolver) -> None:
        """Resolve by another resolver from now on."""
        self._resolver = resolver
        self.forget()

    def forget(self) -> None:
        """Work out every meaning anew."""
        self.young.clear()
        self._old.clear()
        self._capped.clear()
        self.revision = self._resolver.revision

    def forget_capped(self) -> None:
        """Ask again for what there was no room for."""
        for key in self._capped:
            self.young.pop(key, None)
        self._capped.clear()

    def recall(self, key: bytes) -> Meaning | None:
        """A meaning of either generation that still holds; it is young then."""
        meaning = self.young.get(key)
        if meaning is None:
            meaning = self._old.pop(key, None)
            if meaning is not None:
                self.keep(key, meaning)
        return None if meaning is None or is_stale(meaning[-1]) else meaning

    def keep(self, key: bytes, meaning: Meaning) -> None:
        """Remember what lines with that key do, unless it may be something else the next time."""
        if any(meaning is self._dropped.get((kind, drop)) for kind in Type for drop in PASSING):
            return
        if len(self.young) >= KEYS:
            self._old = dict(self.young)
            self.young.clear()
            self._capped.clear()
        self.young[key] = meaning
        if any(meaning is self._dropped.get((kind, "capped")) for kind in Type):
            self._capped.append(key)

    def count(self) -> tuple[Counter[Type], Counter[str]]:
        """How many events came by type, and how many of them were dropped by reason. Any thread may ask."""
        events: Counter[Type] = Counter()
        dropped: Counter[str] = Counter()
        for (kind, drop), (many,) in self._tallies.copy().items():
            events[kind] += many
            if drop and many:
                dropped[drop] += many
        return events, dropped

    def resolve(self, signature: Signature) -> Meaning:
        """Work out what lines with that signature do."""
        self.learned += 1
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
        return self._compile(signature.type, feeds) if feeds else self._drop(signature.type, drop)

    def _drop(self, kind: Type, drop: str) -> Meaning:
        """The one meaning of all lines of a type that are dropped for that reason."""
        meaning = self._dropped.get((kind, drop))
        if meaning is None:
            meaning = self._dropped[kind, drop] = (self._tally(kind, drop), None, None, None, (), ())
        return meaning

    def _compile(self, kind: Type, feeds: Sequence[Feed]) -> Meaning:
        counter, cells, how = None, None, None
        adds, others = [], []
        for feed in feeds:
            modest = 0 <= feed.scale <= MODEST and 0 <= feed.plus <= MODEST
            simple = kind is not Type.GAUGE and not feed.family.ttl and modest
            if simple and feed.action is Action.ADD:
                if counter is None and (feed.scale, feed.plus) == (1, 0):
                    counter = feed.series
                else:
                    adds.append((feed.series, feed.scale, feed.plus))
            elif simple and feed.action is Action.OBSERVE and feed.bounds and cells is None:
                assert isinstance(feed.series.value, list)  # noqa: S101 - what has bounds is a histogram
                cells, how = feed.series.value, self._share(feed)
            else:
                others.append(feed)
        return self._tally(kind, ""), counter, cells, how, tuple(adds), tuple(others)

    def _share(self, feed: Feed) -> Observation:
        """The one object for all series of which it says the same."""
        how = feed.bounds, feed.scale, feed.plus, feed.weight
        if len(self._hows) >= HOWS:
            self._hows.clear()
        return self._hows.setdefault(how, how)

    def _tally(self, kind: Type, drop: str) -> list[int]:
        return self._tallies.setdefault((kind, drop), [0])

    def _feed(self, target: Target, series: Cell, events: float) -> Feed:
        """`events` is how many a line stands for; an observation counts a whole number of times."""
        times = tidy(events) if target.action is Action.ADD else 1
        bounds = self._tables.bounds(target.family) if target.family.kind is Kind.HISTOGRAM else ()
        scale, plus = tidy(target.scale * times), tidy(target.plus * times)
        return Feed(target.family, target.action, series, scale, plus, round(events), bounds)


def is_stale(feeds: Sequence[Feed]) -> bool:
    """Whether a series that is to be changed has expired."""
    for feed in feeds:  # noqa: SIM110 - a generator would cost more than all the rest
        if feed.series.exposed_at < 0:
            return True
    return False


def tidy(value: float) -> float:
    """The same number, as an integer where it is one: whole counts stay whole."""
    return int(value) if abs(value) < EXACT and value == int(value) else value

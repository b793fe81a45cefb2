"""What lines mean: worked out once for all that differ in nothing but their value, and kept while they come."""

from __future__ import annotations

from collections import Counter

from exporter.sources.statsd.compiler import Cell, Compiler, Feed, Meaning, Tables, is_stale, tidy
from exporter.sources.statsd.model import PASSING, Resolver, Signature, Type

__all__ = ["KEYS", "NAMES", "Cell", "Feed", "Meaning", "Meanings", "Tables", "is_stale", "tidy"]

KEYS = 100_000
"""How many meanings a generation has; there are two."""
NAMES = 1_000
"""How many names that nothing knows are kept for the page of sources."""


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
        self._compiler = Compiler(tables)
        self._dropped: dict[tuple[Type, str], Meaning] = {}
        # These meanings live as long as this object, so that their identity is theirs alone.
        self._passing: set[int] = set()
        self._for_want_of_room: set[int] = set()
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
        self._compiler.forget()
        self.revision = self._resolver.revision

    def renew(self) -> None:
        """The resolver knows more: work out every meaning again, and put right what is known to be wrong."""
        spellings = self._resolver.take_spellings()
        if spellings:
            self._tables.respell(spellings.apply)
        self.forget()

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
        if id(meaning) in self._passing:
            return
        if len(self.young) >= KEYS:
            self._old = dict(self.young)
            self.young.clear()
            self._capped.clear()
        self.young[key] = meaning
        if id(meaning) in self._for_want_of_room:
            self._capped.append(key)

    def count(self) -> tuple[Counter[Type], Counter[str]]:
        """How many events came by type, and how many of them were dropped by reason. Any thread may ask."""
        events: Counter[Type] = Counter()
        dropped: Counter[str] = Counter()
        for (kind, drop), (many,) in self._compiler.tallies.copy().items():
            events[kind] += many
            if drop and many:
                dropped[drop] += many
        return events, dropped

    def resolve(self, signature: Signature, value: float) -> tuple[Meaning, tuple[str, ...]]:
        """Work out what lines with that signature do, and why targets refuse the value of this one.

        A series that the value would not count in is not made, nor is the name of a family taken for it. So where any
        refuses it, the meaning holds for this line only.
        """
        self.learned += 1
        found = self._resolver.find(signature)
        self.ambiguous += found.ambiguous
        if not found.targets:
            return self._drop_unfed(signature, found.drop), ()
        made = self._compiler.compile(signature.type, found, value, signature.rate)
        return (made.meaning or self._drop(signature.type, made.drop)), made.refused

    def _drop_unfed(self, signature: Signature, drop: str) -> Meaning:
        if drop == "unmapped" and (signature.name in self.unmapped or len(self.unmapped) < NAMES):
            self.unmapped[signature.name] = self.unmapped.get(signature.name, 0) + 1
        return self._drop(signature.type, drop)

    def _drop(self, kind: Type, drop: str) -> Meaning:
        """The one meaning of all lines of a type that are dropped for that reason."""
        meaning = self._dropped.get((kind, drop))
        if meaning is None:
            meaning = self._dropped[kind, drop] = (self._compiler.tally(kind, drop), None, None, None, (), ())
            if drop in PASSING:
                self._passing.add(id(meaning))
            if drop == "capped":
                self._for_want_of_room.add(id(meaning))
        return meaning

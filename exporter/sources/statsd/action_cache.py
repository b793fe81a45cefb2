"""What lines mean: worked out once for all that differ in nothing but their value, and kept while they come."""

from __future__ import annotations

from collections import Counter

from exporter.sources.statsd.compiler import (
    Cell,
    CompiledAction,
    Compiler,
    SeriesUpdate,
    Tables,
    has_expired_series,
    normalize_number,
)
from exporter.sources.statsd.model import RETRIABLE_DROPS, MetricType, Resolver, Signature

__all__ = [
    "MAX_KEYS",
    "MAX_UNMAPPED_NAMES",
    "ActionCache",
    "Cell",
    "CompiledAction",
    "SeriesUpdate",
    "Tables",
    "has_expired_series",
    "normalize_number",
]

MAX_KEYS = 100_000
"""How many actions a generation has; there are two."""
MAX_UNMAPPED_NAMES = 1_000
"""How many names that nothing knows are kept for the page of sources."""


class ActionCache:
    """Asks the resolver and finds the series. What did not come for a whole generation of others is forgotten."""

    def __init__(self, tables: Tables, resolver: Resolver) -> None:
        self._tables = tables
        self._resolver = resolver
        self.revision = resolver.revision
        self.recent: dict[bytes, CompiledAction] = {}
        """To be looked into first; never replaced, only emptied."""
        self._previous: dict[bytes, CompiledAction] = {}
        self._capped: list[bytes] = []
        self._compiler = Compiler(tables)
        self._dropped: dict[tuple[MetricType, str], CompiledAction] = {}
        # These actions live as long as this object, so that their identity is theirs alone.
        self._uncached_ids: set[int] = set()
        self._capped_ids: set[int] = set()
        self.compiled_count = 0
        """How many actions were worked out."""
        self.ambiguous = 0
        self.unmapped: dict[str, int] = {}
        """Names that nothing knows, with how often they had to be looked up."""

    @property
    def is_outdated(self) -> bool:
        """Whether the resolver may answer otherwise now."""
        return self.revision != self._resolver.revision

    def set_resolver(self, resolver: Resolver) -> None:
        """Resolve by another resolver from now on."""
        self._resolver = resolver
        self.clear()

    def clear(self) -> None:
        """Work out every action anew."""
        self.recent.clear()
        self._previous.clear()
        self._capped.clear()
        self._compiler.clear()
        self.revision = self._resolver.revision

    def refresh(self) -> None:
        """The resolver knows more: work out every action again, and put right what is known to be wrong."""
        spellings = self._resolver.take_corrections()
        if spellings:
            self._tables.respell(spellings.apply)
        self.clear()

    def drop_capped(self) -> None:
        """Ask again for what there was no room for."""
        for key in self._capped:
            self.recent.pop(key, None)
        self._capped.clear()

    def get(self, key: bytes) -> CompiledAction | None:
        """An action of either generation that still holds; it is recent then."""
        action = self.recent.get(key)
        if action is None:
            action = self._previous.pop(key, None)
            if action is not None:
                self.put(key, action)
        return None if action is None or has_expired_series(action[-1]) else action

    def put(self, key: bytes, action: CompiledAction) -> None:
        """Remember what lines with that key do, unless it may be something else the next time."""
        if id(action) in self._uncached_ids:
            return
        if len(self.recent) >= MAX_KEYS:
            self._previous = dict(self.recent)
            self.recent.clear()
            self._capped.clear()
        self.recent[key] = action
        if id(action) in self._capped_ids:
            self._capped.append(key)

    def get_counts(self) -> tuple[Counter[MetricType], Counter[str]]:
        """How many events came by type, and how many of them were dropped by reason. Any thread may ask."""
        events: Counter[MetricType] = Counter()
        dropped: Counter[str] = Counter()
        for (kind, drop), (many,) in self._compiler.hits.copy().items():
            events[kind] += many
            if drop and many:
                dropped[drop] += many
        return events, dropped

    def compile(self, signature: Signature, value: float) -> tuple[CompiledAction, tuple[str, ...]]:
        """Work out what lines with that signature do, and why targets refuse the value of this one.

        A series that the value would not count in is not made, nor is the name of a family taken for it. So where any
        refuses it, the action holds for this line only.
        """
        self.compiled_count += 1
        found = self._resolver.look_up(signature)
        self.ambiguous += found.ambiguous
        if not found.targets:
            return self._drop_unfed(signature, found.drop), ()
        made = self._compiler.compile(signature.type, found, value, signature.rate)
        return (made.action or self._drop(signature.type, made.drop)), made.rejected

    def _drop_unfed(self, signature: Signature, drop: str) -> CompiledAction:
        if drop == "unmapped" and (signature.name in self.unmapped or len(self.unmapped) < MAX_UNMAPPED_NAMES):
            self.unmapped[signature.name] = self.unmapped.get(signature.name, 0) + 1
        return self._drop(signature.type, drop)

    def _drop(self, kind: MetricType, drop: str) -> CompiledAction:
        """The one action of all lines of a type that are dropped for that reason."""
        action = self._dropped.get((kind, drop))
        if action is None:
            action = self._dropped[kind, drop] = (self._compiler.get_hits(kind, drop), None, None, None, (), ())
            if drop in RETRIABLE_DROPS:
                self._uncached_ids.add(id(action))
            if drop == "capped":
                self._capped_ids.add(id(action))
        return action

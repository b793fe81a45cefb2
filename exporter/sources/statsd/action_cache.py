"""Cache of compiled actions, one per StatsD line without its value."""

from __future__ import annotations

from collections import Counter

from exporter.sources.statsd.compiler import (
    Cell,
    CompiledAction,
    Compiler,
    SeriesUpdate,
    Tables,
    has_removed_series,
    normalize_number,
)
from exporter.sources.statsd.model import CAPPED_DROPS, RETRIABLE_DROPS, KeyParts, MetricType, Resolver, Signature

__all__ = [
    "MAX_KEYS",
    "MAX_UNMAPPED_NAMES",
    "ActionCache",
    "Cell",
    "CompiledAction",
    "SeriesUpdate",
    "Tables",
    "has_removed_series",
    "normalize_number",
]

MAX_KEYS = 100_000
"""Actions in one generation of the cache; there are two generations."""
MAX_UNMAPPED_NAMES = 1_000
"""Unmapped names that are remembered for the page of sources."""


class ActionCache:
    """Compiles actions and caches them. An action that is not used for a whole generation of new ones is evicted."""

    def __init__(self, tables: Tables, resolver: Resolver) -> None:
        self._tables = tables
        self._resolver = resolver
        self.revision = resolver.revision
        self.recent: dict[bytes, CompiledAction] = {}
        """The current generation. The dict is emptied but never replaced, so that callers may keep its `get`."""
        self._previous: dict[bytes, CompiledAction] = {}
        self._capped: list[bytes] = []
        self._compiler = Compiler(tables)
        self._dropped: dict[tuple[MetricType, str], CompiledAction] = {}
        # These counters live as long as this object, so their ids are unique.
        self._retriable_hits = self._list_hits(RETRIABLE_DROPS)
        self._capped_hits = self._list_hits(CAPPED_DROPS)
        self.compiled_count = 0
        """Actions compiled since the start."""
        self.ambiguous = 0
        self.unmapped: dict[str, int] = {}
        """Unmapped names, with the number of lookups."""

    @property
    def is_outdated(self) -> bool:
        """Whether the resolver may give other answers than those that are cached."""
        return self.revision != self._resolver.revision

    def set_resolver(self, resolver: Resolver) -> None:
        """Use another resolver and empty the cache."""
        self._resolver = resolver
        self.clear()

    def clear(self) -> None:
        """Empty the cache, so that every action is compiled again."""
        self.recent.clear()
        self._previous.clear()
        self._capped.clear()
        self._compiler.clear()
        self.revision = self._resolver.revision

    def refresh(self) -> None:
        """Empty the cache because the resolver has learned something, and move series whose ids were corrected."""
        spellings = self._resolver.take_corrections()
        if spellings:
            self._tables.respell(spellings.apply)
        self.clear()

    def evict_stale(self) -> None:
        """To be called after series were removed: evict their actions, and those that were dropped at a series cap."""
        for actions in (self.recent, self._previous):
            for key in [key for key, action in actions.items() if action[5] and has_removed_series(action[5])]:
                del actions[key]
        for key in self._capped:
            self.recent.pop(key, None)
        self._capped.clear()

    def get(self, key: bytes) -> CompiledAction | None:
        """A cached action, moved to the current generation; None if there is none."""
        action = self.recent.get(key)
        if action is None and self._previous:
            action = self._previous.pop(key, None)
            if action is not None:
                self.put(key, action)
        return action

    def put(self, key: bytes, action: CompiledAction) -> None:
        """Cache an action, unless the next line with that key may get another one."""
        hits = id(action[0])
        if hits in self._retriable_hits:
            return
        if len(self.recent) >= MAX_KEYS:
            self._previous = dict(self.recent)
            self.recent.clear()
            self._capped.clear()
        self.recent[key] = action
        if hits in self._capped_hits:
            self._capped.append(key)

    def _list_hits(self, drops: tuple[str, ...]) -> frozenset[int]:
        """The ids of the counters of actions that were dropped for these reasons."""
        return frozenset(id(self._compiler.get_hits(kind, drop)) for kind in MetricType for drop in drops)

    def get_counts(self) -> tuple[Counter[MetricType], Counter[str]]:
        """Events by type, and dropped events by reason. Any thread may call it."""
        events: Counter[MetricType] = Counter()
        dropped: Counter[str] = Counter()
        for (kind, drop), (many,) in self._compiler.hits.copy().items():
            if many:
                events[kind] += many
            if drop and many:
                dropped[drop] += many
        return events, dropped

    def compile_similar(self, key: bytes, parts: KeyParts) -> CompiledAction | None:
        """The action of a line that differs from an earlier one only in ids, cached; None for any other line."""
        found = self._resolver.find_similar(parts)
        if found is None:
            return None
        shape, ids = found
        if shape.drop:
            action = self._drop(shape.type, shape.drop)
        else:
            made = self._compiler.compile_similar(shape, ids)
            if made is None:
                return None
            action = self._drop(shape.type, made) if isinstance(made, str) else made
        self.compiled_count += 1
        self.put(key, action)
        return action

    def compile(self, signature: Signature, value: float) -> tuple[CompiledAction, tuple[str, ...]]:
        """The action of a signature, and the reasons why targets reject this value.

        A target that rejects the value creates no series and claims no family name. So if any target rejects it, the
        action is valid for this line only.
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
        """The action shared by all lines of a type that are dropped for that reason."""
        action = self._dropped.get((kind, drop))
        if action is None:
            action = self._dropped[kind, drop] = (self._compiler.get_hits(kind, drop), None, None, None, (), (), None)
        return action

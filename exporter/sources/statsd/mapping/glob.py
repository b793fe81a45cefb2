"""Matches glob patterns: names are split at dots, and `*` stands for one whole segment.

With ordering (the default) the first matching pattern of the file wins. Without, a literal segment wins over `*` from
left to right. Whether the search then backtracks from a dead end depends on the patterns, as in statsd_exporter.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

GlobMatch = tuple[int, list[str]]
"""The index of the pattern that matched, and the segments that its stars captured."""


@dataclass(slots=True)
class GlobNode:
    """The segments that may follow one segment."""

    next: dict[str, GlobNode] = field(default_factory=dict)
    index: int | None = None
    """The first pattern that ends here."""
    min_left: int = 1 << 30
    max_left: int = -1
    """The number of segments that may still follow."""

    def fits(self, left: int) -> bool:
        """Whether a pattern through this node has that many segments left."""
        return self.min_left <= left <= self.max_left


class GlobMatcher:
    """The patterns of one metric type."""

    def __init__(self, patterns: Sequence[tuple[int, str]], *, ordered: bool, backtracking: bool) -> None:
        self._ordered = ordered
        self._backtracking = ordered or backtracking
        self._root = GlobNode()
        for index, pattern in patterns:
            self._add(index, pattern.split("."))

    def find(self, name: str) -> GlobMatch | None:
        """The pattern that matches a name, and what its stars captured; None if no pattern matches."""
        segments = name.split(".")
        node, captures, left = self._root, [], len(segments)
        for segment in segments:
            left -= 1
            literal, star = node.next.get(segment), node.next.get("*")
            if literal is not None and (star is not None or segment == "*"):
                return self._find_any(segments)
            if literal is not None:
                node = literal
            elif star is not None:
                node = star
                captures.append(segment)
            else:
                return None
            if not node.min_left <= left <= node.max_left:
                return None
        return None if node.index is None else (node.index, captures)

    def _find_any(self, segments: list[str]) -> GlobMatch | None:
        """The same for a name with a segment that may be meant literally or be captured."""
        found = self._walk(self._root, segments, 0, [])
        return min(found, default=None, key=lambda hit: hit[0]) if self._ordered else next(found, None)

    def _add(self, index: int, segments: list[str]) -> None:
        node = self._root
        for place, segment in enumerate(segments):
            node = node.next.setdefault(segment, GlobNode())
            left = len(segments) - place - 1
            node.min_left, node.max_left = min(node.min_left, left), max(node.max_left, left)
        node.index = index if node.index is None else node.index

    def _walk(self, node: GlobNode, segments: list[str], place: int, caught: list[str]) -> Iterator[GlobMatch]:
        count = len(segments)
        while place < count:
            segment = segments[place]
            left = count - place - 1
            literal, star = node.next.get(segment), node.next.get("*")
            literal = literal if literal is not None and literal.fits(left) else None
            star = star if star is not None and star.fits(left) else None
            place += 1
            if segment == "*" or (literal is not None and star is not None):
                yield from self._fork(literal, star, segments, place, caught)
                return
            if literal is not None:
                node = literal
            elif star is not None:
                node, caught = star, [*caught, segment]
            else:
                return
        if node.index is not None:
            yield node.index, caught

    def _fork(
        self, literal: GlobNode | None, star: GlobNode | None, segments: list[str], place: int, caught: list[str]
    ) -> Iterator[GlobMatch]:
        """Continue where a segment may match literally or be captured; `place` is that of the next segment."""
        segment = segments[place - 1]
        if literal is not None:
            yield from self._walk(literal, segments, place, [*caught, "*"] if segment == "*" else caught)
            if not self._backtracking or segment == "*":
                return
        if star is not None:
            yield from self._walk(star, segments, place, [*caught, segment])


def needs_backtracking(patterns: Sequence[str]) -> bool:
    """Whether unordered patterns need backtracking.

    A pattern with a star needs it if another pattern of its length starts with the same text before the star, unless
    one of the two subsumes the other.
    """
    return any(needs_backtracking_for(place, patterns) for place, pattern in enumerate(patterns) if "*" in pattern)


def needs_backtracking_for(rank: int, patterns: Sequence[str]) -> bool:
    """Whether the pattern at that index needs backtracking."""
    pattern = patterns[rank]
    dots = pattern.count(".")
    others = [other for place, other in enumerate(patterns) if place != rank and other.count(".") == dots]
    beginnings = [pattern[:place] for place, letter in enumerate(pattern) if letter == "*"]
    shared = any(other.startswith(beginning) for other in others for beginning in beginnings)
    return shared and not any(subsumes(pattern, other) or subsumes(other, pattern) for other in others)


def subsumes(wide: str, narrow: str) -> bool:
    """Whether the wide pattern matches every name that the narrow one matches."""
    return re.fullmatch(re.escape(wide).replace(r"\*", "[^.]*"), narrow) is not None

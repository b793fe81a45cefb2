"""The legacy names of all events as a tree of their parts, which finds the name that a new line has in a few steps.

It finds what `EventLookup.find` finds, but takes a name that is split at its dots, and knows only names whose ids are
whole parts, as nearly all are. It is built once for the prefixes that are known.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

from exporter.sources.statsd.airflow_names.lookup import LegacyName


class Candidate(NamedTuple):
    """A legacy name that a name may be, and where its ids are."""

    legacy: LegacyName
    start: int
    """The number of parts before the ids, with those of the prefix."""
    suffix: str
    """The part after the ids; empty if there is none."""


class Node:
    """All names that begin with the same parts."""

    __slots__ = ("candidates", "children")

    def __init__(self) -> None:
        self.candidates: Sequence[Candidate] = ()
        """The legacy names whose ids begin after these parts or earlier, in the order in which they are tried."""
        self.children: dict[str, Node] = {}

    def find(self, parts: Sequence[str]) -> Candidate | None:
        """The legacy name that has these parts; None if there is none, or if no part is an id."""
        node = self
        for part in parts:
            child = node.children.get(part)
            if child is None:
                break
            node = child
        else:
            return None
        for candidate in node.candidates:
            _, start, suffix = candidate
            if not suffix or (parts[-1] == suffix and len(parts) > start + 1):
                return candidate
        return None


def build_name_tree(prefixes: Collection[str], legacy_names: Iterable[LegacyName], modern: Iterable[str]) -> Node:
    """The tree of all names with each of these prefixes, which end with a dot and are tried in their order.

    Modern names have no ids. They are in the tree so that they are not read as legacy names.
    """
    root = Node()
    for prefix, name in product(prefixes, modern):
        add_path(root, f"{prefix}{name}".split("."))
    candidates: dict[Candidate, Node] = {}
    for prefix, legacy in product(prefixes, legacy_names):
        for path, suffix in split_at_ids(prefix, legacy):
            candidates[Candidate(legacy, len(path), suffix)] = add_path(root, path)
    ranks = {candidate: rank for rank, candidate in enumerate(candidates)}
    own: dict[int, list[Candidate]] = {}
    for candidate, node in candidates.items():
        own.setdefault(id(node), []).append(candidate)
    fill(root, (), own, ranks)
    return root


def split_at_ids(prefix: str, legacy: LegacyName) -> Iterator[tuple[list[str], str]]:
    """Yield the parts before the ids of a legacy name and the part after them, if its ids are whole parts."""
    start, suffix = prefix + legacy.prefix, legacy.suffix
    if (start.endswith(".") or not start) and suffix.count(".") == len(suffix[:1]) and suffix[:1] in ("", "."):
        yield start.split(".")[:-1], suffix[1:]


def add_path(root: Node, path: Iterable[str]) -> Node:
    """The node of these parts, which is added if it is missing."""
    node = root
    for part in path:
        node = node.children.setdefault(part, Node())
    return node


def fill(node: Node, above: Sequence[Candidate], own: dict[int, list[Candidate]], ranks: dict[Candidate, int]) -> None:
    """Give each node its own candidates and those of the nodes above it, in the order of their ranks."""
    node.candidates = tuple(sorted([*above, *own.get(id(node), ())], key=ranks.__getitem__))
    for child in node.children.values():
        fill(child, node.candidates, own, ranks)

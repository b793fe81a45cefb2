"""Edits of YAML texts at the positions that the parser reports, so that comments and order stay."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import yaml

TextEdit = tuple[int, int, str]
"""Start, end, and the new text between them."""


def apply_edits(text: str, edits: Iterable[TextEdit]) -> str:
    """The text after all edits; they must not overlap."""
    for start, end, fresh in sorted(edits, reverse=True):
        text = text[:start] + fresh + text[end:]
    return text


def walk_pairs(node: yaml.Node | None) -> Iterator[tuple[str, yaml.Node]]:
    """Yield each key with its value, at every depth."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield key.value, value
            yield from walk_pairs(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from walk_pairs(item)

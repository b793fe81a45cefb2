"""What readers remembered, decoded entry by entry: one that cannot be decoded is lost alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import msgspec

from exporter.metrics.reading import Memory

T = TypeVar("T")


def decode_all(
    memory: Memory, space: str, found: Mapping[bytes, bytes], decode: Callable[[bytes], T]
) -> dict[bytes, T]:
    """Each entry of a space; those that cannot be decoded are removed, counted and reported, once."""
    known: dict[bytes, T] = {}
    lost: list[bytes] = []
    for key, value in found.items():
        try:
            known[key] = decode(value)
        except (msgspec.MsgspecError, UnicodeDecodeError, TypeError):
            lost.append(key)
    if lost:
        memory.lose(space, lost)
    return known

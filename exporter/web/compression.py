"""Expositions as gzip streams: by isal where it is installed, else by zlib."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol
from zlib import DEFLATED

try:
    from isal.isal_zlib import compressobj
except ImportError:  # it is an optional extra
    from zlib import compressobj  # type: ignore[assignment, unused-ignore]

GZIP = 31
"""What zlib calls the gzip container with the largest window."""


class Compressor(Protocol):
    """What zlib and its likes make."""

    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def compress(chunks: Iterable[bytes], make: Callable[..., Compressor] = compressobj) -> Iterator[bytes]:
    """Yield the chunks as one gzip stream at the fastest level; the last one may be empty, as `render` has it.

    Something is yielded for each chunk, so that other threads get their turn: nothing, while the compressor waits.
    """
    packer = make(1, DEFLATED, GZIP)
    ended = False
    for chunk in chunks:
        ended = not chunk
        yield packer.flush() if ended else packer.compress(chunk)
    if not ended:
        yield packer.flush()

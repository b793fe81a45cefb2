"""gzip compression of the exposition: with isal if it is installed, else with zlib."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol
from zlib import DEFLATED

from exporter.store.rendering import END

try:
    from isal.isal_zlib import compressobj
except ImportError:  # it is an optional extra
    from zlib import compressobj  # type: ignore[assignment, unused-ignore]

GZIP_WBITS = 31
"""`wbits` of zlib for the gzip container with the largest window."""


class Compressor(Protocol):
    """A compression object of zlib or isal."""

    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def compress(chunks: Iterable[bytes], make_compressor: Callable[..., Compressor] = compressobj) -> Iterator[bytes]:
    """Yield the chunks as one gzip stream at the fastest level; the last chunk may be END, as `render` yields it.

    Yields once per chunk, so that other threads can run; the value is empty while the compressor buffers.
    """
    compressor = make_compressor(1, DEFLATED, GZIP_WBITS)
    ended = False
    for chunk in chunks:
        ended = chunk is END
        yield compressor.flush() if ended else compressor.compress(chunk)
    if not ended:
        yield compressor.flush()

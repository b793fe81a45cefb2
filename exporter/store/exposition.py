"""Renders the store for a scrape, in the format that was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum

from exporter.store.rendering import CHUNK_BYTES, END, PAUSE, Rendering
from exporter.store.store import Store
from exporter.store.text_format import write_families


class Format(Enum):
    """A format; the value is its content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    PROTOBUF = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"

    @property
    def content_type(self) -> str:
        """The value of the header Content-Type."""
        return self.value


def render(
    store: Store,
    format: Format,  # noqa: A002 - the usual word
    names: frozenset[str] = frozenset(),
    *,
    mark_exposed: bool = True,
    reveal_all: bool = False,
) -> Iterator[bytes]:
    """Yield the exposition in chunks of CHUNK_BYTES or a little more; between two chunks other threads should run.

    `names` selects families or samples by name; empty selects all. Series that are not revealed are rendered as 0,
    or with their value if `reveal_all`. The last chunk is END: the step after it marks the zeros as exposed, unless
    `mark_exposed` is false. So a client that disconnects before the end has seen no zero. Other empty ones are pauses.
    """
    rendering = Rendering(reveal_all=reveal_all, complete=not names)
    held: list[bytes] = []
    size = 0
    for piece in write(store, format, names, rendering):
        if not piece:
            yield PAUSE
        held.append(piece)
        size += len(piece)
        if size >= CHUNK_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if format is Format.OPENMETRICS:
        held.append(b"# EOF\n")
    if held:
        yield b"".join(held)
    yield END
    if mark_exposed and not reveal_all:
        rendering.mark_exposed(store.clock())


def write(store: Store, form: Format, names: frozenset[str], rendering: Rendering) -> Iterator[bytes]:
    """Yield the exposition in pieces of any size; an empty one where a chunk's worth of work has led to nothing yet."""
    if form is Format.PROTOBUF:
        # Most exporters are never asked for it.
        from exporter.store import protobuf  # noqa: PLC0415

        return protobuf.write_families(store, names, rendering)
    return write_families(store, names, rendering, openmetrics=form is Format.OPENMETRICS)

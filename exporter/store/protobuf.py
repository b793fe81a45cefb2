"""Renders the store as protobuf: messages `io.prometheus.client.MetricFamily`, each after its length.

Written by hand, because only a few kinds of fields are needed and the labels of a series never change: they are encoded
once. Only this format can have native histograms.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate, chain, pairwise
from struct import Struct

from exporter.metrics.family import Family, HistogramForm, Kind, Labels
from exporter.store.native import SCHEMA, ZERO_THRESHOLD, list_buckets
from exporter.store.rendering import PAUSE, Rendering, cache_lock, is_selected, split_blocks
from exporter.store.store import FamilyTable, Scope, Series, Store

SLICE_BYTES = 256 * 1024
"""Bytes of one family between two pauses: a few milliseconds, as most of them are cached or cheap."""
SLICE_HISTOGRAMS = 200
"""Changed native histograms of one family between two pauses: 2 ms of encoding. A pause itself takes 0.03 ms."""
MAX_ENCODED = 1_000
"""Encoded buckets that are cached for other histograms with equal counts."""
MAX_TEMPLATES = 10_000
"""Families whose headers and label names are cached."""

pack_double = Struct("<d").pack
TYPES = {Kind.COUNTER: 0, Kind.GAUGE: 1, Kind.SUMMARY: 2, Kind.HISTOGRAM: 4}
"""Values of the enumeration MetricType."""
VALUES = {Kind.COUNTER: b"\x1a\x09\x09", Kind.GAUGE: b"\x12\x09\x09"}
"""Field and length of a Counter or Gauge in a Metric, and the field of its value."""


def write_families(store: Store, names: frozenset[str], rendering: Rendering) -> Iterator[bytes]:
    """Yield each family's length and header, then blocks of its metrics; a family is never cut.

    Its length comes first, so all of it is rendered before its first byte. Meanwhile a pause follows each slice.
    """
    for family, tables in store.walk():
        if is_selected(family, names):
            blocks: list[bytes] = []
            size = 0
            for block in chain.from_iterable(write_table(table, rendering) for table in tables):
                blocks.append(block)
                size += len(block)
                if size >= SLICE_BYTES or rendering.encoded >= SLICE_HISTOGRAMS:
                    yield PAUSE
                    rendering.encoded = size = 0
            header = encode_header(family)
            yield encode_varint(len(header) + sum(map(len, blocks))) + header
            yield from blocks


def write_table(table: FamilyTable, rendering: Rendering) -> Iterator[bytes]:
    """Yield blocks of metrics, each rendered under the lock."""
    write = {Kind.HISTOGRAM: write_histograms, Kind.SUMMARY: write_summaries}.get(table.family.kind, write_singles)
    for block in split_blocks(table, 1 if write is write_singles else 10):
        with cache_lock:
            text = write(table, block, rendering)
        yield text


def write_singles(table: FamilyTable, block: Iterable[Series], rendering: Rendering) -> bytes:
    """Counters or gauges: what does not change is cached, then comes the value."""
    read, write, pack = rendering.read, encode_prefix, pack_double
    if table.persistent:
        return b"".join([(one.wire or write(table, one)) + pack(*read(one)) for one in block])
    pieces = []
    for one in block:
        value = one.value
        known = one.revealed and not isinstance(value, list)
        pieces.append((one.wire or write(table, one)) + (pack(value) if known else pack(*read(one))))
    return b"".join(pieces)


def encode_prefix(table: FamilyTable, series: Series) -> bytes:
    """Encode and cache a counter or gauge up to its value."""
    labels = encode_labels(table, series.labels)
    field = VALUES[table.family.kind]
    series.wire = b"\x22%b%b%b" % (encode_varint(len(labels) + 11), labels, field)
    return series.wire


def write_histograms(table: FamilyTable, block: Iterable[Series], rendering: Rendering) -> bytes:
    """Histograms: classic, native, or both in one."""
    if table.form is HistogramForm.CLASSIC:
        return b"".join([write_histogram(table, series, rendering.read(series)) for series in block])
    pieces = []
    for series in block:
        # A ledger replaces the list of a histogram that changes.
        cells = rendering.read(series)
        if series.wired is not cells:
            series.wire = b""
            series.wire, series.wired = write_histogram(table, series, cells), cells
            rendering.encoded += 1
        pieces.append(series.wire)
    return b"".join(pieces)


def write_histogram(table: FamilyTable, series: Series, cells: Sequence[float]) -> bytes:
    """A histogram; its labels are cached."""
    width = len(table.buckets) + 1
    counts = tuple(cells[:width])
    body = [b"\x08", encode_varint(int(sum(counts))), b"\x11", pack_double(cells[-1])]
    if table.form is not HistogramForm.NATIVE and not table.native_only:
        body.append(encode_buckets(table.buckets, counts))
    if table.form is not HistogramForm.CLASSIC:
        body.append(encode_native(cells[width:-1]))
    labels = series.wire = series.wire or encode_labels(table, series.labels)
    return encode_metric(labels, b"\x3a", b"".join(body))


def write_summaries(table: FamilyTable, block: Iterable[Series], rendering: Rendering) -> bytes:
    """Summaries, with a quantile for each objective."""
    pieces = []
    for series in block:
        *quantiles, total, count = rendering.read(series)
        fields = [b"\x08", encode_varint(int(count)), b"\x11", pack_double(total)]
        for (quantile, _), value in zip(table.family.objectives, quantiles, strict=True):
            fields += b"\x1a\x12\x09", pack_double(quantile), b"\x11", pack_double(value)
        labels = series.wire = series.wire or encode_labels(table, series.labels)
        pieces.append(encode_metric(labels, b"\x22", b"".join(fields)))
    return b"".join(pieces)


def encode_metric(labels: bytes, field: bytes, value: bytes) -> bytes:
    """A Metric in its family."""
    sized = b"%b%b%b" % (field, encode_varint(len(value)), value)
    return b"\x22%b%b%b" % (encode_varint(len(labels) + len(sized)), labels, sized)


@lru_cache(maxsize=MAX_ENCODED)
def encode_buckets(bounds: tuple[float, ...], counts: tuple[float, ...]) -> bytes:
    """The buckets of a classic histogram; the last one (+Inf) is the count."""
    pieces = []
    for bound, count in zip(bounds, accumulate(counts), strict=False):
        bucket = b"\x08%b\x11%b" % (encode_varint(int(count)), pack_double(bound))
        pieces.append(b"\x1a%b%b" % (encode_varint(len(bucket)), bucket))
    return b"".join(pieces)


def encode_native(native: Sequence[float]) -> bytes:
    """Schema, zero bucket, and the other buckets: spans without gaps, and the difference of each count to the last."""
    buckets = list_buckets(native)
    fields = [
        b"\x28%b\x31%b" % (encode_signed(SCHEMA - int(native[0])), pack_double(ZERO_THRESHOLD)),
        b"\x38%b" % encode_varint(int(native[1])),
    ]
    for offset, length in list_spans([index for index, _ in buckets]):
        span = b"\x08%b\x10%b" % (encode_signed(offset), encode_varint(length))
        fields.append(b"\x62%b%b" % (encode_varint(len(span)), span))
    if buckets:
        counts = [0, *(int(count) for _, count in buckets)]
        deltas = b"".join([encode_signed(after - before) for before, after in pairwise(counts)])
        fields.append(b"\x6a%b%b" % (encode_varint(len(deltas)), deltas))
    return b"".join(fields)


def list_spans(indexes: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield runs of adjacent buckets: the distance from the end of the run before (at first from 0), and the length."""
    runs: list[tuple[int, int]] = []
    for index in indexes:
        if runs and runs[-1][1] == index:
            runs[-1] = runs[-1][0], index + 1
        else:
            runs.append((index, index + 1))
    before = 0
    for begin, end in runs:
        yield begin - before, end - begin
        before = end


@lru_cache(maxsize=MAX_TEMPLATES)
def encode_header(family: Family) -> bytes:
    """Name, help and type of a family."""
    return b"%b%b\x18%b" % (
        encode_text(b"\x0a", family.name),
        encode_text(b"\x12", family.help),
        encode_varint(TYPES[family.kind]),
    )


def encode_labels(table: FamilyTable, labels: Labels) -> bytes:
    """The labels of the scope, then those of the family."""
    fixed, names = encode_label_names(table.family, table.scope)
    pairs = [name + encode_text(b"\x12", value) for name, value in zip(names, labels, strict=True)]
    return fixed + b"".join([b"\x0a%b%b" % (encode_varint(len(pair)), pair) for pair in pairs])


@lru_cache(maxsize=MAX_TEMPLATES)
def encode_label_names(family: Family, scope: Scope) -> tuple[bytes, tuple[bytes, ...]]:
    """The labels of the scope, and the family's label names."""
    pairs = [encode_text(b"\x0a", name) + encode_text(b"\x12", value) for name, value in scope]
    fixed = b"".join([b"\x0a%b%b" % (encode_varint(len(pair)), pair) for pair in pairs])
    return fixed, tuple(encode_text(b"\x0a", name) for name in family.labels)


def encode_text(field: bytes, text: str) -> bytes:
    """A field with a string."""
    raw = text.encode()
    return b"%b%b%b" % (field, encode_varint(len(raw)), raw)


def encode_signed(number: int) -> bytes:
    """A number of the types sint32 and sint64."""
    return encode_varint(number << 1 if number >= 0 else (-number << 1) - 1)


def encode_varint(number: int) -> bytes:
    """A number that is not negative: seven bits a byte, the lowest first."""
    if number < 0x80:
        return SMALL_NUMBERS[number]
    pieces = bytearray()
    while number > 0x7F:
        pieces.append(number & 0x7F | 0x80)
        number >>= 7
    pieces.append(number)
    return bytes(pieces)


SMALL_NUMBERS = tuple(bytes([number]) for number in range(0x80))

"""Renders the store as text: Prometheus format 0.0.4 and OpenMetrics 1.0.0.

The formats differ only in HELP, TYPE and the last line, so each series' line is rendered once for both. The series
caches it, without the family's name, until its value changes. A histogram caches only labels and sum, because its
lines would need more memory than everything else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import Enum
from functools import lru_cache
from itertools import accumulate
from math import isfinite
from threading import Lock
from typing import cast

from exporter.metrics.family import Family, Kind, Labels
from exporter.store.store import FamilyTable, PersistentSeries, Scope, Series, Store, list_sample_names

CHUNK_BYTES = 64 * 1024
"""Size of the chunks that `render` yields."""
BLOCK_LINES = 1000
"""Lines that are rendered while other scrapes wait."""
MAX_TEMPLATES = 10_000
"""Families whose templates are cached."""
MAX_FILLED_TEMPLATES = 1_000
"""Filled histogram templates that are cached for other histograms with equal counts."""

_cache_lock = Lock()
"""Protects the cached lines from other scrapes. A thread that changes a value does not need it."""


class Format(Enum):
    """A text format; the value is its content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

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
    """Yield the exposition in chunks; between two chunks other threads should run.

    `names` selects families or samples by name; empty selects all. Series that are not revealed are rendered as 0,
    or with their value if `reveal_all`. The last chunk is empty: the step after it marks the zeros as exposed, unless
    `mark_exposed` is false. So a client that disconnects before the end has seen no zero.
    """
    rendering = Rendering(reveal_all=reveal_all)
    held: list[bytes] = []
    size = 0
    for piece in write_families(store, format, names, rendering):
        held.append(piece)
        size += len(piece)
        if size >= CHUNK_BYTES:
            yield b"".join(held)
            held, size = [], 0
    if format is Format.OPENMETRICS:
        held.append(b"# EOF\n")
    if held:
        yield b"".join(held)
    yield b""
    if mark_exposed and not reveal_all:
        rendering.mark_exposed(store.clock())


class Rendering:
    """One pass over the store; it collects the series that were rendered as 0 because they are not revealed."""

    __slots__ = ("_hidden", "_reveal_all")

    def __init__(self, *, reveal_all: bool) -> None:
        self._reveal_all = reveal_all
        self._hidden: list[Series] = []

    def read(self, series: Series) -> list[float]:
        """The cells to render: those of the series, or zeros if it is not revealed."""
        if not (series.revealed or self._reveal_all):
            self._hidden.append(series)
            return [0] * len(series.cells)
        if isinstance(series, PersistentSeries):
            return series.saved if isinstance(series.saved, list) else [series.saved]
        value = series.value
        return value if isinstance(value, list) else series.cells

    def mark_exposed(self, now: float) -> None:
        """Note that the zeros were exposed, `now` in monotonic seconds."""
        for series in self._hidden:
            series.exposed_at = series.exposed_at or now


def write_families(store: Store, text_format: Format, names: frozenset[str], rendering: Rendering) -> Iterator[bytes]:
    """Yield each family's header, then blocks of its samples."""
    for family, tables in store.walk():
        whole = not names or family.name in names or family.base_name in names
        wanted = names.intersection(list_sample_names(family))
        if whole or wanted:
            yield write_header(family, text_format)
            for block in write_tables(tables, rendering):
                yield block if whole else select_samples(block, wanted)


def write_tables(tables: Iterable[FamilyTable], rendering: Rendering) -> Iterator[bytes]:
    """Yield blocks of about BLOCK_LINES lines, each rendered under the lock."""
    for table in tables:
        write = WRITERS.get(table.family.kind, write_singles)
        lines = 1 if write is write_singles else len(table.buckets) + len(table.family.objectives) + 3
        step = max(1, BLOCK_LINES // lines)
        series = table.series
        for start in range(0, len(series), step):
            block = series[start : start + step]
            with _cache_lock:
                text = write(table, block, rendering)
            yield text


def write_singles(table: FamilyTable, block: Iterable[Series], rendering: Rendering) -> bytes:
    """Render counters or gauges."""
    name = table.family.name.encode()
    # A series that was never rendered, or is not revealed, has None as its `rendered_value`.
    if table.persistent:
        saved = cast("Iterable[PersistentSeries]", block)
        lines = [
            each.text if each.saved == each.rendered_value else write_line(table, each, rendering) for each in saved
        ]
    else:
        lines = [
            each.text if each.value == each.rendered_value else write_line(table, each, rendering) for each in block
        ]
    return name + name.join(lines)


def write_line(table: FamilyTable, series: Series, rendering: Rendering) -> bytes:
    """Render and cache the line of a counter or gauge, without its name; 0 of a hidden series does not stay cached."""
    prefix = series.text[: series.text.rfind(b" ") + 1] or write_prefix(table, series.labels)
    revealed = series.revealed
    (value,) = rendering.read(series)
    series.text = b"%b%a\n" % (prefix, value) if isfinite(value) else b"%b%b\n" % (prefix, format_value(value))
    series.rendered_value = value if revealed else None
    return series.text


def write_prefix(table: FamilyTable, labels: Labels) -> bytes:
    """The labels in braces and a space, or only a space if there are none."""
    text = write_labels(table, labels)
    return b"{%b} " % text if text else b" "


def write_histograms(table: FamilyTable, block: Iterable[Series], rendering: Rendering) -> bytes:
    """Render all lines of histograms."""
    template = table.template = table.template or build_histogram_template(table)
    pieces: list[bytes] = []
    for series in block:
        cells = tuple(rendering.read(series))
        total = cells[-1]
        if total is not series.rendered_value:
            cache_sum(table, series, total)
        labels, _, spelled = series.text.rpartition(b"\0")
        before, after = fill_template(template, cells[:-1])
        pieces += labels.join(before), spelled, labels.join(after)
    return b"".join(pieces)


def cache_sum(table: FamilyTable, series: Series, total: float) -> None:
    """Cache a histogram's labels and, after NUL, its sum: to format them is a large part of the work."""
    labels = series.text.rpartition(b"\0")[0] if series.text else write_labels(table, series.labels)
    series.text = b"%b\0%b" % (labels, format_value(total))
    series.rendered_value = total


@lru_cache(maxsize=MAX_FILLED_TEMPLATES)
def fill_template(template: str, counts: tuple[float, ...]) -> tuple[list[bytes], list[bytes]]:
    """The text between a histogram's labels, before and after its sum, with cumulative counts.

    Histograms of rare events often have equal counts, so the result is cached.
    """
    *sums, count = accumulate(counts)
    before, after = (template % (*sums, count, "\1", count)).encode().split(b"\1")
    return before.split(b"\0"), after.split(b"\0")


def write_summaries(table: FamilyTable, block: Iterable[Series], rendering: Rendering) -> bytes:
    """Render all lines of summaries."""
    return b"".join([write_summary(table, series, rendering) for series in block])


def write_summary(table: FamilyTable, series: Series, rendering: Rendering) -> bytes:
    """Render all lines of a summary. They are not cached, because quantiles change with time."""
    *quantiles, total, count = rendering.read(series)
    template = build_summary_template(
        table.family.name, table.family.objectives, bool(table.scope or table.family.labels)
    )
    filled = template % tuple(format_value(value).decode() for value in (*quantiles, total, count))
    return filled.encode().replace(b"\0", write_labels(table, series.labels))


WRITERS = {Kind.HISTOGRAM: write_histograms, Kind.SUMMARY: write_summaries}


@lru_cache(maxsize=MAX_TEMPLATES)
def build_summary_template(name: str, objectives: tuple[tuple[float, float], ...], labelled: bool) -> str:
    """All lines of a summary, with %s for each value and NUL for the labels."""
    before, plain = ("\0,", "{\0}") if labelled else ("", "")
    lines = [f'{name}{{{before}quantile="{format_bound(quantile)}"}} %s\n' for quantile, _ in objectives]
    return "".join(lines) + f"{name}_sum{plain} %s\n{name}_count{plain} %s\n"


def build_histogram_template(table: FamilyTable) -> str:
    """All lines of a histogram, with %s for each value and NUL for the labels."""
    name = table.family.name
    before, plain = ("\0,", "{\0}") if table.scope or table.family.labels else ("", "")
    bounds = [*map(format_bound, table.buckets), "+Inf"]
    lines = [f'{name}_bucket{{{before}le="{bound}"}} %s\n' for bound in bounds]
    return "".join(lines) + f"{name}_sum{plain} %s\n{name}_count{plain} %s\n"


def write_labels(table: FamilyTable, labels: Labels) -> bytes:
    """Label names and escaped values, without braces."""
    text = "".join(labels)
    if "\\" in text or '"' in text or "\n" in text:
        labels = tuple(map(escape_label, labels))
    return (build_label_template(table.family, table.scope) % labels).encode()


@lru_cache(maxsize=MAX_TEMPLATES)
def build_label_template(family: Family, scope: Scope) -> str:
    """The labels of the scope, then the family's label names with %s for each value."""
    fixed = [f'{name}="{escape_label(value)}"'.replace("%", "%%") for name, value in scope]
    return ",".join(fixed + [f'{name}="%s"' for name in family.labels])


@lru_cache(maxsize=MAX_TEMPLATES)
def write_header(family: Family, text_format: Format) -> bytes:
    """The lines HELP and TYPE."""
    name, kind, text = family.name, family.kind.value, family.help.replace("\\", r"\\").replace("\n", r"\n")
    if text_format is Format.OPENMETRICS:
        name, text = family.base_name, text.replace('"', r"\"")
        # A counter from a user's mapping may have a name without _total, which OpenMetrics does not allow.
        kind = "unknown" if family.kind is Kind.COUNTER and name == family.name else kind
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n".encode()


def select_samples(block: bytes, wanted: Iterable[str]) -> bytes:
    """The lines of these samples only."""
    starts = tuple(name.encode() + mark for name in wanted for mark in (b"{", b" "))
    return b"".join([line + b"\n" for line in block.split(b"\n") if line.startswith(starts)])


def escape_label(value: str) -> str:
    """The label value with backslash, line feed and quote escaped."""
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def format_value(value: float) -> bytes:
    """A sample's value; integers have no fraction."""
    if isfinite(value):
        return repr(value).encode()
    return b"NaN" if value != value else b"+Inf" if value > 0 else b"-Inf"  # noqa: PLR0124 - true only of NaN


def format_bound(bound: float) -> str:
    """A bucket's bound as Prometheus' Go and Python clients write it: "0.5", "60.0", "1e+06"."""
    text = repr(float(bound))
    whole, point, fraction = text.partition(".")
    if bound <= 0 or not point or len(whole) <= 6:
        return text
    digits = f"{whole[1:]}{fraction}".rstrip("0")
    return f"{whole[0]}{'.' if digits else ''}{digits}e+{len(whole) - 1:02d}"

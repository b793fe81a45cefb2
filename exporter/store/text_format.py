"""The text formats: Prometheus format 0.0.4 and OpenMetrics 1.0.0.

The formats differ only in HELP, TYPE and the last line, so each series' lines are rendered once for both. The series
caches them, a counter or gauge without the family's name, until its value changes. Histograms need the most memory for
that, so beyond MAX_HISTOGRAM_TEXT they cache only labels and sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from math import isfinite
from operator import attrgetter
from typing import cast

from exporter.metrics.family import Family, Kind, Labels
from exporter.store.rendering import Rendering, cache_lock, split_blocks
from exporter.store.store import FamilyTable, PersistentSeries, Scope, Series, Store, list_sample_names

MAX_TEMPLATES = 10_000
"""Families whose templates are cached."""
MAX_FILLED_TEMPLATES = 1_000
"""Filled histogram templates that are cached for other histograms with equal counts."""


def write_families(store: Store, names: frozenset[str], rendering: Rendering, *, openmetrics: bool) -> Iterator[bytes]:
    """Yield each family's header, then blocks of its samples."""
    for family, tables in store.walk():
        if all(table.native_only for table in tables):
            continue
        whole = not names or family.name in names or family.base_name in names
        wanted = names.intersection(list_sample_names(family))
        if whole or wanted:
            yield write_header(family, openmetrics)
            for block in write_tables(tables, rendering):
                yield block if whole else select_samples(block, wanted)


def write_tables(tables: Iterable[FamilyTable], rendering: Rendering) -> Iterator[bytes]:
    """Yield blocks of lines, each rendered under the lock."""
    for table in tables:
        write = WRITERS.get(table.family.kind, write_singles)
        lines = 1 if write is write_singles else len(table.buckets) + len(table.family.objectives) + 3
        for block in split_blocks(table, lines):
            with cache_lock:
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


def write_histograms(table: FamilyTable, block: Sequence[Series], rendering: Rendering) -> bytes:
    """Render all lines of histograms; those that did not change since the last time are cached while there is room."""
    has_room = rendering.room > 0
    write = write_cached_histogram if has_room else write_histogram
    if has_room or not rendering.complete:
        exposed = map(attrgetter("saved" if table.persistent else "value"), block)
        text = b"".join(
            [
                each.text if cells == each.rendered_value else write(table, each, rendering)
                for each, cells in zip(block, exposed, strict=True)
            ]
        )
    else:
        text = b"".join([write(table, each, rendering) for each in block])
    rendering.room -= len(text)
    return text


def write_cached_histogram(table: FamilyTable, series: Series, rendering: Rendering) -> bytes:
    """Render and cache all lines of a histogram; zeros of a hidden series do not stay cached."""
    revealed = series.revealed
    # A copy: the thread that owns the series may change the list in place.
    cells = rendering.read(series).copy()
    series.text = fill_histogram(table, cells, write_labels(table, series.labels), format_value(cells[-1]))
    series.rendered_value = cells if revealed else None
    return series.text


def write_histogram(table: FamilyTable, series: Series, rendering: Rendering) -> bytes:
    """Render all lines of a histogram, and cache its labels and, after NUL, its sum."""
    cells = rendering.read(series).copy()
    total = cells[-1]
    if isinstance(series.rendered_value, list):
        series.text, series.rendered_value = b"", None
    if total is not series.rendered_value:
        labels = series.text.rpartition(b"\0")[0] if series.text else write_labels(table, series.labels)
        series.text = b"%b\0%b" % (labels, format_value(total))
        series.rendered_value = total
    labels, _, spelled = series.text.rpartition(b"\0")
    return fill_histogram(table, cells, labels, spelled)


def fill_histogram(table: FamilyTable, cells: list[float], labels: bytes, total: bytes) -> bytes:
    """All lines of a histogram."""
    table.template = table.template or build_histogram_template(table)
    before, after = fill_template(table.template, tuple(cells[: len(table.buckets) + 1]))
    return b"%b%b%b" % (labels.join(before), total, labels.join(after))


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
def write_header(family: Family, openmetrics: bool) -> bytes:
    """The lines HELP and TYPE."""
    name, kind, text = family.name, family.kind.value, family.help.replace("\\", r"\\").replace("\n", r"\n")
    if openmetrics:
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

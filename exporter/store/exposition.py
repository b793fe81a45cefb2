"""The store as text: format 0.0.4 and OpenMetrics 1.0.0.

The two formats differ in HELP, TYPE and the end only, so a series' line is made once for both. It is kept with it, but
for the name that a family's lines share, and made again when its value is no longer the one it says. Of histograms
the labels and the sum are kept: their lines would take more memory than all the rest.
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
from exporter.store.store import Kept, Scope, Series, Store, Table, sample_names

CHUNK = 64 * 1024
"""Bytes after which `render` hands over what it has."""
BLOCK = 1000
"""Lines that are written without letting another rendering in."""
FORMS = 10_000
"""How many families' texts are kept."""
FILLED = 1_000
"""How many histograms' lines are kept for others that have the same counts."""

_turn = Lock()
"""Held while kept lines are read and renewed. Renderings exclude one another; whoever changes a value never waits."""


class Format(Enum):
    """A text format, by its content type."""

    TEXT = "text/plain; version=0.0.4; charset=utf-8"
    OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

    @property
    def content_type(self) -> str:
        """The value of the header Content-Type."""
        return self.value


def render(
    store: Store,
    format: Format,  # noqa: A002 - the word for it
    names: frozenset[str] = frozenset(),
    *,
    mark: bool = True,
    truth: bool = False,
) -> Iterator[bytes]:
    """Yield the exposition in chunks, between which other threads should get a turn.

    `names` keeps families by their name, or samples by theirs; empty keeps all. Series that are not shown are
    written as zero; `truth` writes their values instead. The last chunk is empty: with the step after it the zeros
    count as exposed, if `mark`. A client that went away before, or whose scrape took too long, has seen nothing.
    """
    rendering = Rendering(truth=truth)
    held: list[bytes] = []
    size = 0
    for piece in write_families(store, format, names, rendering):
        held.append(piece)
        size += len(piece)
        if size >= CHUNK:
            yield b"".join(held)
            held, size = [], 0
    if format is Format.OPENMETRICS:
        held.append(b"# EOF\n")
    if held:
        yield b"".join(held)
    yield b""
    if mark and not truth:
        rendering.mark(store.clock())


class Rendering:
    """One walk over the store: what it does with series that are not shown, and which of them it met."""

    __slots__ = ("_hidden", "_truth")

    def __init__(self, *, truth: bool) -> None:
        self._truth = truth
        self._hidden: list[Series] = []

    def read(self, series: Series) -> list[float]:
        """The cells to write: the series' own, or zeros while it is not shown."""
        if not (series.shown or self._truth):
            self._hidden.append(series)
            return [0] * len(series.cells)
        if isinstance(series, Kept):
            return series.kept if isinstance(series.kept, list) else [series.kept]
        value = series.value
        return value if isinstance(value, list) else series.cells

    def mark(self, now: float) -> None:
        """Note that the zeros have been seen, `now` in monotonic seconds."""
        for series in self._hidden:
            series.exposed_at = series.exposed_at or now


def write_families(store: Store, form: Format, names: frozenset[str], rendering: Rendering) -> Iterator[bytes]:
    """Yield each family's header, then its samples block by block."""
    for family, tables in store.walk():
        whole = not names or family.name in names or family.base_name in names
        wanted = names.intersection(sample_names(family))
        if whole or wanted:
            yield write_header(family, form)
            for block in write_tables(tables, rendering):
                yield block if whole else keep_samples(block, wanted)


def write_tables(tables: Iterable[Table], rendering: Rendering) -> Iterator[bytes]:
    for table in tables:
        write = WRITERS.get(table.family.kind, write_singles)
        lines = 1 if write is write_singles else len(table.buckets) + len(table.family.objectives) + 3
        step = max(1, BLOCK // lines)
        series = table.series
        for start in range(0, len(series), step):
            block = series[start : start + step]
            with _turn:
                text = write(table, block, rendering)
            yield text


def write_singles(table: Table, block: Iterable[Series], rendering: Rendering) -> bytes:
    """Write counters or gauges."""
    name = table.family.name.encode()
    # What was never written, or is not shown, has None as its `written`.
    if table.kept:
        kept = cast("Iterable[Kept]", block)
        lines = [each.text if each.kept == each.written else write_line(table, each, rendering) for each in kept]
    else:
        lines = [each.text if each.value == each.written else write_line(table, each, rendering) for each in block]
    return name + name.join(lines)


def write_line(table: Table, series: Series, rendering: Rendering) -> bytes:
    """Write what follows the name in the line of a counter or gauge, and keep it unless the series is not shown."""
    prefix = series.text[: series.text.rfind(b" ") + 1] or write_prefix(table, series.labels)
    shown = series.shown
    (value,) = rendering.read(series)
    series.text = b"%b%a\n" % (prefix, value) if isfinite(value) else b"%b%b\n" % (prefix, spell(value))
    series.written = value if shown else None
    return series.text


def write_prefix(table: Table, labels: Labels) -> bytes:
    text = write_labels(table, labels)
    return b"{%b} " % text if text else b" "


def write_histograms(table: Table, block: Iterable[Series], rendering: Rendering) -> bytes:
    """Write all lines of histograms."""
    form = table.form = table.form or histogram_form(table)
    pieces: list[bytes] = []
    for series in block:
        cells = tuple(rendering.read(series))
        total = cells[-1]
        if total is not series.written:
            keep_sum(table, series, total)
        labels, _, spelled = series.text.rpartition(b"\0")
        before, after = fill_form(form, cells[:-1])
        pieces += labels.join(before), spelled, labels.join(after)
    return b"".join(pieces)


def keep_sum(table: Table, series: Series, total: float) -> None:
    """Keep a histogram's labels and, behind NUL, its sum: to spell these is a good part of the work."""
    labels = series.text.rpartition(b"\0")[0] if series.text else write_labels(table, series.labels)
    series.text = b"%b\0%b" % (labels, spell(total))
    series.written = total


@lru_cache(maxsize=FILLED)
def fill_form(form: str, counts: tuple[float, ...]) -> tuple[list[bytes], list[bytes]]:
    """What stands between a histogram's labels, before and after its sum, with its counts cumulated.

    Many are alike, above all those of what happens rarely.
    """
    *sums, count = accumulate(counts)
    before, after = (form % (*sums, count, "\1", count)).encode().split(b"\1")
    return before.split(b"\0"), after.split(b"\0")


def write_summaries(table: Table, block: Iterable[Series], rendering: Rendering) -> bytes:
    return b"".join([write_summary(table, series, rendering) for series in block])


def write_summary(table: Table, series: Series, rendering: Rendering) -> bytes:
    """Write all lines of a summary, which are not kept: its quantiles change as time passes."""
    *quantiles, total, count = rendering.read(series)
    form = summary_form(table.family.name, table.family.objectives, bool(table.scope or table.family.labels))
    filled = form % tuple(spell(value).decode() for value in (*quantiles, total, count))
    return filled.encode().replace(b"\0", write_labels(table, series.labels))


WRITERS = {Kind.HISTOGRAM: write_histograms, Kind.SUMMARY: write_summaries}


@lru_cache(maxsize=FORMS)
def summary_form(name: str, objectives: tuple[tuple[float, float], ...], labelled: bool) -> str:
    """All lines of one summary, with %s for each value and NUL for the labels."""
    before, plain = ("\0,", "{\0}") if labelled else ("", "")
    lines = [f'{name}{{{before}quantile="{spell_bound(quantile)}"}} %s\n' for quantile, _ in objectives]
    return "".join(lines) + f"{name}_sum{plain} %s\n{name}_count{plain} %s\n"


def histogram_form(table: Table) -> str:
    """All lines of a table's histograms, with %s for each value and NUL for the labels."""
    name = table.family.name
    before, plain = ("\0,", "{\0}") if table.scope or table.family.labels else ("", "")
    bounds = [*map(spell_bound, table.buckets), "+Inf"]
    lines = [f'{name}_bucket{{{before}le="{bound}"}} %s\n' for bound in bounds]
    return "".join(lines) + f"{name}_sum{plain} %s\n{name}_count{plain} %s\n"


def write_labels(table: Table, labels: Labels) -> bytes:
    text = "".join(labels)
    if "\\" in text or '"' in text or "\n" in text:
        labels = tuple(map(escape_label, labels))
    return (label_form(table.family, table.scope) % labels).encode()


@lru_cache(maxsize=FORMS)
def label_form(family: Family, scope: Scope) -> str:
    """The labels with %s for each value of the family's own."""
    fixed = [f'{name}="{escape_label(value)}"'.replace("%", "%%") for name, value in scope]
    return ",".join(fixed + [f'{name}="%s"' for name in family.labels])


@lru_cache(maxsize=FORMS)
def write_header(family: Family, form: Format) -> bytes:
    name, kind, text = family.name, family.kind.value, family.help.replace("\\", r"\\").replace("\n", r"\n")
    if form is Format.OPENMETRICS:
        name, text = family.base_name, text.replace('"', r"\"")
        # A user's mapping may name a counter as OpenMetrics does not let one be named.
        kind = "unknown" if family.kind is Kind.COUNTER and name == family.name else kind
    return f"# HELP {name} {text}\n# TYPE {name} {kind}\n".encode()


def keep_samples(block: bytes, wanted: Iterable[str]) -> bytes:
    """Only the lines of these samples."""
    starts = tuple(name.encode() + mark for name in wanted for mark in (b"{", b" "))
    return b"".join([line + b"\n" for line in block.split(b"\n") if line.startswith(starts)])


def escape_label(value: str) -> str:
    return value.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def spell(value: float) -> bytes:
    """A sample's value; whole numbers that are integers have no fraction."""
    if isfinite(value):
        return repr(value).encode()
    return b"NaN" if value != value else b"+Inf" if value > 0 else b"-Inf"  # noqa: PLR0124 - what NaN is


def spell_bound(bound: float) -> str:
    """A bucket's bound as Go's and Python's clients write it: "0.5", "60.0", "1e+06"."""
    text = repr(float(bound))
    whole, point, fraction = text.partition(".")
    if bound <= 0 or not point or len(whole) <= 6:
        return text
    digits = f"{whole[1:]}{fraction}".rstrip("0")
    return f"{whole[0]}{'.' if digits else ''}{digits}e+{len(whole) - 1:02d}"

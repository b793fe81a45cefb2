"""The command `metrics`: the catalogue of metrics as a table, Markdown or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from exporter.commands.cardinality import format_cardinality
from exporter.metrics.family import Family

COLUMNS = ("name", "kind", "labels", "help")


def format_json(families: Iterable[Family]) -> str:
    """A JSON list with one object per family."""
    return json.dumps([to_dict(family) for family in families], indent=2)


def to_dict(family: Family) -> dict[str, Any]:
    """The declaration of a family as JSON values."""
    return {
        "name": family.name,
        "kind": str(family.kind),
        "help": family.help,
        "labels": list(family.labels),
        "source": family.source,
        "reader": family.reader,
        "origin": family.origin,
        "since": family.since,
        "audience": family.audience,
        "buckets": list(family.buckets),
        "cardinality": format_cardinality(family),
        "cap": family.cap,
        "closed": {label: list(values) for label, values in family.closed.items()},
    }


def format_table(families: Iterable[Family]) -> str:
    """One line per family, in aligned columns; the help is the last."""
    rows = [COLUMNS, *((family.name, str(family.kind), ",".join(family.labels), family.help) for family in families)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS) - 1)]
    return "\n".join("  ".join([*map(str.ljust, row, widths), row[-1]]).rstrip() for row in rows)


def format_markdown(families: Iterable[Family]) -> str:
    """A Markdown section per source and reader, with a table of its families."""
    return "\n".join(
        line
        for key, group in groupby(sort_by_reader(families), key=get_reader_key)
        for line in format_section(*key, group)
    )


def sort_by_reader(families: Iterable[Family]) -> list[Family]:
    """The families grouped by reader, in the order in which the readers first appear."""
    order: dict[tuple[str, str], int] = {}
    known = list(families)
    for family in known:
        order.setdefault(get_reader_key(family), len(order))
    return sorted(known, key=lambda family: order[get_reader_key(family)])


def get_reader_key(family: Family) -> tuple[str, str]:
    """Source and reader of a family."""
    return family.source, family.reader


def format_section(source: str, reader: str, families: Iterable[Family]) -> Iterator[str]:
    """Yield the lines of the section of one reader."""
    yield f"## {source}{f': {reader}' if reader else ''}"
    yield ""
    yield "| metric | type | labels | lines | cap | meaning | origin | since | for |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    for family in families:
        shape = (f"`{family.name}`", family.kind, format_labels(family), format_cardinality(family), f"{family.cap:,}")
        cells = (*shape, family.help, family.origin, family.since, family.audience)
        yield "| " + " | ".join(escape_cell(str(cell)) for cell in cells) + " |"
    yield ""


def format_labels(family: Family) -> str:
    """The labels, with their values if these are a closed set."""
    return ", ".join(
        f"`{label}` ({', '.join(family.closed[label])})" if label in family.closed else f"`{label}`"
        for label in family.labels
    )


def escape_cell(cell: str) -> str:
    """Escape text for a cell of a Markdown table."""
    return cell.replace("|", "\\|").replace("<", "&lt;")


FORMATS: Mapping[str, Callable[[Iterable[Family]], str]] = {
    "table": format_table,
    "markdown": format_markdown,
    "json": format_json,
}

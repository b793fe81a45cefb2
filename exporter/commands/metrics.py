"""The catalogue as people and programs read it: a table, Markdown or JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

from exporter.metrics.family import Family

COLUMNS = ("name", "kind", "labels", "help")


def list_json(families: Iterable[Family]) -> str:
    """A list of objects, one a family, with all that is declared of it."""
    return json.dumps([describe(family) for family in families], indent=2)


def describe(family: Family) -> dict[str, Any]:
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
        "cap": family.cap,
        "closed": {label: list(values) for label, values in family.closed.items()},
    }


def list_table(families: Iterable[Family]) -> str:
    """One family a line, in columns; the help comes last and may be long."""
    rows = [COLUMNS, *((family.name, str(family.kind), ",".join(family.labels), family.help) for family in families)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS) - 1)]
    return "\n".join("  ".join([*map(str.ljust, row, widths), row[-1]]).rstrip() for row in rows)


def list_markdown(families: Iterable[Family]) -> str:
    """A section for each source and reader, with a table of its families."""
    return "\n".join(
        line for key, group in groupby(arrange(families), key=key_of) for line in make_section(*key, group)
    )


def arrange(families: Iterable[Family]) -> list[Family]:
    """The families with each reader's together, readers in the order in which they first come."""
    order: dict[tuple[str, str], int] = {}
    known = list(families)
    for family in known:
        order.setdefault(key_of(family), len(order))
    return sorted(known, key=lambda family: order[key_of(family)])


def key_of(family: Family) -> tuple[str, str]:
    return family.source, family.reader


def make_section(source: str, reader: str, families: Iterable[Family]) -> Iterator[str]:
    yield f"## {source}{f': {reader}' if reader else ''}"
    yield ""
    yield "| metric | type | labels | meaning | origin | since | for |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for family in families:
        labels = list_labels(family)
        cells = (f"`{family.name}`", family.kind, labels, family.help, family.origin, family.since, family.audience)
        yield "| " + " | ".join(escape(str(cell)) for cell in cells) + " |"
    yield ""


def list_labels(family: Family) -> str:
    """Each label, with its values where they are known beforehand."""
    return ", ".join(
        f"`{label}` ({', '.join(family.closed[label])})" if label in family.closed else f"`{label}`"
        for label in family.labels
    )


def escape(cell: str) -> str:
    """Text that a Markdown table takes as it is."""
    return cell.replace("|", "\\|").replace("<", "&lt;")


FORMATS: Mapping[str, Callable[[Iterable[Family]], str]] = {
    "table": list_table,
    "markdown": list_markdown,
    "json": list_json,
}

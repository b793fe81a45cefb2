"""The tables of the database by InnoDB's own views, on MySQL and MariaDB: these need no right on the tables."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from exporter.sources.database import mysql_sql as sql
from exporter.sources.database.models import Run

SPECIAL = re.compile(r"[^0-9A-Za-z_]")


def list_tables(run: Run, views: Mapping[str, str]) -> list[tuple[str, float, float, float]]:
    """Each table of the database with the size of its rows and of its other indices in bytes, and its rows.

    InnoDB has zeros for a table that nothing has opened since the server started: see `is_known`.
    """
    rows = run(sql.TABLES.format(**views), folder=find_folder(run))
    return [(row[0], float(row[1]), float(row[2]), float(row[3])) for row in rows]


def is_known(row: Sequence[Any]) -> bool:
    """Whether InnoDB knows the size of a table of `list_tables`: even an empty one has a page."""
    return bool(row[1])


def list_indices(run: Run, views: Mapping[str, str]) -> dict[str, list[tuple[str, ...]]]:
    """The columns of each index by table."""
    return group_indices(run(sql.INDICES.format(**views), folder=find_folder(run)))


def find_folder(run: Run) -> str:
    """The name of the database as that of its folder, which InnoDB uses; empty if no database is chosen."""
    return encode_name(run(sql.DATABASE)[0][0] or "")


def encode_name(name: str) -> str:
    """A name as that of a file: `airflow-prod` is `airflow@002dprod`.

    Some letters beyond ASCII have shorter codes than here; a database whose name has such a letter is not found.
    """
    return SPECIAL.sub(lambda found: f"@{ord(found[0]):04x}", name)


def group_indices(rows: Iterable[Sequence[Any]]) -> dict[str, list[tuple[str, ...]]]:
    """The columns of each index by table; InnoDB ends the name of the table with #P# for partitions."""
    columns: defaultdict[tuple[str, int], list[str]] = defaultdict(list)
    for table, index, column in rows:
        columns[table, index].append(column)
    indices: defaultdict[str, list[tuple[str, ...]]] = defaultdict(list)
    for (table, _), names in columns.items():
        indices[table].append(tuple(names))
    return dict(indices)

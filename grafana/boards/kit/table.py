"""Tables: one row a DAG, task, pool or whatever `keys` tell, one column a query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grafana.boards.kit.link import Link
from grafana.boards.kit.panel import NEUTRAL, Json, Panel, Query, Steps, override, thresholds


@dataclass(frozen=True)
class Column:
    """A column of values: its heading, expression, unit, and how it is drawn."""

    heading: str
    expression: str
    unit: str = "short"
    steps: Steps = NEUTRAL
    width: int = 0
    decimals: int | None = None
    bar: bool = False
    mappings: Sequence[Json] = ()

    def override(self) -> Json:
        """What Grafana is told of the column."""
        properties: Json = {
            "unit": self.unit,
            "thresholds": thresholds(self.steps),
            "noValue": "-",
            "custom_align": "right",
        }
        if self.bar:
            properties |= {"custom_cellOptions": {"type": "gauge", "mode": "basic"}, "min": 0, "max": 1}
        elif self.steps != NEUTRAL:
            properties |= {"custom_cellOptions": {"type": "color-text"}}
        if self.mappings:
            properties |= {"mappings": list(self.mappings)}
        if self.decimals is not None:
            properties |= {"decimals": self.decimals}
        if self.width:
            properties |= {"custom_width": self.width}
        return override(self.heading, **properties)


@dataclass(frozen=True)
class Key:
    """A label that tells rows apart: its heading, and where a click on it leads."""

    heading: str
    links: Sequence[Link] = field(default=())
    width: int = 0

    def override(self) -> Json:
        """What Grafana is told of the column."""
        properties: Json = {"links": [link.json() for link in self.links]} if self.links else {}
        if self.width:
            properties |= {"custom_width": self.width}
        return override(self.heading, **properties)


def table(
    title: str,
    description: str,
    keys: Mapping[str, Key],
    columns: Sequence[Column],
    *,
    sort: str = "",
    ascending: bool = False,
    width: int = 12,
    height: int = 8,
    **more: Any,
) -> Panel:
    """Rows sorted by one of the columns, the first one by default."""
    by = sort or columns[0].heading
    return Panel(
        "table",
        title,
        description,
        [Query(column.expression, column.heading) for column in columns],
        "short",
        width,
        height,
        options={
            "frameIndex": 0,
            "showHeader": True,
            "cellHeight": "sm",
            "sortBy": [{"displayName": by, "desc": not ascending}],
        },
        custom={"align": "auto", "inspect": False},
        overrides=[*(key.override() for key in keys.values()), *(column.override() for column in columns)],
        transformations=_shape(keys, columns, by, ascending=ascending),
        instant=True,
        **more,
    )


def _shape(keys: Mapping[str, Key], columns: Sequence[Column], by: str, *, ascending: bool) -> list[Json]:
    """Queries become columns of one table; what is no key and no value goes."""
    values = [f"Value #{chr(ord('A') + number)}" for number in range(len(columns))] if len(columns) > 1 else ["Value"]
    names = {label: key.heading for label, key in keys.items()}
    names |= {value: column.heading for value, column in zip(values, columns, strict=True)}
    return [
        {"id": "merge", "options": {}},
        {"id": "filterFieldsByName", "options": {"include": {"names": list(names)}}},
        {
            "id": "organize",
            "options": {
                "excludeByName": {},
                "indexByName": {name: place for place, name in enumerate(names)},
                "renameByName": names,
            },
        },
        {"id": "sortBy", "options": {"sort": [{"field": by, "desc": not ascending}]}},
    ]

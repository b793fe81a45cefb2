"""Tables: one row for each DAG, task, pool or other key, one column for each query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from grafana.boards.kit.link import Link
from grafana.boards.kit.panel import (
    NEUTRAL,
    Json,
    Panel,
    Query,
    Thresholds,
    ValueMappings,
    override,
    thresholds_json,
    value_mappings_json,
)


@dataclass(frozen=True)
class Column:
    """A column of values: its heading, expression, unit, and how it is drawn."""

    heading: str
    expression: str
    unit: str = "short"
    thresholds: Thresholds = NEUTRAL
    width: int = 0
    decimals: int | None = None
    bar: bool = False
    mappings: ValueMappings = field(default_factory=dict)

    def override(self) -> Json:
        """The column's properties as Grafana reads them."""
        properties: Json = {
            "unit": self.unit,
            "thresholds": thresholds_json(self.thresholds),
            "noValue": "-",
            "custom_align": "right",
        }
        if self.bar:
            properties |= {"custom_cellOptions": {"type": "gauge", "mode": "basic"}, "min": 0, "max": 1}
        elif self.thresholds != NEUTRAL:
            properties |= {"custom_cellOptions": {"type": "color-text"}}
        if self.mappings:
            properties |= {"mappings": value_mappings_json(self.mappings)}
        if self.decimals is not None:
            properties |= {"decimals": self.decimals}
        if self.width:
            properties |= {"custom_width": self.width}
        return override(self.heading, **properties)


@dataclass(frozen=True)
class Key:
    """A label that identifies a row: its heading, and where a click on it leads.

    Its values are text: Grafana would write an id such as 20240101 as a number with a unit, and an empty one as the
    text of an empty table.
    """

    heading: str
    links: Sequence[Link] = ()
    width: int = 0
    wrap: bool = False
    """Whether long texts continue on further lines of the row, instead of being cut off."""

    def override(self) -> Json:
        """The column's properties as Grafana reads them."""
        properties: Json = {"unit": "string", "noValue": "-"}
        if self.wrap:
            # Grafana 13 reads the first, older releases the second.
            properties |= {"custom_wrapText": True, "custom_cellOptions": {"type": "auto", "wrapText": True}}
        if self.links:
            properties |= {"links": [link.json() for link in self.links]}
        if self.width:
            properties |= {"custom_width": self.width}
        return override(self.heading, **properties)


class Table(Panel):
    """Rows sorted by the first column, largest value first, unless sort_by() says otherwise."""

    kind = "table"

    def __init__(self, title: str, description: str, keys: Mapping[str, Key], columns: Sequence[Column]) -> None:
        super().__init__(title, description, [Query(column.expression, column.heading) for column in columns])
        self.keys, self.columns = keys, columns
        self.custom = {"align": "auto", "inspect": False}
        self.overrides = [*(key.override() for key in keys.values()), *(column.override() for column in columns)]
        self.options = {"frameIndex": 0, "showHeader": True, "cellHeight": "sm"}
        self.sort_by(columns[0].heading)

    def sort_by(self, heading: str, *, ascending: bool = False) -> Self:
        """Sort the rows by the column of this heading."""
        self.options["sortBy"] = [{"displayName": heading, "desc": not ascending}]
        return self

    def transformations(self) -> list[Json]:
        """Join the replies into one table of keys and columns, in this order and with these headings."""
        single = len(self.columns) == 1
        values = ["Value"] if single else [f"Value #{chr(ord('A') + number)}" for number in range(len(self.columns))]
        names = {label: key.heading for label, key in self.keys.items()}
        names |= {value: column.heading for value, column in zip(values, self.columns, strict=True)}
        (sort,) = self.options["sortBy"]
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
            {"id": "sortBy", "options": {"sort": [{"field": sort["displayName"], "desc": sort["desc"]}]}},
        ]

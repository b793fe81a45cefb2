"""What all panels have in common: title, queries, unit, colours, size.

A panel is put together as in Grafana's Foundation SDK: each method sets one property and returns the panel.

    TimeSeries("Runs by state", "DAG runs that are queued or running.", Query("...", "{{state}}")).stacked()
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from grafana.boards.kit.link import Link

Json = dict[str, Any]
DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
NO_STATSD = "needs StatsD"
NO_HOST = "needs the host source"
NO_API = "needs Airflow's API"

GREEN, YELLOW, ORANGE, RED, BLUE, GREY, PURPLE = "green", "yellow", "orange", "red", "blue", "#8e8e8e", "purple"

Thresholds = Sequence[tuple[float | None, str]]
"""The colour from each value upwards; the first value is None: from minus infinity."""
PLAIN: Thresholds = ((None, BLUE),)
NEUTRAL: Thresholds = ((None, "text"),)
ANY_IS_BAD: Thresholds = ((None, GREEN), (1, RED))
ANY_IS_NOTEWORTHY: Thresholds = ((None, GREEN), (1, YELLOW))
ValueMappings = Mapping[str, tuple[str, str]]
"""The text and colour that are shown in place of a value."""


def rising(warning: float, critical: float) -> Thresholds:
    """Thresholds of what is worse the larger it is: green, yellow, red."""
    return ((None, GREEN), (warning, YELLOW), (critical, RED))


@dataclass(frozen=True)
class Query:
    """A PromQL expression; `legend` names its series, with labels in double braces."""

    expression: str
    legend: str = ""


class Panel:
    """A panel without its position. Its subclasses are the visualizations."""

    kind: ClassVar[str]
    """The visualization's id in Grafana."""
    instant: ClassVar[bool] = True
    """Whether queries ask for the newest value, not for the time range."""
    width, height = 12, 8

    def __init__(self, title: str, description: str, queries: Sequence[Query | str]) -> None:
        self.title = title
        self.description = description
        self.queries = [Query(query) if isinstance(query, str) else query for query in queries]
        self.options: Json = {}
        self.defaults: Json = {"unit": "short", "noValue": "nothing yet"}
        self.custom: Json = {}
        self.overrides: list[Json] = []
        self.data_links: list[Link] = []
        self.interval = ""

    def size(self, width: int | None = None, height: int | None = None) -> Self:
        """Set the size in Grafana's grid: a dashboard is 24 wide, a unit of height has 38 pixels."""
        self.width = width or self.width
        self.height = height or self.height
        return self

    def unit(self, unit: str) -> Self:
        """Set the unit of all values by Grafana's id: `s`, `bytes`, `percentunit` (1 is 100 %), `short`, `none`."""
        self.defaults["unit"] = unit
        return self

    def decimals(self, count: int) -> Self:
        """Set how many decimals are shown; Grafana chooses them otherwise."""
        self.defaults["decimals"] = count
        return self

    def no_value(self, text: str) -> Self:
        """Set what an empty panel shows: why it may be empty, or which source it needs."""
        self.defaults["noValue"] = text
        return self

    def maximum(self, value: float) -> Self:
        """Set where the axis or the bar ends."""
        self.defaults["max"] = value
        return self

    def colors(self, colors: Mapping[str, str]) -> Self:
        """Give the series of these names fixed colours."""
        self.overrides += [
            override(name, color={"mode": "fixed", "fixedColor": color}) for name, color in colors.items()
        ]
        return self

    def links(self, *links: Link) -> Self:
        """Add links that a click on a value offers."""
        self.data_links += links
        return self

    def json(self) -> Json:
        """The panel as Grafana reads it, without number and position."""
        built: Json = {
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "targets": [self._target(number, query) for number, query in enumerate(self.queries)],
            "fieldConfig": {"defaults": self._field_defaults(), "overrides": self.overrides},
            "options": self.options,
        }
        if transformations := self.transformations():
            built["transformations"] = transformations
        if self.interval:
            built["interval"] = self.interval
        return built

    def transformations(self) -> list[Json]:
        """Grafana's transformations between the replies and what is drawn."""
        return []

    def _field_defaults(self) -> Json:
        custom = {"custom": self.custom} if self.custom else {}
        links = {"links": [link.json() for link in self.data_links]} if self.data_links else {}
        return {**self.defaults, **custom, **links}

    def _target(self, number: int, query: Query) -> Json:
        return {
            "refId": chr(ord("A") + number),
            "datasource": DATASOURCE,
            "editorMode": "code",
            "expr": query.expression,
            "legendFormat": query.legend or "__auto",
            "instant": self.instant,
            "range": not self.instant,
            "format": "table" if self.kind == "table" else "time_series",
        }


def thresholds_json(thresholds: Thresholds) -> Json:
    """Thresholds as Grafana reads them."""
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in thresholds]}


def value_mappings_json(mappings: ValueMappings) -> list[Json]:
    """Value mappings as Grafana reads them."""
    options = {
        value: {"text": text, "color": color, "index": number}
        for number, (value, (text, color)) in enumerate(mappings.items())
    }
    return [{"type": "value", "options": options}] if options else []


def override(series: str, **properties: object) -> Json:
    """Properties of the series or column of this name; `custom_x` becomes Grafana's `custom.x`."""
    return {
        "matcher": {"id": "byName", "options": series},
        "properties": [
            {"id": name.replace("custom_", "custom.", 1), "value": value} for name, value in properties.items()
        ],
    }

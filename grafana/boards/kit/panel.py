"""What a dashboard draws: panels of four kinds, each with what every panel needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from grafana.boards.kit.link import Link

Json = dict[str, Any]
DATASOURCE: Json = {"type": "prometheus", "uid": "${datasource}"}
NO_STATSD = "needs StatsD"
NO_HOST = "needs the host source"
NO_API = "needs Airflow's API"

GREEN, YELLOW, ORANGE, RED, BLUE, GREY, PURPLE = "green", "yellow", "orange", "red", "blue", "#8e8e8e", "purple"
PALETTE = "palette-classic"


@dataclass(frozen=True)
class Query:
    """One expression; `legend` names its series, and is the heading of its column in a table."""

    expression: str
    legend: str = ""


Steps = Sequence[tuple[float | None, str]]
"""Colours from a value on; the first has no value."""
PLAIN: Steps = ((None, BLUE),)
NEUTRAL: Steps = ((None, "text"),)


def rising(warning: float, critical: float) -> Steps:
    """Green, then yellow, then red: the more, the worse."""
    return ((None, GREEN), (warning, YELLOW), (critical, RED))


ANY_IS_BAD: Steps = ((None, GREEN), (1, RED))
ANY_IS_NOTEWORTHY: Steps = ((None, GREEN), (1, YELLOW))


@dataclass(frozen=True)
class Panel:
    """One panel, without its place."""

    kind: str
    title: str
    description: str
    queries: Sequence[Query]
    unit: str
    width: int
    height: int
    no_value: str = "nothing yet"
    options: Json = field(default_factory=dict)
    defaults: Json = field(default_factory=dict)
    custom: Json = field(default_factory=dict)
    overrides: Sequence[Json] = ()
    transformations: Sequence[Json] = ()
    links: Sequence[Link] = ()
    instant: bool = False
    interval: str = ""

    def json(self) -> Json:
        """The panel as Grafana reads it, but for its number and place."""
        built: Json = {
            "type": self.kind,
            "title": self.title,
            "description": self.description,
            "datasource": DATASOURCE,
            "targets": [self._target(number, query) for number, query in enumerate(self.queries)],
            "fieldConfig": {"defaults": self._defaults(), "overrides": list(self.overrides)},
            "options": self.options,
        }
        if self.transformations:
            built["transformations"] = list(self.transformations)
        if self.interval:
            built["interval"] = self.interval
        return built

    def _defaults(self) -> Json:
        links = {"links": [link.json() for link in self.links]} if self.links else {}
        custom = {"custom": self.custom} if self.custom else {}
        return {"unit": self.unit, "noValue": self.no_value, **self.defaults, **custom, **links}

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


def thresholds(steps: Steps) -> Json:
    """Thresholds as Grafana reads them."""
    return {"mode": "absolute", "steps": [{"value": value, "color": color} for value, color in steps]}


def mapping(texts: Mapping[str, tuple[str, str]]) -> list[Json]:
    """Words and colours in place of values."""
    options = {
        value: {"text": text, "color": color, "index": number}
        for number, (value, (text, color)) in enumerate(texts.items())
    }
    return [{"type": "value", "options": options}]


def override(series: str, **properties: Any) -> Json:
    """Properties of the series or column of this name; `custom_x` is Grafana's `custom.x`."""
    return {
        "matcher": {"id": "byName", "options": series},
        "properties": [
            {"id": name.replace("custom_", "custom.", 1), "value": value} for name, value in properties.items()
        ],
    }


def colored(colors: Mapping[str, str]) -> list[Json]:
    """A fixed colour for each series of that name."""
    return [override(name, color={"mode": "fixed", "fixedColor": color}) for name, color in colors.items()]

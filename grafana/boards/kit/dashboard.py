"""A dashboard: its rows, variables, links and annotations, as the classic JSON that Grafana imports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grafana.boards.kit.annotation import Annotation
from grafana.boards.kit.link import Link
from grafana.boards.kit.panel import Json, Panel
from grafana.boards.kit.variable import Variable

SCHEMA_VERSION = 42
COLUMNS = 24
TAG = "airflow"


@dataclass(frozen=True)
class Row:
    """Panels under a heading, from left to right. Panels of a collapsed row run no queries until it is opened."""

    title: str
    panels: Sequence[Panel]
    collapsed: bool = False


@dataclass(frozen=True)
class Dashboard:
    """One dashboard, one JSON file."""

    uid: str
    title: str
    description: str
    variables: Sequence[Variable]
    rows: Sequence[Row]
    annotations: Sequence[Annotation] = ()
    links: Sequence[Link] = ()
    time_from: str = "now-6h"
    refresh: str = "1m"

    def json(self) -> Json:
        """The dashboard as Grafana reads it."""
        return {
            "uid": self.uid,
            "title": self.title,
            "description": self.description,
            "tags": [TAG],
            "schemaVersion": SCHEMA_VERSION,
            "version": 1,
            "editable": True,
            "graphTooltip": 1,
            "timezone": "browser",
            "time": {"from": self.time_from, "to": "now"},
            "refresh": self.refresh,
            "templating": {"list": [variable.json() for variable in self.variables]},
            "annotations": {"list": [annotation.json() for annotation in self.annotations]},
            "links": [_siblings(), *(link.json() for link in self.links)],
            "panels": list(_place(self.rows)),
        }


def _siblings() -> Json:
    """The menu of all dashboards of the exporter; time range and variables are kept."""
    return {
        "title": "Airflow dashboards",
        "type": "dashboards",
        "tags": [TAG],
        "asDropdown": True,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
        "icon": "external link",
        "tooltip": "",
        "url": "",
    }


def _place(rows: Sequence[Row]) -> Iterator[Json]:
    """Yield rows and panels with their ids and positions."""
    number, top = 1, 0
    for row in rows:
        place = {"h": 1, "w": COLUMNS, "x": 0, "y": top}
        heading: Json = {"type": "row", "title": row.title, "collapsed": row.collapsed, "id": number, "gridPos": place}
        panels, bottom = _flow(row.panels, number + 1, top + 1)
        yield {**heading, "panels": panels if row.collapsed else []}
        if not row.collapsed:
            yield from panels
        number += 1 + len(panels)
        top = top + 1 if row.collapsed else bottom


def _flow(panels: Sequence[Panel], number: int, top: int) -> tuple[list[Json], int]:
    """Panels from left to right, in as many lines as they need, and the top of the next row."""
    left, tallest = 0, 0
    placed = []
    for count, panel in enumerate(panels):
        if left + panel.width > COLUMNS:
            left, top, tallest = 0, top + tallest, 0
        place = {"h": panel.height, "w": panel.width, "x": left, "y": top}
        placed.append({**panel.json(), "id": number + count, "gridPos": place})
        left, tallest = left + panel.width, max(tallest, panel.height)
    return placed, top + tallest

"""The XY chart: one series over another, a point for each moment."""

from __future__ import annotations

from grafana.boards.kit.panel import Json, Panel, Query


class XYChart(Panel):
    """Points of the second query over the first, joined by their time."""

    kind = "xychart"
    instant = False

    def __init__(self, title: str, description: str, x: Query, y: Query) -> None:
        super().__init__(title, description, (x, y))
        self.interval = "5m"
        self.options = {
            "mapping": "manual",
            "series": [{"frame": match("byIndex", 0), "x": match("byName", x.legend), "y": match("byName", y.legend)}],
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
            "tooltip": {"mode": "single", "sort": "none"},
        }
        self.defaults |= {"color": {"mode": "palette-classic"}, "min": 0}
        self.custom = {"show": "points", "pointSize": {"fixed": 4}, "axisPlacement": "auto"}

    def transformations(self) -> list[Json]:
        """Both answers become one table."""
        return [{"id": "joinByField", "options": {"byField": "Time", "mode": "inner"}}]


def match(matcher: str, options: str | int) -> Json:
    """What Grafana's matcher of frames and fields finds."""
    return {"matcher": {"id": matcher, "options": options}}

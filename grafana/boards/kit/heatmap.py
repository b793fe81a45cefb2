"""The heat map: one row for each query, one column for each step of time, a colour for each value."""

from __future__ import annotations

from grafana.boards.kit.panel import Panel, Query


class Heatmap(Panel):
    """Cells of an hour. Legends are numbers and name the rows, the lowest one at the bottom; 0 is left blank."""

    kind = "heatmap"
    instant = False

    def __init__(self, title: str, description: str, *queries: Query) -> None:
        super().__init__(title, description, queries)
        self.interval = "1h"
        self.options = {
            "calculate": False,
            "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "reverse": False, "fill": "dark-orange"},
            "cellGap": 1,
            "cellValues": {"unit": "short", "decimals": 0},
            "filterValues": {"le": 0.5},
            "rowsFrame": {"layout": "unknown", "value": "Value"},
            "showValue": "never",
            "yAxis": {"axisPlacement": "left", "reverse": False},
            "legend": {"show": True},
            "tooltip": {"mode": "single", "yHistogram": False, "showColorScale": False},
            "exemplars": {"color": "rgba(255,0,255,0.7)"},
        }
        self.custom = {"hideFrom": {"legend": False, "tooltip": False, "viz": False}}

    def rows_named(self, value: str) -> Heatmap:
        """Say what the values are, for the tooltip."""
        self.options["rowsFrame"]["value"] = value
        return self

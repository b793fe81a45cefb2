"""The visualizations: time series, stat, bar gauge. Tables are in `table`."""

from __future__ import annotations

from typing import Self

from grafana.boards.kit.panel import (
    PLAIN,
    RED,
    Json,
    Panel,
    Query,
    Thresholds,
    ValueMappings,
    override,
    thresholds_json,
    value_mappings_json,
)

LAST: Json = {"calcs": ["lastNotNull"], "fields": "", "values": False}
HOUR_IN_MS = 3_600_000
POINT_SIZE = 5


class Stat(Panel):
    """One large number, in the colour of its threshold."""

    kind = "stat"
    width, height = 4, 3

    def __init__(self, title: str, description: str, *queries: Query | str) -> None:
        super().__init__(title, description, queries)
        self.options = {
            "graphMode": "none",
            "colorMode": "value",
            "justifyMode": "center",
            "textMode": "value",
            "wideLayout": False,
            "showPercentChange": False,
            "percentChangeColorMode": "standard",
            "orientation": "auto",
            "reduceOptions": LAST,
        }
        self.defaults |= {"thresholds": thresholds_json(PLAIN), "color": {"mode": "thresholds"}, "mappings": []}

    def thresholds(self, thresholds: Thresholds) -> Self:
        """Set the colour by value."""
        self.defaults["thresholds"] = thresholds_json(thresholds)
        return self

    def value_mappings(self, mappings: ValueMappings) -> Self:
        """Show words in place of values."""
        self.defaults["mappings"] = value_mappings_json(mappings)
        return self

    def show_name(self) -> Self:
        """Show the name of each series in place of its value."""
        self.options["textMode"] = "name"
        return self

    def filled_with_name(self) -> Self:
        """Fill the background with the colour, and show the name of each series beside its value."""
        self.options |= {"colorMode": "background_solid", "textMode": "value_and_name"}
        return self


class TimeSeries(Panel):
    """Lines over time, from 0 upwards."""

    kind = "timeseries"
    instant = False

    def __init__(self, title: str, description: str, *queries: Query | str) -> None:
        super().__init__(title, description, queries)
        self.options = {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc", "hideZeros": True},
        }
        self.defaults |= {"color": {"mode": "palette-classic"}, "thresholds": thresholds_json(PLAIN), "min": 0}
        self.custom = {
            "drawStyle": "line",
            "lineWidth": 1,
            "fillOpacity": 8,
            "showPoints": "auto",  # draws a point that stands alone
            "pointSize": POINT_SIZE,
            "spanNulls": False,
            "stacking": {"mode": "none", "group": "A"},
            "axisPlacement": "auto",
        }
        self.interval = "1m"

    def unit(self, unit: str) -> Self:
        """Set the unit of all values by Grafana's id."""
        if unit == "short":
            self.custom["axisSoftMax"] = 1  # where all is 0, Grafana would draw an axis up to 100
        return super().unit(unit)

    def stacked(self) -> Self:
        """Stack the series: their sum means something."""
        self.custom |= {"fillOpacity": 25, "stacking": {"mode": "normal", "group": "A"}}
        return self

    def sparse(self) -> Self:
        """Join values that are up to an hour apart, and look at five minutes at a time: what seldom has a value."""
        self.custom |= {"showPoints": "always", "spanNulls": HOUR_IN_MS}
        self.interval = "5m"
        return self

    def bars(self) -> Self:
        """Draw stacked bars of five minutes each: counts of what seldom happens."""
        self.custom |= {"drawStyle": "bars", "fillOpacity": 70, "showPoints": "never"}
        self.custom["stacking"] = {"mode": "normal", "group": "A"}
        self.interval = "5m"
        return self

    def hide_legend(self) -> Self:
        """Leave the legend out: there is one series, and the title names it."""
        self.options["legend"]["showLegend"] = False
        return self

    def allow_negative(self) -> Self:
        """Let the axis begin below 0."""
        del self.defaults["min"]
        return self

    def limit_line(self, series: str) -> Self:
        """Draw this series as a dashed red line above the others: the limit of what they use."""
        self.overrides.append(
            override(
                series,
                color={"mode": "fixed", "fixedColor": RED},
                custom_fillOpacity=0,
                custom_lineStyle={"fill": "dash", "dash": [8, 6]},
                custom_stacking={"mode": "none", "group": "limit"},
            )
        )
        return self


class BarGauge(Panel):
    """Horizontal bars, one below the other."""

    kind = "bargauge"

    def __init__(self, title: str, description: str, *queries: Query | str) -> None:
        super().__init__(title, description, queries)
        self.options = {
            "displayMode": "basic",
            "valueMode": "color",
            "namePlacement": "left",
            "showUnfilled": True,
            "sizing": "auto",
            "minVizWidth": 8,
            "minVizHeight": 16,
            "maxVizHeight": 40,
            "orientation": "horizontal",
            "reduceOptions": LAST,
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False, "calcs": []},
        }
        self.defaults |= {"thresholds": thresholds_json(PLAIN), "color": {"mode": "thresholds"}, "min": 0}

    def thresholds(self, thresholds: Thresholds) -> Self:
        """Set the colour by value."""
        self.defaults["thresholds"] = thresholds_json(thresholds)
        return self

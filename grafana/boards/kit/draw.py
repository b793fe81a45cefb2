"""The kinds of panels that are used, and how they look."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grafana.boards.kit.panel import BLUE, PALETTE, PLAIN, Json, Panel, Query, Steps, thresholds

LAST: Json = {"calcs": ["lastNotNull"], "fields": "", "values": False}
HOUR_IN_MS = 3_600_000
POINT_SIZE = 5


def _queries(given: str | Query | Sequence[Query]) -> Sequence[Query]:
    if isinstance(given, str):
        return [Query(given)]
    return [given] if isinstance(given, Query) else given


def stat(
    title: str,
    description: str,
    queries: str | Query | Sequence[Query],
    unit: str,
    *,
    width: int = 4,
    height: int = 3,
    steps: Steps = PLAIN,
    mappings: Sequence[Json] = (),
    text: str = "value",
    filled: bool = False,
    decimals: int | None = None,
    graph: bool = False,
    **more: Any,
) -> Panel:
    """A number in the colour that it deserves; with `graph` also how it came about."""
    exact = {} if decimals is None else {"decimals": decimals}
    return Panel(
        "stat",
        title,
        description,
        _queries(queries),
        unit,
        width,
        height,
        options={
            "graphMode": "area" if graph else "none",
            "colorMode": "background_solid" if filled else "value",
            "justifyMode": "center",
            "textMode": text,
            "wideLayout": False,
            "showPercentChange": False,
            "percentChangeColorMode": "standard",
            "orientation": "auto",
            "reduceOptions": LAST,
        },
        defaults={
            "thresholds": thresholds(steps),
            "color": {"mode": "thresholds"},
            "mappings": list(mappings),
            **exact,
        },
        instant=not graph,
        **more,
    )


def _lines(*, bars: bool, stacked: bool, sparse: bool) -> Json:
    return {
        "drawStyle": "bars" if bars else "line",
        "lineWidth": 1,
        "fillOpacity": 70 if bars else 25 if stacked else 8,
        "showPoints": "never" if bars else "always" if sparse else "auto",  # auto draws a point that stands alone
        "pointSize": POINT_SIZE,
        "spanNulls": HOUR_IN_MS if sparse and not bars else False,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "axisPlacement": "auto",
    }


def graph(
    title: str,
    description: str,
    queries: str | Query | Sequence[Query],
    unit: str,
    *,
    width: int = 12,
    height: int = 8,
    bars: bool = False,
    stacked: bool = False,
    floor: float | None = 0,
    ceiling: float | None = None,
    legend: bool = True,
    sparse: bool = False,
    steps: Steps = (),
    decimals: int | None = None,
    **more: Any,
) -> Panel:
    """What happened over time; what is `sparse` has seldom a value, and its points are joined."""
    custom = _lines(bars=bars, stacked=stacked, sparse=sparse)
    if unit == "short":
        custom["axisSoftMax"] = 1  # where all is 0, Grafana would draw an axis up to 100
    if steps:
        custom["thresholdsStyle"] = {"mode": "dashed"}
    bounds = {
        name: value for name, value in (("min", floor), ("max", ceiling), ("decimals", decimals)) if value is not None
    }
    return Panel(
        "timeseries",
        title,
        description,
        _queries(queries),
        unit,
        width,
        height,
        options={
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": legend, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc", "hideZeros": True},
        },
        defaults={
            "color": {"mode": PALETTE},
            "thresholds": thresholds(steps or ((None, BLUE),)),
            **bounds,
        },
        custom=custom,
        interval="5m" if sparse else "1m",
        **more,
    )


def bar_gauge(
    title: str,
    description: str,
    queries: str | Query | Sequence[Query],
    unit: str,
    *,
    width: int = 12,
    height: int = 8,
    steps: Steps = PLAIN,
    ceiling: float | None = None,
    **more: Any,
) -> Panel:
    """Bars side by side, the longest first."""
    bounds = {"min": 0} if ceiling is None else {"min": 0, "max": ceiling}
    return Panel(
        "bargauge",
        title,
        description,
        _queries(queries),
        unit,
        width,
        height,
        options={
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
        },
        defaults={"thresholds": thresholds(steps), "color": {"mode": "thresholds"}, **bounds},
        instant=True,
        **more,
    )

"""The colours of series by their names: one colour for one meaning, on every dashboard.

States have the colours of Airflow's user interface: STATE_COLORS in its settings, up to Airflow 2.11. They are written
as hex codes because Grafana has its own `green`, `red` and `orange`, and cannot fill an area with a CSS colour name.
"""

from __future__ import annotations

from grafana.boards.kit.panel import BLUE, GREEN, GREY, ORANGE, RED

STATES = {
    "deferred": "#9370db",  # mediumpurple
    "failed": "#ff0000",  # red
    "queued": "#808080",  # gray
    "removed": "#d3d3d3",  # lightgrey
    "restarting": "#ee82ee",  # violet
    "running": "#00ff00",  # lime
    "scheduled": "#d2b48c",  # tan
    "skipped": "#ff69b4",  # hotpink
    "success": "#008000",  # green
    "up_for_reschedule": "#40e0d0",  # turquoise
    "up_for_retry": "#ffd700",  # gold
    "upstream_failed": "#ffa500",  # orange
}
ATTEMPTS = {"failed": STATES["failed"], "not failed": STATES["success"], "cleared": GREY}
WAITS = {"scheduled (slot or limit)": STATES["scheduled"], "queued (worker)": STATES["queued"], "schedule delay": BLUE}
PERCENTILES = {"p50": GREEN, "p95": ORANGE, "p99": RED, "p95, last week": GREY}

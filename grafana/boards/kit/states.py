"""One colour for one meaning, on every dashboard."""

from __future__ import annotations

from grafana.boards.kit.panel import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, YELLOW, Json, colored, override

STATES = colored(
    {
        "running": GREEN,
        "queued": BLUE,
        "scheduled": "light-blue",
        "deferred": PURPLE,
        "up_for_retry": YELLOW,
        "up_for_reschedule": ORANGE,
        "restarting": GREY,
    }
)
RESULTS = colored({"success": GREEN, "failed": RED, "did not fail": GREEN, "cleared": GREY})
NOT_RUN = colored({"skipped": GREY, "upstream_failed": ORANGE, "removed": PURPLE})
WAITS = colored({"for a slot or limit": ORANGE, "for a worker": BLUE, "runs, to start": PURPLE})
QUANTILES = colored({"median": GREEN, "95 of 100": ORANGE, "99 of 100": RED, "95 of 100, last week": GREY})


def ceiling(name: str) -> Json:
    """The line of a limit, above what is used of it."""
    return override(
        name,
        color={"mode": "fixed", "fixedColor": RED},
        custom_fillOpacity=0,
        custom_lineStyle={"fill": "dash", "dash": [8, 6]},
        custom_stacking={"mode": "none", "group": "limit"},
    )

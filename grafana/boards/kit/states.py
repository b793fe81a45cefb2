"""One colour for one meaning, on every dashboard: series by name."""

from __future__ import annotations

from grafana.boards.kit.panel import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, YELLOW

STATES = {
    "running": GREEN,
    "queued": BLUE,
    "scheduled": "light-blue",
    "deferred": PURPLE,
    "up_for_retry": YELLOW,
    "up_for_reschedule": ORANGE,
    "restarting": GREY,
}
RESULTS = {"success": GREEN, "failed": RED, "did not fail": GREEN, "cleared": GREY}
NOT_RUN = {"skipped": GREY, "upstream_failed": ORANGE, "removed": PURPLE}
WAITS = {"for a slot or limit": ORANGE, "for a worker": BLUE, "runs, to start": PURPLE}
QUANTILES = {"median": GREEN, "95 of 100": ORANGE, "99 of 100": RED, "95 of 100, last week": GREY}

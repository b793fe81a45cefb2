"""The health check of Airflow's containers: exit 0 if the API server calls this component healthy.

    python airflow_health.py metadatabase|scheduler|dag_processor|triggerer

It costs a tenth of a second of CPU; Airflow's own `airflow jobs check` imports Airflow each time.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request

API_SERVER = "http://airflow-api-server:8080"
PATH = "/api/v2/monitor/health"
TIMEOUT = 8.0


def find_problem(component: str, server: str) -> str | None:
    """Why this component is not healthy, or None."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(server + PATH, timeout=TIMEOUT) as reply:
            health = json.load(reply)
    except (OSError, ValueError) as error:
        return f"{server} does not report its health: {error}"
    status = (health.get(component) or {}).get("status")
    return None if status == "healthy" else f"{component} is {status or 'unknown'}"


def main() -> int:
    """The exit code; the reason goes to where `docker inspect` shows it."""
    problem = find_problem(sys.argv[1], os.environ.get("API_SERVER", API_SERVER))
    if problem:
        print(problem)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main())

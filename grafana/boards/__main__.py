"""`python -m grafana.boards`: write every dashboard into grafana/dashboards/, and those of the Helm chart."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from docs import chart
from grafana.boards.pages import (
    celery,
    concurrency,
    dag,
    database,
    diagnosis,
    executor,
    exporter,
    overview,
    scheduler,
    task,
    tuning,
    workers,
)

FOLDER = Path(__file__).resolve().parent.parent / "dashboards"
PAGES = (
    diagnosis, overview, dag, task, concurrency, tuning, scheduler, workers, executor, celery, database, exporter,
)  # fmt: skip
DASHBOARDS = tuple(page.DASHBOARD for page in PAGES)


def files() -> Iterator[tuple[str, str]]:
    """Yield each dashboard's file name and content."""
    for dashboard in DASHBOARDS:
        yield f"{dashboard.uid}.json", json.dumps(dashboard.json(), indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Write what changed, and remove what is no dashboard any more."""
    built = dict(files())
    for stray in set(FOLDER.glob("*.json")) - {FOLDER / name for name in built}:
        stray.unlink()
    for name, content in built.items():
        (FOLDER / name).write_text(content, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main() or chart.main([]))

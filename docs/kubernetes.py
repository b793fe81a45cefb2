"""Generate the PrometheusRule objects for Prometheus Operator from the rules; `--check` only compares.

Run as `python -m docs.kubernetes`, which also generates the files of the Helm chart (docs/chart.py). An object contains
the plain file line by line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from docs import chart, outdated
from exporter.commands.bundle import get_object_name, render_rule_object

PROMETHEUS = Path(__file__).parents[1] / "prometheus"
FOLDER = PROMETHEUS / "kubernetes"
GENERATOR = "python -m docs.kubernetes"


def write(path: Path) -> str:
    """The object that holds a file of rules."""
    return render_rule_object(path, generator=GENERATOR)


def list_outdated() -> Iterator[tuple[Path, str | None]]:
    """Yield each object that is out of date, with its new text; None if it must be deleted."""
    sources = [*sorted(PROMETHEUS.glob("rules/*.yml")), *sorted(PROMETHEUS.glob("alerts/*.yml"))]
    wanted = {FOLDER / f"{get_object_name(path)}.yaml": write(path) for path in sources}
    return outdated.list_outdated(wanted, FOLDER.glob("*.yaml"))


def main(arguments: list[str]) -> int:
    """Write what is out of date, or with `--check` name it."""
    return outdated.update(list_outdated(), arguments, GENERATOR, PROMETHEUS.parent)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) | chart.main(sys.argv[1:]))

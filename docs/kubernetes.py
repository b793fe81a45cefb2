"""Generate the PrometheusRule objects for Prometheus Operator from the rules; `--check` only compares.

Run as `python -m docs.kubernetes`, which also generates the files of the Helm chart (docs/chart.py). An object contains
the plain file line by line.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from docs import chart
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
    for path, text in wanted.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            yield path, text
    yield from ((path, None) for path in sorted(FOLDER.glob("*.yaml")) if path not in wanted)


def main(arguments: list[str]) -> int:
    outdated = list(list_outdated())
    for path, text in outdated:
        if "--check" in arguments:
            print(f"{path.relative_to(PROMETHEUS.parent)} is out of date; run python -m docs.kubernetes")
        elif text is None:
            path.unlink()
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return 1 if outdated and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) | chart.main(sys.argv[1:]))

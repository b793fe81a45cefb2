"""The pages of the documentation as a site, in the order in which somebody needs them; `make site` builds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOME = "README"
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "First hour": ("docs/first-hour", "docs/permissions", "docs/dashboards"),
    "Deploying": (
        "docs/installing",
        "docs/deploying",
        "docs/kubernetes",
        "charts/airflow-metrics-exporter/README",
        "docs/workers",
        "docs/statsd",
        "docs/celery",
        "docs/database",
        "docs/managed",
        "docs/migrating",
    ),
    "On call": (
        "docs/on-call",
        "docs/troubleshooting",
        "docs/diagnosis",
        "docs/alerts",
        "docs/alertmanager",
        "docs/events",
    ),
    "Tuning": ("docs/tuning", "docs/scaling"),
    "Reference": (
        "docs/configuration",
        "docs/metrics",
        "docs/native-histograms",
        "docs/matrix",
        "docs/counting",
        "docs/support",
        "docs/architecture",
        "docs/releasing",
    ),
    "Benchmarks": ("benchmarks/README", "benchmarks/POLL"),
}
"""Titles of sections, each with its pages without `.md`. A page of docs/ that is missing here fails a test."""
BELOW: Mapping[str, str] = {"docs/alerts": "docs/runbooks/*"}
"""Pages that have others below them."""
PATTERNS = ("*.md", "docs/*.md", "docs/runbooks/*.md", "benchmarks/*.md", "charts/*/README.md")
"""All pages."""


def list_sections() -> Iterator[tuple[str, tuple[str, ...]]]:
    """The sections, and at the end the pages about the project itself."""
    yield from SECTIONS.items()
    yield "Project", tuple(path.stem for path in sorted(ROOT.glob("*.md")) if path.stem != HOME)

"""What pages send a reader to is there: dashboards with their rows and panels, and the Deployment of the chart."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *ROOT.glob("docs/**/*.md")])
NAMED = re.compile(r"dashboards? \*([^*]+)\*((?:, (?:row|panels?) \*[^*]+\*(?: and \*[^*]+\*)?)*)")
PART = re.compile(r"\*([^*]+)\*")
DEPLOYMENT = re.compile(r"deploy(?:ment)?/(\S*exporter\S*)")
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def list_titles(parts: list[dict[str, Any]]) -> Iterator[str]:
    """Titles of rows and panels, whatever their depth."""
    for part in parts:
        yield part["title"]
        yield from list_titles(part.get("panels", []))


def read_dashboards() -> dict[str, set[str]]:
    """Titles of rows and panels, by the title of the dashboard."""
    boards = (json.loads(path.read_text(encoding="utf-8")) for path in ROOT.glob("grafana/dashboards/*.json"))
    return {board["title"].removeprefix("Airflow / "): set(list_titles(board["panels"])) for board in boards}


DASHBOARDS = read_dashboards()


@each_page
def test_dashboards_rows_and_panels_that_a_page_names_are_there(page: Path) -> None:
    for title, parts in NAMED.findall(page.read_text(encoding="utf-8")):
        assert title in DASHBOARDS
        assert set(PART.findall(parts)) <= DASHBOARDS[title]


def test_rows_and_panels_are_read_too() -> None:
    text = "the dashboard *Tuning*, row *Retries and due runs*, panels *A* and *B*."
    assert NAMED.findall(text) == [("Tuning", ", row *Retries and due runs*, panels *A* and *B*")]


@each_page
def test_the_deployment_is_that_of_the_chart(page: Path) -> None:
    chart = yaml.safe_load((ROOT / "charts/airflow-metrics-exporter/Chart.yaml").read_text(encoding="utf-8"))["name"]
    assert set(DEPLOYMENT.findall(page.read_text(encoding="utf-8"))) <= {chart}

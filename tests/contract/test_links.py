"""Every link in the pages for users leads somewhere, and every metric that they name exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from exporter.metrics.catalogue.families import FAMILIES
from tests.contract.promql import exposed, rules

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/*.md"), *ROOT.glob("charts/*/*.md")]
)
LINK = re.compile(r"\]\(([^)\s]+)\)")
METRIC = re.compile(r"`(airflow(?:_[a-z0-9]+)*:[a-z0-9_:]+|airflow_[a-z0-9_]+)`")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def anchor(heading: str) -> str:
    """A heading as pages on the web name it: small letters, no punctuation, hyphens for blanks."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> list[str]:
    """What a link can lead to within a page."""
    return [anchor(heading) for heading in HEADING.findall(page.read_text(encoding="utf-8"))]


def dead_links(page: Path, text: str) -> Iterator[str]:
    """Those within the repository that lead to no file or to no heading of it."""
    for link in LINK.findall(text):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, heading = link.partition("#")
        target = (page.parent / name) if name else page
        if not target.exists() or (heading and heading not in anchors(target)):
            yield link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert list(dead_links(page, page.read_text(encoding="utf-8"))) == []


def test_a_dead_link_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Here it is!\n", encoding="utf-8")
    text = "[a](page.md) [b](#here-it-is) [c](gone.md) [d](page.md#nowhere) [e](https://example.org)"
    assert list(dead_links(page, text)) == ["gone.md", "page.md#nowhere"]


def test_every_metric_that_the_readme_names_exists() -> None:
    known = {*exposed(), *(family.name for family in FAMILIES), *(rule.get("record") for rule in rules())}
    named = METRIC.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(named) > 20
    assert set(named) <= known


def test_the_readme_counts_alerts_and_dashboards_as_they_are() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    alerts = [rule for rule in rules(ROOT / "prometheus" / "alerts") if "alert" in rule]
    critical = [rule for rule in alerts if rule["labels"]["severity"] == "critical"]
    assert f"**Alerts**: {len(alerts)}, of which {len(critical)} are critical" in text
    assert f"One of {len(list(ROOT.glob('grafana/dashboards/*.json')))} dashboards" in text

"""The rules for a year's trends, which only a store with long retention needs."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import yaml

from tests.rules.rulefiles import PROMETHEUS
from tests.rules.test_promtool import run

LONGTERM = PROMETHEUS / "longterm"


def test_the_rules_for_trends_are_valid_and_pass_their_tests(promtool: Path) -> None:
    run(promtool, "check", "rules", "--lint=all", "--lint-fatal", LONGTERM / "trends.yml")
    run(promtool, "test", "rules", LONGTERM / "tests.yml")


def test_the_configuration_with_remote_write_is_valid(promtool: Path) -> None:
    run(promtool, "check", "config", PROMETHEUS / "longterm.yml")


def test_the_page_says_how_large_groups_are_and_how_many() -> None:
    """Mimir limits both; and it refuses two files of one name, which there are."""
    files = [*PROMETHEUS.glob("rules/*.yml"), *PROMETHEUS.glob("alerts/*.yml")]
    groups = [group for path in files for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]]
    page = (PROMETHEUS.parent / "docs/scaling.md").read_text(encoding="utf-8")
    assert re.findall(r"to (\d+) or more, the size", page) == [str(max(len(group["rules"]) for group in groups))]
    assert f"There are {len(groups)} groups" in page
    assert max(Counter(path.name for path in files).values()) > 1

"""The rules for a year's trends, which only a store with long retention needs."""

from __future__ import annotations

from pathlib import Path

from tests.rules.rulefiles import PROMETHEUS
from tests.rules.test_promtool import run

LONGTERM = PROMETHEUS / "longterm"


def test_the_rules_for_trends_are_valid_and_pass_their_tests(promtool: Path) -> None:
    run(promtool, "check", "rules", "--lint=all", "--lint-fatal", LONGTERM / "trends.yml")
    run(promtool, "test", "rules", LONGTERM / "tests.yml")


def test_the_configuration_with_remote_write_is_valid(promtool: Path) -> None:
    run(promtool, "check", "config", PROMETHEUS / "longterm.yml")

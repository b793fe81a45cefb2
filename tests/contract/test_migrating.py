"""The migration guide names only families that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from exporter import catalogue

GUIDE = (Path(__file__).parents[2] / "docs/migrating.md").read_text(encoding="utf-8")
ROWS = re.findall(r"^\| `(airflow_\w+)` \| `(airflow_\w+)` \|", GUIDE, re.MULTILINE)


def test_every_name_of_the_chart_is_there_once() -> None:
    assert len(ROWS) == len({old for old, _ in ROWS}) == 16


@pytest.mark.parametrize(("old", "family"), ROWS)
def test_every_family_of_the_guide_exists(old: str, family: str) -> None:
    assert family in {known.name for known in catalogue.FAMILIES}, f"{old} has nowhere to go"

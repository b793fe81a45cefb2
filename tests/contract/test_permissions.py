"""docs/permissions.md names what each endpoint needs, as it is declared beside the endpoint."""

from __future__ import annotations

import re
from pathlib import Path

from exporter.sources.airflow.source import READERS, list_checks

PAGE = (Path(__file__).parents[2] / "docs" / "permissions.md").read_text(encoding="utf-8")


def read_table() -> dict[str, str]:
    """The permission of each endpoint, by the endpoint's label."""
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", PAGE, re.MULTILINE)
    return {name: "" if permission == "none" else permission for name, permission in rows}


def test_every_endpoint_is_in_the_table_with_its_permission() -> None:
    assert read_table() == {step.resource.name: step.resource.permissions for step in list_checks()}


def test_every_reader_that_feeds_families_has_its_endpoints_checked_but_for_those_that_only_compute() -> None:
    computing = [reader.name for reader in READERS if reader.families and not reader.checks]
    assert computing == ["costs"]

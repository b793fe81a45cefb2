"""docs/permissions.md names what each endpoint needs, as it is declared beside the endpoint."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

from exporter.sources.airflow import api
from exporter.sources.airflow.api.objects.assets import ASSETS
from exporter.sources.airflow.http.endpoints import Resource
from exporter.sources.airflow.http.errors import Identity, explain_403
from exporter.sources.airflow.source import READERS, list_checks

PAGE = (Path(__file__).parents[2] / "docs" / "permissions.md").read_text(encoding="utf-8")


def read_table() -> dict[str, str]:
    """The permission of each endpoint, by the endpoint's label."""
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", PAGE, re.MULTILINE)
    return {name: "" if permission == "none" else permission for name, permission in rows}


def list_resources() -> Iterator[Resource]:
    """Every endpoint that is declared: those of `check`, and those that only some objects are asked for."""
    for module in pkgutil.walk_packages(api.__path__, f"{api.__name__}."):
        found = vars(importlib.import_module(module.name)).values()
        yield from (value for value in found if isinstance(value, Resource))


def test_every_endpoint_is_in_the_table_with_its_permission() -> None:
    declared = {resource.name: resource.permissions for resource in list_resources()}
    assert declared.keys() > {step.resource.name for step in list_checks()}
    assert read_table() == declared


def test_the_list_of_assets_needs_two_permissions_on_3() -> None:
    """Airflow's route asks for both: `requires_access_asset` and `requires_access_asset_alias`."""
    assert ASSETS.on_3.permission == "Assets and Asset Aliases"
    _, message = explain_403(ASSETS.on_3, "Forbidden", Identity("the user of --airflow.username", "…"))
    assert "its role needs “can read on Assets” and “can read on Asset Aliases”" in message


def test_every_reader_that_feeds_families_has_its_endpoints_checked_but_for_those_that_only_compute() -> None:
    computing = [reader.name for reader in READERS if reader.families and not reader.checks]
    assert computing == ["costs"]

"""docs/architecture.md names files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"
NAMED = re.compile(r"`([a-z_/]+(?:\.py|/))`")
ROW = re.compile(r"^\| (.+?) \| (.+) \|$", re.MULTILINE)


def list_named() -> list[tuple[str, str]]:
    """Each file or folder that the table names, with the first folder of its row, where it may be."""
    found = []
    for where, what in ROW.findall(PAGE.read_text()):
        folders = [one for one in NAMED.findall(where) if one.endswith("/")]
        folder = folders[0] if folders else ""
        found += [("", one) for one in NAMED.findall(where)]
        found += [(folder, one) for one in NAMED.findall(what)]
    return found


def test_the_table_is_found() -> None:
    assert len(list_named()) > 40


@pytest.mark.parametrize(("folder", "name"), list_named(), ids=lambda one: one or "-")
def test_a_named_file_exists(folder: str, name: str) -> None:
    places = [ROOT / "exporter" / folder / name, ROOT / "exporter" / name]
    assert any(place.exists() for place in places)

"""The pages on what to do about an alert, which come with the exporter: those of its own release."""

from __future__ import annotations

import re
from pathlib import Path

INSTALLED = Path(__file__).parents[1] / "runbooks"
IN_REPOSITORY = Path(__file__).parents[2] / "docs" / "runbooks"
NAME = re.compile(r"(\w+)(\.md)?\Z")


def find_folder() -> Path:
    """Where they are: beside the package, or in the repository that it is run from."""
    return INSTALLED if INSTALLED.is_dir() else IN_REPOSITORY


def list_runbooks() -> list[str]:
    """The alerts that have one, by name."""
    return sorted(path.stem for path in find_folder().glob("*.md"))


def read_runbook(name: str) -> str | None:
    """The page of an alert, with or without its suffix; None where there is none."""
    match = NAME.match(name)
    if match is None or match[1] not in list_runbooks():
        return None
    return (find_folder() / f"{match[1]}.md").read_text(encoding="utf-8")

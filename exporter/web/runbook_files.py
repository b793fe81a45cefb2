"""The runbooks that are part of this release, as Markdown files."""

from __future__ import annotations

import re
from pathlib import Path

PACKAGE_FOLDER = Path(__file__).parents[1] / "runbooks"
REPOSITORY_FOLDER = Path(__file__).parents[2] / "docs" / "runbooks"
FILE_NAME = re.compile(r"(\w+)(\.md)?\Z")


def get_folder() -> Path:
    """The folder in the installed package, or in a checkout of the repository."""
    return PACKAGE_FOLDER if PACKAGE_FOLDER.is_dir() else REPOSITORY_FOLDER


def list_runbooks() -> list[str]:
    """The names of the alerts that have a runbook, sorted."""
    return sorted(path.stem for path in get_folder().glob("*.md"))


def read_runbook(name: str) -> str | None:
    """The Markdown of an alert's runbook, by its name with or without `.md`; None if there is none."""
    match = FILE_NAME.match(name)
    if match is None or match[1] not in list_runbooks():
        return None
    return (get_folder() / f"{match[1]}.md").read_text(encoding="utf-8")

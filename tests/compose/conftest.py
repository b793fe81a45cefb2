"""The shipped compose file and image recipe, read as text: what can be said of them without an engine."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import NOT_RUN
from tests.e2e.compose.stack import ROOT, EngineError, find_compose


def find_program(name: str) -> str | None:
    """In PATH, or in the environment that the tests run in."""
    return shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def project() -> dict[str, Any]:
    """The compose file as it is written, merges resolved, variables not."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yaml").read_text(encoding="utf-8"))
    return loaded


@pytest.fixture(scope="session")
def services(project: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = project["services"]
    return found


@pytest.fixture(scope="session")
def compose() -> list[str]:
    """The command that reads compose files."""
    try:
        return find_compose()
    except EngineError as error:
        pytest.skip(f"{NOT_RUN}: {error}")


@pytest.fixture(scope="session")
def hadolint() -> str:
    """The linter of image recipes; a development dependency."""
    found = find_program("hadolint")
    if not found:
        pytest.skip(f"{NOT_RUN}: hadolint is neither in PATH nor beside Python")
    return found

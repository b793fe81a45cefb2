"""Helm; tests that need it are skipped without it, and the summary says so."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.charts.helm import Helm
from tests.conftest import NOT_RUN

TOOLS = Path(__file__).parents[2] / ".ci-tools"


@pytest.fixture(scope="session")
def helm() -> Helm:
    """In PATH, named by $HELM, or where `make charts` puts it."""
    found = os.environ.get("HELM") or shutil.which("helm") or shutil.which("helm", path=TOOLS)
    if not found:
        pytest.skip(f"{NOT_RUN}: helm is neither in PATH nor named by $HELM; make charts fetches it")
    return Helm(found)

"""What the tests of the host source share."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.integration.host.watch import Watch


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    """A host source that gets the names of tries from `watch.directory`."""
    return Watch(tmp_path / "proc")


@pytest.fixture(autouse=True)
def _restore_procfs_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader of the machine changes psutil's global path, which other tests in this process use."""
    monkeypatch.setattr(psutil, "PROCFS_PATH", "/proc")

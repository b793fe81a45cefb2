"""What the tests of the host source share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.host.watch import Watch


@pytest.fixture
def watch(tmp_path: Path) -> Watch:
    """A host source that gets the names of tries from `watch.directory`."""
    return Watch(tmp_path / "proc")

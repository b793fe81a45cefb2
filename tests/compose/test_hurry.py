"""What the end-to-end run hurries differs from what is shipped in its pauses only."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.compose.hurry import PAUSE, SHORTER, hurried


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("hurried")
    assert hurried(found) == {
        "HURRIED_PROMETHEUS": f"{found}/prometheus",
        "HURRIED_ALERTMANAGER": f"{found}/alertmanager",
    }
    return found


def blank(value: Any, keys: tuple[str, ...]) -> Any:
    """The same without what its pauses are."""
    if isinstance(value, dict):
        return {key: "" if key in keys else blank(one, keys) for key, one in value.items()}
    return [blank(one, keys) for one in value] if isinstance(value, list) else value


@pytest.mark.parametrize("name", SHORTER)
def test_everything_else_is_as_shipped(name: str, folder: Path, root: Path) -> None:
    files = sorted(path.relative_to(root) for path in (root / name).rglob("*.yml"))
    assert files
    for file in files:
        shipped, copy = (yaml.safe_load((base / file).read_text(encoding="utf-8")) for base in (root, folder))
        assert blank(copy, SHORTER[name]) == blank(shipped, SHORTER[name]), file


def test_no_alert_waits_longer_than_the_pause(folder: Path) -> None:
    files = [yaml.safe_load(path.read_text()) for path in (folder / "prometheus" / "alerts").glob("*.yml")]
    waits = {rule["for"] for file in files for group in file["groups"] for rule in group["rules"] if "for" in rule}
    assert waits == {PAUSE}


def test_prometheus_accepts_it(folder: Path, promtool: Path) -> None:
    done = subprocess.run([promtool, "check", "config", folder / "prometheus" / "prometheus.yml"], check=False)
    assert done.returncode == 0

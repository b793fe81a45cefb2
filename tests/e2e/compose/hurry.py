"""Copies of the shipped Prometheus and Alertmanager files with shorter pauses, and nothing else changed."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from tests.e2e.compose.stack import ROOT

SHORTER = {
    "prometheus": ("scrape_interval", "scrape_timeout", "evaluation_interval", "for", "keep_firing_for"),
    "alertmanager": ("group_wait", "group_interval"),
}
PAUSE = "5s"


def hurried(folder: Path) -> dict[str, str]:
    """pauses of scrapes, rules and notifications cut to 5 s"""
    variables = {}
    for name, keys in SHORTER.items():
        pauses = re.compile(rf"^(\s*(?:{'|'.join(keys)}): )\d+[smh]\b", re.MULTILINE)
        copy = Path(shutil.copytree(ROOT / name, folder / name))
        for path in [*copy.rglob("*.yml")]:
            path.write_text(pauses.sub(rf"\g<1>{PAUSE}", path.read_text(encoding="utf-8")), encoding="utf-8")
        _open(copy)
        variables[f"HURRIED_{name.upper()}"] = str(copy)
    folder.chmod(0o755)
    return variables


def _open(folder: Path) -> None:
    """The containers' users are none of ours."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)

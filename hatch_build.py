"""Build hook: writes the git revision into the wheel and the sdist, as exporter/REVISION."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAME = "exporter/REVISION"
VARIABLE = "AIRFLOW_EXPORTER_BUILD_REVISION"
"""Set where the build sees no git repository, such as in an image."""


def find_revision(root: Path) -> str:
    """The commit of the sources; with `-dirty` if they were changed since; empty if it cannot be known."""
    given = os.environ.get(VARIABLE, "").strip()
    if given or not (root / ".git").exists():
        return given
    try:
        commit = run_git(root, "rev-parse", "HEAD")
        return f"{commit}-dirty" if run_git(root, "status", "--porcelain", "--untracked-files=no") else commit
    except (OSError, subprocess.CalledProcessError):
        return ""


def run_git(root: Path, *arguments: str) -> str:
    """What git prints."""
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


class RevisionHook(BuildHookInterface[Any]):
    """An sdist holds the file already, so that a wheel built from it has the revision too."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the file to what is built; not where the package is installed in place, and changes with git."""
        root = Path(self.root)
        revision = find_revision(root)
        if version == "editable" or not revision or (root / NAME).exists():
            return
        folder = tempfile.mkdtemp()
        written = Path(folder) / "REVISION"
        written.write_text(f"{revision}\n", encoding="utf-8")
        build_data["force_include"][str(written)] = NAME
        self._folder = folder

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002 - hatch's
        """Remove the temporary file."""
        folder = getattr(self, "_folder", None)
        if folder:
            (Path(folder) / "REVISION").unlink()
            Path(folder).rmdir()

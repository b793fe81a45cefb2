"""The commands of docs/installing.md for pip, pipx and uvx, run as they stand there with a wheel of these sources."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/installing.md").read_text(encoding="utf-8")
PIPX = '#!/bin/sh\nexec uv tool run --quiet pipx "$@"\n'
pytestmark = pytest.mark.slow


def list_commands(heading: str) -> str:
    """The commands of a section, as a script."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"^```console\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    assert blocks, heading
    return "\n".join(re.sub(r"^\$ ", "", block, flags=re.MULTILINE) for block in blocks)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with dist/, and a home that is empty."""
    if not shutil.which("uv"):
        pytest.skip("a program is missing: uv is not in PATH")
    folder = tmp_path_factory.mktemp("place")
    subprocess.run(["uv", "build", "--quiet", "--out-dir", folder / "dist", ROOT], check=True)
    for name in ("home", "programs", "opt"):
        (folder / name).mkdir()
    (folder / "programs/pipx").write_text(PIPX)
    (folder / "programs/pipx").chmod(0o755)
    return folder


@pytest.mark.parametrize("heading", ["pip", "pipx and uvx"])
def test_the_commands_of_a_section_work(heading: str, place: Path) -> None:
    script = list_commands(heading).replace("/opt/", f"{place}/opt/")
    programs = [place / "programs", os.environ["PATH"]]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "PYTHON"))} | {
        "PATH": os.pathsep.join(map(str, programs)), "HOME": str(place / "home"), "LANG": "C.UTF-8",
        "UV_CACHE_DIR": os.environ.get("UV_CACHE_DIR") or str(Path.home() / ".cache/uv"),
        "PIP_CONSTRAINT": str(ROOT / "constraints.txt"), "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }  # fmt: skip
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=place, env=environment, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"airflow-exporter \d+\.\d+\.\d+ \(revision [0-9a-f]{40}", done.stdout)
    if heading == "pip":
        assert (place / "airflow-exporter-bundle/charts/values.yaml").is_file()
        assert (place / "airflow-exporter-bundle/RELEASE").is_file()

"""The wheel, installed into an empty environment with each extra, works outside the repository."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
IMPORTED = {
    "": "exporter.web.server",
    "speed": "isal.igzip",
    "regex": "re2",
    "celery": "exporter.sources.celery.redis_queues",
    "advise": "exporter.commands.advise.plots",
    "database": "exporter.sources.database.connection",
}
"""By extra: a module that needs it."""
pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> str:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "PYTHON"))}
    done = subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with sdist and wheel; the wheel is built from the sdist, as for PyPI."""
    if not shutil.which("uv"):
        pytest.skip("a program is missing: uv is not in PATH")
    folder = tmp_path_factory.mktemp("built")
    run("uv", "build", "--quiet", "--out-dir", folder, ROOT, cwd=folder)
    return folder


def test_both_have_the_revision_and_nothing_of_the_development_environment(built: Path) -> None:
    commit = run("git", "rev-parse", "HEAD", cwd=ROOT).strip()
    wheel, sdist = next(built.glob("*.whl")), next(built.glob("*.tar.gz"))
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("exporter/REVISION").decode().partition("-dirty")[0].strip() == commit
        names = archive.namelist()
        assert "exporter/py.typed" in names
        assert {name.partition("/")[0] for name in names} == {
            "exporter",
            wheel.name.rpartition("-py3")[0] + ".dist-info",
        }
    with tarfile.open(sdist) as packed:
        top = {Path(name).parts[1] for name in packed.getnames() if len(Path(name).parts) > 1}
        assert top >= {"exporter", "hatch_build.py", "packages", "charts", "docs", "tests", "LICENSE"}
        assert top & {".ci", ".venv", ".git"} == set()


def test_every_extra_of_users_is_tried() -> None:
    assert IMPORTED.keys() - {""} == PROJECT["optional-dependencies"].keys() - {"dev", "docs"}


@pytest.mark.parametrize("extra", IMPORTED)
def test_it_works_in_an_empty_environment(extra: str, built: Path, tmp_path: Path) -> None:
    wheel, environment = next(built.glob("*.whl")), tmp_path / "environment"
    run("uv", "venv", "--quiet", environment, cwd=tmp_path)
    python, command = environment / "bin/python", environment / "bin/airflow-exporter"
    named = f"{PROJECT['name']}[{extra}] @ file://{wheel}" if extra else str(wheel)
    run(
        "uv",
        "pip",
        "install",
        "--quiet",
        "--python",
        python,
        "--constraint",
        ROOT / "constraints.txt",
        named,
        cwd=tmp_path,
    )
    run(python, "-c", f"import {IMPORTED[extra]}", cwd=tmp_path)
    commit = run("git", "rev-parse", "HEAD", cwd=ROOT).strip()
    assert f"(revision {commit}" in run(command, "--version", cwd=tmp_path)
    run(command, "bundle", "--output=bundle", "--identity=airflow,cluster", cwd=tmp_path)
    run(command, "rules", "--output=rules", cwd=tmp_path)
    assert (tmp_path / "bundle/charts/airflow-metrics-exporter/Chart.yaml").is_file()
    assert "# AirflowDagLate" in run(command, "runbooks", "AirflowDagLate", cwd=tmp_path)
    assert "airflow_task_tries_total" in run(command, "metrics", cwd=tmp_path)
    checked = run(command, "check", "--offline", "--config.file=bundle/examples/exporter.yml", cwd=tmp_path)
    assert "exporter.yml" in checked

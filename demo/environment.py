"""A virtual environment that holds one release of Airflow."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from demo.progress import Say, run

HERE = Path(__file__).resolve().parent
VENVS = "AIRFLOW_DEMO_VENVS"
PYTHON = "AIRFLOW_DEMO_PYTHON"
Executor = Literal["LocalExecutor", "CeleryExecutor"]
CELERY = ("apache-airflow-providers-celery==3.26.0", "celery==5.6.3", "redis")
"""The provider imports a name that celery 5.7 no longer has; every task fails then."""


class SetupError(Exception):
    """This machine lacks something that the demo needs; the message says what to do."""


def release(version: str) -> tuple[int, ...]:
    """The numbers of a version, for comparison: 3.3.2 is (3, 3, 2)."""
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())


def newest_python(version: str) -> tuple[int, int]:
    """The newest Python that this Airflow runs on; 3.11, the oldest that we use, suits every release from 2.10 on."""
    return (3, 13) if release(version) >= (3, 1) else (3, 12)


def venv_folder(version: str, workdir: Path, executor: Executor = "LocalExecutor") -> Path:
    """Where the environment lies: in the shared folder if one is named, else beside everything else."""
    shared = os.environ.get(VENVS)
    name = f"{version}-celery" if executor == "CeleryExecutor" else version
    return Path(shared).expanduser().resolve() / name if shared else workdir / "venvs" / name


def is_ready(folder: Path, version: str) -> bool:
    """Whether this Airflow is installed there: by our own marker or, in a folder made by others, by its metadata."""
    marked = (folder / f".airflow-{version}").exists()
    foreign = os.environ.get(VENVS) and any(
        folder.glob(f"lib/python3*/site-packages/apache_airflow-{version}.dist-info")
    )
    return marked or bool(foreign)


def requirements(version: str, executor: Executor = "LocalExecutor") -> list[str]:
    """What pip is to install: exact pins where we keep them, else the release with what it needs here."""
    return [*_list_airflow(version), *(CELERY if executor == "CeleryExecutor" else ())]


def _list_airflow(version: str) -> list[str]:
    pins = HERE / f"requirements-{version}.txt"
    if pins.exists():
        return ["-r", str(pins)]
    wanted = [f"apache-airflow[statsd]=={version}", "apache-airflow-providers-standard", "psycopg2-binary"]
    if release(version) < (3,):
        return [*wanted, "apache-airflow-providers-fab"]
    # newer ones refuse what these releases' own workers send: every task fails
    return [*wanted, "asyncpg", "fastapi<0.118" if release(version) < (3, 1) else "fastapi<0.137"]


def _candidates() -> Iterator[str]:
    named = os.environ.get(PYTHON)
    if named:
        yield named
        return
    yield sys.executable
    for minor in (12, 11, 13):
        found = shutil.which(f"python3.{minor}")
        if found:
            yield found
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from sorted(str(path) for path in pyenv.glob("3.1[123].*/bin/python3"))


def _python_version(command: str) -> tuple[int, int]:
    """(0, 0) for what does not run or cannot make environments: pyenv's shims and Debian without python3-venv."""
    code = "import ensurepip, sys, venv; print(*sys.version_info[:2])"
    try:
        done = subprocess.run([command, "-c", code], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return (0, 0)
    major, minor = done.stdout.split()
    return int(major), int(minor)


def find_python(version: str) -> str:
    """A Python that this Airflow runs on."""
    newest = newest_python(version)
    for command in _candidates():
        if (3, 11) <= _python_version(command) <= newest:
            return command
    raise SetupError(
        f"Airflow {version} needs Python 3.11 to {newest[0]}.{newest[1]} with its venv module: "
        f"install one or name its path in {PYTHON}"
    )


def install(version: str, folder: Path, log: Path, report: Say, executor: Executor = "LocalExecutor") -> None:
    """Create the environment unless it exists; an incomplete one, without its marker, is created again."""
    if is_ready(folder, version):
        return
    began = time.monotonic()
    python = find_python(version)
    report(f"Installing Airflow {version} into {folder} (once; a minute or two)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    own = str(folder / "bin" / "python")
    uv = shutil.which("uv")
    if uv:
        run([uv, "venv", "--clear", "--python", python, str(folder)], label="environment", log=log, report=report)
        packages = [uv, "pip", "install", "--python", own]
    else:
        run([python, "-m", "venv", "--clear", str(folder)], label="environment", log=log, report=report)
        packages = [own, "-m", "pip", "install", "--disable-pip-version-check"]
    run([*packages, *requirements(version, executor)], label=f"Airflow {version}", log=log, report=report)
    (folder / f".airflow-{version}").touch()
    report(f"Installed Airflow {version} in {time.monotonic() - began:.0f} s")

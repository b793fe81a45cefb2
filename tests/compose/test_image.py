"""The recipe of our image, and what it is built from."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import exporter


def recipe(root: Path) -> str:
    return (root / "Dockerfile").read_text(encoding="utf-8")


def test_hadolint_has_nothing_to_say(hadolint: str, root: Path) -> None:
    done = subprocess.run([hadolint, root / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_its_base_is_pinned_and_named_once(root: Path) -> None:
    stages = re.findall(r"^FROM (\S+)", recipe(root), re.MULTILINE)
    assert set(stages) == {"${PYTHON_IMAGE}"}
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.\d+\.\d+-slim-\w+$", recipe(root), re.MULTILINE)


def test_it_is_labelled_with_the_version_of_the_package(root: Path) -> None:
    assert f"ARG VERSION={exporter.__version__}\n" in recipe(root)
    labels = set(re.findall(r"org\.opencontainers\.image\.(\w+)=", recipe(root)))
    assert labels >= {"title", "description", "licenses", "version", "revision"}


def test_its_user_is_a_number_other_than_root(root: Path) -> None:
    assert re.findall(r"^USER (\S+)", recipe(root), re.MULTILINE) == ["10112:10112"]


def test_its_health_check_and_entry_need_no_shell(root: Path) -> None:
    assert 'CMD ["airflow-exporter", "probe"]' in recipe(root)
    assert 'ENTRYPOINT ["airflow-exporter"]' in recipe(root)


def test_what_it_copies_is_let_through_and_nothing_else(root: Path) -> None:
    allowed = {line[1:] for line in (root / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", recipe(root), re.MULTILINE)
    assert {name for names in copied for name in names.split()} == allowed
    assert all((root / name).exists() for name in allowed)

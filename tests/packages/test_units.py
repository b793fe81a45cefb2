"""The units of systemd: how exposed they are, in what they differ, and that their settings exist."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from exporter.config.options import OPTIONS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "packages/systemd"
UNITS = ("airflow-exporter.service", "airflow-exporter-worker.service")
PAGE = (ROOT / "docs/installing.md").read_text(encoding="utf-8")
VARIABLE = re.compile(r"AIRFLOW_EXPORTER_[A-Z_]+")
HARDENING = re.compile(r"^(\w+)=(.*)$", re.MULTILINE)


def list_hardening(unit: str) -> set[tuple[str, str]]:
    """The settings below the comment on what the service may not do."""
    return set(HARDENING.findall((FOLDER / unit).read_text(encoding="utf-8").partition("# What it may not do")[2]))


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_calls_it_as_little_exposed_as_the_page_says(unit: str) -> None:
    if not shutil.which("systemd-analyze"):
        pytest.skip("a program is missing: systemd-analyze is not in PATH")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", FOLDER / unit],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    found = re.search(r"exposure level for \S+: ([\d.]+)", done.stdout)
    assert found, done.stdout + done.stderr
    assert float(found[1]) < 2
    row = re.search(r"^\| `systemd-analyze security` \| (\S+) \| (\S+) \|$", PAGE, re.MULTILINE)
    assert row
    assert found[1] == row[UNITS.index(unit) + 1]


def test_the_worker_differs_only_where_it_must_see_other_processes() -> None:
    central, worker = (list_hardening(unit) for unit in UNITS)
    assert central - worker == {
        ("PrivateUsers", "yes"), ("ProcSubset", "pid"), ("ProtectHome", "yes"), ("ProtectProc", "invisible"),
        ("SystemCallFilter", "sched_setattr"),
    }  # fmt: skip
    assert worker - central == {
        ("PrivateUsers", "no"), ("ProcSubset", "all"), ("ProtectHome", "read-only"), ("ProtectProc", "default"),
    }  # fmt: skip


def test_every_variable_of_units_and_environment_files_is_an_option() -> None:
    named = {name for path in FOLDER.iterdir() for name in VARIABLE.findall(path.read_text(encoding="utf-8"))}
    assert len(named) > 5
    assert named <= {option.variable for option in OPTIONS}

"""What `check` says of the state file, which an exporter may be using."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from exporter.cli import main
from exporter.store.persistence.state_file import StateFile

ALONE = ("--no-collector.airflow", "--no-collector.host")


def run_check(path: Path) -> Result:
    return CliRunner().invoke(main, ["check", *ALONE, f"--state.file={path}"])


def write_version(path: Path) -> None:
    StateFile(path).close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 7")


def write_foreign(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA application_id = 5")
        db.execute("CREATE TABLE other (x)")


UNFIT: dict[str, Callable[[Path], object]] = {
    "file is not a database": lambda path: path.write_bytes(b"x" * 5000),
    "it was written by another release (format 7)": write_version,
    "it is another program's database": write_foreign,
}


@pytest.mark.parametrize("problem", UNFIT)
def test_that_an_unfit_file_fails_as_it_fails_serve(tmp_path: Path, problem: str) -> None:
    UNFIT[problem](tmp_path / "state.db")
    result = run_check(tmp_path / "state.db")
    assert result.exit_code == 1
    assert f"state.db: {problem}" in result.stdout


def test_that_a_file_that_will_be_made_is_fine_and_is_not_made(tmp_path: Path) -> None:
    result = run_check(tmp_path / "state.db")
    assert result.exit_code == 0
    assert list(tmp_path.iterdir()) == []


def test_that_a_file_in_use_is_fine(tmp_path: Path) -> None:
    used = StateFile(tmp_path / "state.db")
    result = run_check(tmp_path / "state.db")
    used.close()
    assert result.exit_code == 0

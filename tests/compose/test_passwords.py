"""Passwords of the stack: made once, each for one group, never shown."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from compose import passwords
from compose.passwords import AIRFLOW, EXPORTER, GRAFANA, SECRETS


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files can be given only to groups that one is in: the tests' own stand for all."""
    monkeypatch.setattr(passwords, "SECRETS", tuple(secret._replace(group=os.getgid()) for secret in SECRETS))
    monkeypatch.setattr(sys, "argv", ["passwords.py", str(tmp_path)])
    return tmp_path


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_the_first_start_makes_all_of_them(folder: Path) -> None:
    assert passwords.main() == 0
    made = contents(folder)
    assert made.keys() == {secret.name for secret in SECRETS}
    assert all(len(content) >= 32 for content in made.values())
    assert len(set(made.values())) == len(made)


def test_a_later_start_changes_none(folder: Path) -> None:
    passwords.main()
    before = contents(folder)
    passwords.main()
    assert contents(folder) == before


def test_what_is_missing_is_made_to_fit_what_is_there(folder: Path) -> None:
    passwords.main()
    before = contents(folder)
    (folder / "airflow-users.json").unlink()
    passwords.main()
    assert contents(folder) == before


def test_a_start_that_was_cut_short_is_made_good(folder: Path) -> None:
    (folder / ".database-password").write_text("half")
    passwords.main()
    assert "half" not in contents(folder).values()
    assert not (folder / ".database-password").exists()


def test_users_and_database_get_the_passwords_that_are_in_the_other_files(folder: Path) -> None:
    passwords.main()
    made = contents(folder)
    users = json.loads(made["airflow-users.json"])
    assert users == {"admin": made["airflow-admin-password"], "exporter": made["exporter-password"]}
    assert f":{made['database-password']}@" in made["database-url"]
    assert len(base64.urlsafe_b64decode(made["airflow-fernet-key"])) == 32


def test_nobody_else_can_read_them(folder: Path) -> None:
    passwords.main()
    modes = {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert modes.pop("airflow-users.json") == 0o660
    assert set(modes.values()) == {0o440}


def test_the_exporter_reads_its_own_password_only() -> None:
    assert [secret.name for secret in SECRETS if secret.group == EXPORTER] == ["exporter-password"]
    assert all(secret.name.startswith("grafana-") for secret in SECRETS if secret.group == GRAFANA)
    assert {secret.group for secret in SECRETS} == {EXPORTER, GRAFANA, AIRFLOW}


def test_it_says_what_it_made_and_not_what_it_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    passwords.main()
    told = capsys.readouterr().out
    assert "exporter-password" in told
    assert not [content for content in contents(folder).values() if content in told]
    passwords.main()
    assert capsys.readouterr().out == "nothing to make: all passwords are there\n"


def test_it_runs_as_the_script_that_the_container_runs(tmp_path: Path) -> None:
    """A module of its own beside it must not hide one of Python's."""
    script = Path(passwords.__file__)
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True, text=True, check=False)
    assert "made" in done.stdout or "Operation not permitted" in done.stderr

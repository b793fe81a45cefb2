"""The demo's set-up: which Python, which packages, which settings, which files."""

from __future__ import annotations

import argparse
import ast
import re
import socket
import stat
import sys
from pathlib import Path

import pytest

from demo import environment, preparation
from demo.airflow import DAGS, Airflow, main
from demo.environment import SetupError, is_ready, newest_python, release, requirements, venv_folder
from demo.parts import make_broker_command
from demo.postgres import find_programs
from demo.progress import CommandError, last_line, run
from demo.settings import Place, of_celery, own, settings_of
from demo.workdir import Workdir, free_port, secret_file

KEYS = {"fernet": "f", "web": "w", "jwt": "j"}


def place(version: str) -> Place:
    work = Path("/work-folder")
    return Place(version, work, work / "venv", work / "dags", 8081, "sqlite:///x", KEYS, work / "passwords.json")


# ---- releases and Pythons ---------------------------------------------------------------------


@pytest.mark.parametrize(("version", "numbers"), [("3.3.2", (3, 3, 2)), ("2.10.5", (2, 10, 5)), ("3.1", (3, 1))])
def test_release(version: str, numbers: tuple[int, ...]) -> None:
    assert release(version) == numbers


@pytest.mark.parametrize(
    ("version", "newest"), [("2.10.5", 12), ("2.11.2", 12), ("3.0.6", 12), ("3.1.8", 13), ("3.3.2", 13)]
)
def test_newest_python(version: str, newest: int) -> None:
    assert newest_python(version) == (3, newest)


def test_an_unsuitable_python_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_DEMO_PYTHON", "/nowhere/python")
    with pytest.raises(SetupError, match=r"Airflow 2\.11\.2 needs Python 3\.11 to 3\.12 .* AIRFLOW_DEMO_PYTHON"):
        environment.find_python("2.11.2")


@pytest.mark.skipif(sys.version_info[:2] > newest_python("3.3.2"), reason="Airflow does not run on this Python")
def test_this_python_is_found_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_DEMO_PYTHON", raising=False)
    assert environment.find_python("3.3.2") == sys.executable


@pytest.mark.parametrize("version", ["3.3.2", "2.11.2"])
def test_pins_are_plain(version: str) -> None:
    option, file = requirements(version)
    lines = [line for line in Path(file).read_text().splitlines() if not line.startswith("#")]
    assert option == "-r"
    assert f"apache-airflow=={version}" in lines
    assert all(re.match(r"[a-z0-9.\[\]-]+==[^ /]+( ; .*)?$", line) for line in lines)


@pytest.mark.parametrize(("version", "also"), [("3.1.7", "asyncpg"), ("2.10.4", "apache-airflow-providers-fab")])
def test_requirements_without_pins(version: str, also: str) -> None:
    wanted = requirements(version)
    assert wanted[0] == f"apache-airflow[statsd]=={version}"
    assert also in wanted


def test_environments_may_be_shared(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AIRFLOW_DEMO_VENVS", raising=False)
    assert venv_folder("3.3.2", Path("/w")) == Path("/w/venvs/3.3.2")
    monkeypatch.setenv("AIRFLOW_DEMO_VENVS", str(tmp_path))
    assert venv_folder("3.3.2", Path("/w")) == tmp_path / "3.3.2"


def test_only_a_shared_environment_is_ready_without_our_marker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "lib/python3.12/site-packages/apache_airflow-3.3.2.dist-info").mkdir(parents=True)
    monkeypatch.delenv("AIRFLOW_DEMO_VENVS", raising=False)
    assert not is_ready(tmp_path, "3.3.2")
    monkeypatch.setenv("AIRFLOW_DEMO_VENVS", str(tmp_path.parent))
    assert is_ready(tmp_path, "3.3.2")
    assert not is_ready(tmp_path, "3.3.1")


# ---- settings ---------------------------------------------------------------------------------


def test_nobodys_settings_are_inherited() -> None:
    inherited = {"AIRFLOW__CORE__PARALLELISM": "1", "PYTHONPATH": "/x", "PATH": "/bin", "NO_PROXY": "a", "HOME": "/h"}
    kept = own(inherited, Path("/v"))
    assert kept == {
        "HOME": "/h",
        "PATH": "/v/bin:/bin",
        "NO_PROXY": "a,127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


@pytest.mark.parametrize("version", ["2.10.5", "2.11.2", "3.0.6", "3.3.2"])
def test_everything_stays_on_loopback(version: str) -> None:
    settings = settings_of(place(version), {}, {})
    hosts = [value for name, value in settings.items() if name.endswith("_HOST")]
    assert hosts
    assert set(hosts) == {"127.0.0.1"}
    assert settings["AIRFLOW__USAGE_DATA_COLLECTION__ENABLED"] == "False"


def test_extra_settings_have_the_last_word() -> None:
    settings = settings_of(
        place("3.3.2"), {}, {"AIRFLOW__CORE__PARALLELISM": "3", "AIRFLOW__METRICS__STATSD_ON": "True"}
    )
    assert settings["AIRFLOW__CORE__PARALLELISM"] == "3"
    assert settings["AIRFLOW__METRICS__STATSD_ON"] == "True"


# ---- the work folder --------------------------------------------------------------------------


def test_secrets_are_private_and_stay(tmp_path: Path) -> None:
    folder = Workdir(tmp_path / "w")
    password = folder.password_file.read_text()
    assert len(password) >= 16
    assert Workdir(tmp_path / "w").password_file.read_text() == password
    assert Workdir(tmp_path / "w").keys() == folder.keys()
    assert password in folder.passwords_file.read_text()
    for file in (folder.password_file, folder.passwords_file, folder.path / "keys.json"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.path.stat().st_mode) == 0o700


def test_a_secret_is_written_once(tmp_path: Path) -> None:
    assert secret_file(tmp_path / "s", "first") == "first"
    assert secret_file(tmp_path / "s", "second") == "first"


def test_state_is_remembered(tmp_path: Path) -> None:
    folder = Workdir(tmp_path)
    folder.state.port = 4321
    folder.state.prepared.append("tables")
    folder.save()
    assert Workdir(tmp_path).state == folder.state


def test_a_taken_port_is_left_alone() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert free_port(taken.getsockname()[1]) != taken.getsockname()[1]


# ---- the launcher -----------------------------------------------------------------------------


def test_airflow_2_wants_postgres(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="PostgreSQL"):
        Airflow("2.11.2", tmp_path, database="sqlite")
    assert Airflow("2.11.2", tmp_path).database == "postgres"
    assert Airflow("3.3.2", tmp_path).database == "sqlite"


def test_parts_have_the_same_names_in_both_releases(tmp_path: Path) -> None:
    assert set(Airflow("3.3.2", tmp_path).parts) - set(Airflow("2.11.2", tmp_path).parts) == {"dag-processor"}
    assert Airflow("2.11.2", tmp_path).parts["api-server"] == ["webserver"]


def test_celery_has_a_worker_a_broker_and_an_environment_of_its_own(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    airflow = Airflow("3.3.2", tmp_path, executor="CeleryExecutor")
    assert airflow.database == "postgres"
    assert set(airflow.parts) - set(Airflow("3.3.2", tmp_path).parts) == {"celery-worker"}
    assert venv_folder("3.3.2", tmp_path, "CeleryExecutor") != venv_folder("3.3.2", tmp_path)
    assert any(one.startswith("celery==5.6") for one in requirements("3.3.2", "CeleryExecutor"))
    settings = of_celery(place("3.3.2"), 6390)
    assert settings["AIRFLOW__CELERY__BROKER_URL"] == "redis://127.0.0.1:6390/0"
    monkeypatch.setattr("shutil.which", lambda _: "/bin/redis-server")
    assert make_broker_command("127.0.0.1", 6390)[:3] == ["/bin/redis-server", "--bind", "127.0.0.1"]


def test_missing_redis_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(SetupError, match="apt-get install redis"):
        make_broker_command("127.0.0.1", 6390)


def test_missing_postgres_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))
    with pytest.raises(SetupError, match="install PostgreSQL"):
        find_programs()


def test_status_shows_no_secret(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--workdir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert '"processes": {}' in shown
    assert (tmp_path / "password").read_text() not in shown


def test_down_of_what_never_was_up(tmp_path: Path) -> None:
    work = tmp_path / "w"
    assert main(["down", "--workdir", str(work), "--remove"]) == 0
    assert not work.exists()


def test_parts_may_come_last(tmp_path: Path) -> None:
    assert main(["down", "--version", "3.3.2", "--workdir", str(tmp_path), "api-server", "scheduler"]) == 0


def test_errors_are_sentences(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--version", "2.11.2", "--database", "sqlite", "--workdir", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("error: Airflow 2 runs tasks in parallel only on PostgreSQL")


# ---- progress ---------------------------------------------------------------------------------


def test_last_line_passes_over_blanks() -> None:
    assert last_line("one\n  two  \n\n") == "two"
    assert last_line("\n") == ""


def test_long_commands_tell_how_far_they_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("demo.progress.HEARTBEAT_SECONDS", 0.05)
    told: list[str] = []
    run(["sh", "-c", "echo fetching; sleep 0.3"], label="install", log=tmp_path / "log", report=told.append)
    assert any(re.fullmatch(r"  install: 0 s  fetching", line) for line in told)


def test_a_failure_shows_the_end_of_its_own_output(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("of an earlier command\n")
    with pytest.raises(CommandError, match=r"install failed \(exit 3\)") as failure:
        run(["sh", "-c", "echo no space left; exit 3"], label="install", log=tmp_path / "log")
    assert "no space left" in str(failure.value)
    assert "earlier" not in str(failure.value)


# ---- example DAGs -----------------------------------------------------------------------------


@pytest.mark.parametrize("file", sorted(DAGS.glob("*.py")), ids=lambda file: file.stem)
def test_airflow_would_look_into_this_file(file: Path) -> None:
    """Airflow parses only files that hold both words."""
    text = file.read_text().lower()
    assert "airflow" in text
    assert "dag" in text
    ast.parse(text)


def test_a_password_that_begins_with_a_hyphen_is_not_taken_for_an_option(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[str] = []
    monkeypatch.setattr(Airflow, "cli", lambda _self, *words: taken.extend(words))
    monkeypatch.setattr(Airflow, "password", property(lambda _self: "-secret"))
    preparation.create_users(Airflow("2.11.2", tmp_path))
    parser = argparse.ArgumentParser()
    parser.add_argument("--password")
    assert parser.parse_known_args(taken)[0].password == "-secret"

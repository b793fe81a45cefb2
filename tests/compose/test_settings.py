"""`.env.example` and the compose file name the same variables, with the same defaults."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from exporter.config import loader
from exporter.engine import get_exporter_url

USED = re.compile(r"\$\{(\w+):[-+]([^${}]*)")
SHOWN = re.compile(r"^#?([A-Z_]+)=(.*)$", re.MULTILINE)
EXAMPLES = {"AIRFLOW_URL", "AIRFLOW_PUBLIC_URL", "AIRFLOW_USERNAME", "AIRFLOW_PASSWORD_FILE", "EXPORTER_PUBLIC_URL"}
"""What has no default shows what a value may look like."""
PRIVATE = [
    *(".env", "docker-compose.override.yaml", "secrets/airflow-password", "alertmanager/secrets/slack_url"),
    *("compose/my-exporter.yml", "prometheus/my-prometheus.yml", "alertmanager/my-alertmanager.yml"),
]


def read(root: Path, name: str) -> str:
    return (root / name).read_text(encoding="utf-8")


def test_each_variable_is_explained_and_each_explained_one_is_used(root: Path) -> None:
    used = {name for name, _ in USED.findall(read(root, "docker-compose.yaml"))}
    assert {name for name, _ in SHOWN.findall(read(root, ".env.example"))} == used


def test_the_defaults_that_are_shown_are_those_that_hold(root: Path) -> None:
    used = {name: default for name, default in USED.findall(read(root, "docker-compose.yaml")) if name not in EXAMPLES}
    shown = {name: value for name, value in SHOWN.findall(read(root, ".env.example")) if name not in EXAMPLES}
    assert shown == used


def test_the_example_sets_nothing_by_itself(root: Path) -> None:
    assert not re.search(r"^[A-Z]", read(root, ".env.example"), re.MULTILINE)


def test_what_people_make_for_themselves_is_not_committed(root: Path) -> None:
    command = ["git", "-C", str(root), "check-ignore", *PRIVATE]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout.split() == PRIVATE


def test_compose_accepts_the_file(compose: list[str], root: Path) -> None:
    command = [*compose, "--project-directory", str(root), "--profile", "*", "config", "--quiet"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "http://localhost:10112"),
        ({"EXPORTER_PORT": "11112"}, "http://localhost:11112"),
        ({"PUBLIC_HOST": "metrics.example.org"}, "http://metrics.example.org:10112"),
        ({"PUBLIC_HOST": "a", "EXPORTER_PUBLIC_URL": "https://exporter.example.org"}, "https://exporter.example.org"),
    ],
)
def test_links_to_the_exporter_lead_to_the_port_that_is_published(
    compose: list[str], root: Path, settings: dict[str, str], url: str
) -> None:
    """Inside its container the exporter does not know it."""
    command = [*compose, "--project-directory", str(root), "config", "--format=json"]
    done = subprocess.run(
        command, cwd=root, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"], **settings}
    )
    environment = json.loads(done.stdout)["services"]["exporter"]["environment"]
    assert (
        get_exporter_url(
            loader.load(
                {},
                {"AIRFLOW_EXPORTER_WEB_LISTEN_ADDRESS": ":10112", **environment}
                | {"AIRFLOW_EXPORTER_CONFIG_FILE": "", "AIRFLOW_EXPORTER_STATE_FILE": ""},
            ).settings
        )
        == url
    )


def test_the_exporter_reads_its_file(root: Path, tmp_path: Path) -> None:
    """As in the container, but for the password, which is a file of the container's."""
    text = read(root, "compose/exporter.yml").replace("/run/passwords/exporter-password", str(tmp_path / "password"))
    (tmp_path / "password").write_text("secret")
    (tmp_path / "exporter.yml").write_text(text)
    airflow = loader.load({"config.file": str(tmp_path / "exporter.yml")}, {}).settings.airflow
    assert (airflow.url, airflow.username) == ("http://airflow-api-server:8080", "exporter")

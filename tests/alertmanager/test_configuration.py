"""The shipped configuration and every example of receivers are what amtool and amlint call clean."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.alertmanager.server import SHIPPED, shipped_config

EXAMPLES = sorted(path.stem for path in (SHIPPED / "receivers").glob("*.yml"))
RULES = sorted((SHIPPED.parent / "prometheus" / "alerts").glob("*.y*ml"))
KINDS = {
    "email": "email_configs",
    "msteams": "msteamsv2_configs",
    "pagerduty": "pagerduty_configs",
    "slack": "slack_configs",
    "webhook": "webhook_configs",
}


@pytest.fixture(params=[None, *EXAMPLES])
def config_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    file = tmp_path / "alertmanager.yml"
    file.write_text(yaml.safe_dump(shipped_config(request.param), sort_keys=False), encoding="utf-8")
    return file


def test_amtool_is_content(amtool: Path, config_file: Path) -> None:
    done = subprocess.run([amtool, "check-config", config_file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_amlint_is_content(config_file: Path) -> None:
    amlint = Path(sys.executable).parent / "amlint"
    rules = [f"--rules={path}" for path in RULES]
    command = [str(amlint), "check", "--strict", *rules, str(config_file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout


def test_the_file_itself_is_checked_where_it_lies(amtool: Path) -> None:
    done = subprocess.run([amtool, "check-config", SHIPPED / "alertmanager.yml"], capture_output=True, check=False)
    assert done.returncode == 0
    assert b"1 templates" in done.stdout


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_has_every_receiver(example: str) -> None:
    base, swapped = (
        {receiver["name"]: receiver for receiver in config["receivers"]}
        for config in (shipped_config(), shipped_config(example))
    )
    assert list(swapped) == list(base)
    assert all(KINDS[example] in swapped[name] for name in base if name != "heartbeat")


def test_there_is_an_example_of_each_kind() -> None:
    assert set(EXAMPLES) == set(KINDS)


@pytest.mark.parametrize("example", [None, *EXAMPLES])
def test_secrets_stand_in_files_alone(example: str | None) -> None:
    secret = {"api_url", "routing_key", "service_key", "webhook_url", "auth_password", "auth_secret", "credentials"}

    def find(node: object) -> set[str]:
        if isinstance(node, dict):
            return (secret & set(node)).union(*map(find, node.values()))
        return set().union(*map(find, node)) if isinstance(node, list) else set()

    assert find(shipped_config(example)) == set()


def test_every_inhibition_stays_within_one_airflow() -> None:
    assert all("airflow" in rule["equal"] for rule in shipped_config()["inhibit_rules"])

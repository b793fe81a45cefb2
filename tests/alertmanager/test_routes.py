"""Who is told of what: each route of the shipped configuration, asked of amtool."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.alertmanager.server import SHIPPED, shipped_config

FILE = SHIPPED / "alertmanager.yml"
DAG = "component=dag dag_id=sales owners=sales-team"
ROUTES = [
    ("alertname=Watchdog airflow=production", "heartbeat"),
    ("alertname=A severity=critical component=scheduler airflow=production", "pager"),
    ("alertname=A severity=critical component=metadatabase", "pager"),
    ("alertname=A severity=critical component=task", "pager"),
    (f"alertname=A severity=critical {DAG}", "pager,owners"),
    (f"alertname=A severity=warning {DAG}", "owners"),
    ("alertname=A severity=warning component=task dag_id=sales task_id=load", "owners"),
    ("alertname=A severity=warning component=pool pool=default_pool", "operators"),
    ("alertname=A severity=warning component=executor", "operators"),
    ("alertname=A severity=warning component=worker instance=worker-1", "operators"),
    ("alertname=A severity=warning component=host instance=worker-1", "operators"),
    ("alertname=A severity=warning component=dag_processor", "operators"),
    ("alertname=A severity=warning component=triggerer", "operators"),
    ("alertname=A severity=warning component=exporter", "operators"),
    ("alertname=A severity=info component=pool", "notices"),
    (f"alertname=A severity=info {DAG}", "notices"),
    ("alertname=A severity=warning component=scheduler dag_id=sales", "operators"),
    ("alertname=SomebodyElses", "operators"),
]


def route(amtool: Path, labels: str, receivers: str, file: Path = FILE) -> subprocess.CompletedProcess[str]:
    command = [str(amtool), "config", "routes", "test", f"--config.file={file}", f"--verify.receivers={receivers}"]
    return subprocess.run([*command, *labels.split()], capture_output=True, text=True, check=False)


@pytest.mark.parametrize(("labels", "receivers"), ROUTES)
def test_an_alert_reaches(amtool: Path, labels: str, receivers: str) -> None:
    done = route(amtool, labels, receivers)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_route_is_tested() -> None:
    tested = {name for _, receivers in ROUTES for name in receivers.split(",")}
    assert {receiver["name"] for receiver in shipped_config()["receivers"]} == tested


def test_verifying_can_fail(amtool: Path) -> None:
    assert route(amtool, "alertname=Watchdog", "pager").returncode != 0


OWNERS_ROUTE = """
    - receiver: owners
      matchers: ['component=~"dag|task"', 'dag_id!=""']
      group_by: [airflow, owners, dag_id]
"""
TEAM = """      routes:
        - receiver: sales
          matchers: ['owners=~"(.+,)?sales-team(,.+)?"']
"""


@pytest.mark.parametrize(
    ("owners", "receiver"),
    [
        ("sales-team", "sales"),
        ("finance,sales-team", "sales"),
        ("sales-team,support", "sales"),
        ("a,sales-team,z", "sales"),
        ("presales-team", "owners"),
        ("finance", "owners"),
        ("", "owners"),
    ],
)
def test_a_team_gets_its_own_dags(amtool: Path, tmp_path: Path, owners: str, receiver: str) -> None:
    """As docs/alertmanager.md tells it: a route below that of all owners."""
    text = FILE.read_text(encoding="utf-8").replace("templates/", f"{SHIPPED}/templates/")
    assert OWNERS_ROUTE in text
    file = tmp_path / "alertmanager.yml"
    hook = '  - name: sales\n    webhook_configs: [{url: "http://127.0.0.1:9095/sales"}]\n'
    file.write_text(text.replace(OWNERS_ROUTE, OWNERS_ROUTE + TEAM) + hook, encoding="utf-8")
    done = route(amtool, f"severity=warning component=dag dag_id=a owners={owners}", receiver, file)
    assert done.returncode == 0, done.stdout + done.stderr
    assert TEAM in (SHIPPED.parent / "docs" / "alertmanager.md").read_text(encoding="utf-8")

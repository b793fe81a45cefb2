"""A silence for one Airflow, made by the commands of docs/alertmanager.md on a real Alertmanager."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.alertmanager.alerts import make_alert, wait_for
from tests.alertmanager.server import SHIPPED, Alertmanager

pytestmark = pytest.mark.slow
PAGE = SHIPPED.parent / "docs" / "alertmanager.md"
URL = "http://localhost:9093"


def test_it_silences_that_airflow_but_neither_another_one_nor_the_heartbeat(
    manager: Alertmanager, amtool: Path
) -> None:
    alert = make_alert("AirflowSchedulerHeartbeatOld", severity="critical", component="scheduler")
    elsewhere = {**alert, "labels": {**alert["labels"], "airflow": "staging"}}
    manager.post([alert, elsewhere, {"labels": {"alertname": "Watchdog", "severity": "none"}}])
    section = PAGE.read_text(encoding="utf-8").partition("## Maintenance")[2].partition("## ")[0]
    add, _, expire = [line.removeprefix("$ ") for line in section.splitlines() if line.startswith("$ amtool")]

    def run(line: str) -> None:
        known = line.replace(URL, f"http://{manager.address}").replace("amtool ", f"{shlex.quote(str(amtool))} ")
        subprocess.run(known, shell=True, check=True, capture_output=True)

    def silenced() -> set[str]:
        return {one["labels"].get("airflow", "") for one in manager.alerts() if one["status"]["state"] == "suppressed"}

    run(add)
    wait_for(lambda: silenced() == {"production"})
    run(expire)
    wait_for(lambda: silenced() == set())

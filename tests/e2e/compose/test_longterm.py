"""The profile `longterm` on a real engine: VictoriaMetrics gets what Prometheus scrapes, and keeps it over a restart.

Where images are stand-ins (E2E_COMPOSE_FILE), it is skipped unless there is one for VictoriaMetrics.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator

import pytest
import yaml

from tests.conftest import NOT_RUN
from tests.e2e.compose.stack import MORE, ROOT, Stack, wait_for

pytestmark = pytest.mark.e2e

STORE = "victoria-metrics"
SAMPLES = "sum(count_over_time(airflow_exporter_build_info[1h]))"
"""How many scrapes of the exporter there are."""
SERIES = 'count({airflow="demo", __name__=~"airflow_exporter_.*"})'
BEFORE = 35
"""Seconds: VictoriaMetrics does not search samples of the last 30 s."""


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    """The project with the profile `longterm`, and without an Airflow, as docs/scaling.md starts it."""
    found = Stack()
    image = found.images()[STORE]
    asked = ["docker", "image", "inspect", image]
    if MORE and subprocess.run(asked, capture_output=True, check=False).returncode:
        pytest.skip(f"{NOT_RUN}: there is no stand-in for {image}")
    found.down(volumes=True)
    found.set({"PROMETHEUS_CONFIG": "longterm.yml"})
    try:
        found.build()
        found.up("longterm")
        yield found
    finally:
        found.down(volumes=True)


def test_what_prometheus_scrapes_arrives(stack: Stack) -> None:
    wait_for("a scrape in VictoriaMetrics", lambda: stack.query(f"{SAMPLES} > 1", store=STORE), 240)

    def same_series() -> bool:
        moment = time.time() - BEFORE
        return stack.query(SERIES, at=moment, store=STORE) == stack.query(SERIES, at=moment)

    wait_for("the same series in both", same_series, 120)


def test_the_rules_for_trends_are_loaded(stack: Stack) -> None:
    groups = stack.get("prometheus", "/api/v1/rules")["groups"]
    trends = yaml.safe_load((ROOT / "prometheus/longterm/trends.yml").read_text(encoding="utf-8"))["groups"]
    assert {group["name"] for group in trends} <= {group["name"] for group in groups}


def test_the_store_is_neither_root_nor_has_a_capability(stack: Stack) -> None:
    process = stack.processes()[STORE]
    assert process["Uid"].split() == ["10112"] * 4
    assert process["CapEff"].strip("0") == ""


def test_it_keeps_its_data_over_down_and_up(stack: Stack) -> None:
    moment = time.time() - BEFORE
    before = stack.query(SAMPLES, at=moment, store=STORE)
    assert before
    stack.down()
    assert stack.containers() == {}
    stack.up("longterm")
    assert stack.query(SAMPLES, at=moment, store=STORE) == before
    wait_for("a scrape after the restart", lambda: stack.query(f"{SAMPLES} > {before}", store=STORE), 240)

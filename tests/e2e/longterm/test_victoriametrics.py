"""The shipped rules in a real VictoriaMetrics and vmalert, and what remote write brought there survives a restart.

Needs Prometheus and the programs of Debian's package victoria-metrics, in PATH or in the folder $VICTORIA_METRICS. The
service of docker-compose.yaml is started as a process with the same arguments: its image cannot be had everywhere.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
import yaml

from benchmarks.dashboards import invent
from benchmarks.history import AIRFLOW, HOUR, write
from benchmarks.rules import groups
from demo.workdir import free_port
from tests.conftest import NOT_RUN
from tests.e2e.exactness.prometheus import Prometheus, find_prometheus
from tests.e2e.longterm.victoria import VictoriaMetrics, find_program, query

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[3]
FILES = ROOT / "prometheus"
EXPRESSIONS = [
    *(expression for group in groups() for expression in group.expressions),
    *(
        rule["expr"]
        for group in yaml.safe_load((FILES / "longterm/trends.yml").read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
    ),
]
MARGIN = 60
"""Seconds before the last sample at which expressions are evaluated, so that nothing depends on the newest one."""


class Stores(NamedTuple):
    """A Prometheus and a VictoriaMetrics with the same past."""

    prometheus: str
    victoria: VictoriaMetrics
    now: int


def program(name: str) -> Path:
    found = find_program(name)
    if not found:
        pytest.skip(f"{NOT_RUN}: {name} (apt-get install victoria-metrics)")
    return found


def get_compose_options() -> list[str]:
    """The arguments of the service, with defaults, but for where its data is."""
    service = yaml.safe_load((ROOT / "docker-compose.yaml").read_text(encoding="utf-8"))["services"]["victoria-metrics"]
    options = [option.replace("${LONGTERM_RETENTION:-2y}", "2y") for option in service["command"]]
    return [option for option in options if not option.startswith("-storageDataPath")]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stores]:
    """Both with the invented past of an Airflow of three DAGs, which all rules read."""
    binary = find_prometheus()
    if not binary:
        pytest.skip(f"{NOT_RUN}: prometheus")
    folder = tmp_path_factory.mktemp("stores")
    now = int(time.time()) // 30 * 30
    series = invent(EXPRESSIONS, 3, 2)
    prometheus = Prometheus(binary, folder / "p", "{}", "--web.enable-remote-write-receiver")
    try:
        prometheus.wait_ready()
        url = f"http://127.0.0.1:{prometheus.port}"
        with VictoriaMetrics(program("victoria-metrics"), folder, get_compose_options()) as victoria:
            assert write(url, series, now) == write(victoria.url, series, now)
            victoria.flush()
            yield Stores(url, victoria, now - MARGIN)
    finally:
        prometheus.close()


def by_labels(found: list[Any]) -> dict[frozenset[tuple[str, str]], float]:
    """The values by their labels, without the name; a scalar has none."""
    if found and not isinstance(found[0], dict):
        return {frozenset(): float(found[1])}
    return {
        frozenset((label, value) for label, value in one["metric"].items() if label != "__name__"): float(
            one["value"][1]
        )
        for one in found
    }


def test_every_expression_of_the_rules_gives_the_same_series_as_in_prometheus(stores: Stores) -> None:
    session = requests.Session()
    session.trust_env = False
    answered = 0
    different = []
    for expression in EXPRESSIONS:
        ours = by_labels(query(session, stores.prometheus, expression, stores.now))
        theirs = by_labels(stores.victoria.query(expression, stores.now))
        answered += bool(ours)
        if ours.keys() != theirs.keys():
            different.append(expression)
    assert different == []
    assert answered > len(EXPRESSIONS) * 0.7


def test_vmalert_records_every_rule(stores: Stores, tmp_path: Path) -> None:
    """It evaluates the rules over the last hour, as it would have at that time, and writes what it records."""
    command = [str(program("vmalert")), *(f"-rule={FILES / path}" for path in ("rules/*.yml", "longterm/trends.yml"))]
    command += [f"-datasource.url={stores.victoria.url}", "-replay.disableProgressBar", "-replay.rulesDelay=0s"]
    command += [f"-replay.timeFrom={moment(stores.now - HOUR)}", f"-replay.timeTo={moment(stores.now)}"]
    with VictoriaMetrics(program("victoria-metrics"), tmp_path) as target:
        command += [f"-remoteWrite.url={target.url}", "-loggerLevel=WARN"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, cwd=tmp_path)
        assert done.returncode == 0, done.stderr[-3000:]
        target.flush()
        recorded = {one["metric"]["__name__"] for one in target.query('{__name__=~"airflow.+"}', stores.now)}
    assert {"airflow:task_failure:ratio1h", "airflow_pool:occupied_slots:ratio"} <= recorded
    assert len(recorded) > 100


def test_vmalert_evaluates_every_alert_and_fills_its_links(stores: Stores, tmp_path: Path) -> None:
    """The files as they are, but each group every second: the test would wait for minutes otherwise."""
    names = set()
    for path in (FILES / "alerts").glob("*.yml"):
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        for group in content["groups"]:
            group["interval"] = "1s"
            names |= {rule["alert"] for rule in group["rules"]}
        (tmp_path / path.name).write_text(yaml.safe_dump(content), encoding="utf-8")
    address = f"127.0.0.1:{free_port()}"
    command = [str(program("vmalert")), f"-rule={tmp_path}/*.yml", f"-httpListenAddr={address}", "-loggerLevel=ERROR"]
    # There is no Alertmanager: what fires is not delivered.
    command += [f"-datasource.url={stores.victoria.url}", f"-notifier.url={stores.victoria.url}"]
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as vmalert:
        try:
            evaluated, alerts = wait_for_rules(f"http://{address}", len(names))
        finally:
            vmalert.terminate()
    assert {rule["name"] for rule in evaluated} == names
    assert {rule["name"]: rule["lastError"] for rule in evaluated if rule["lastError"]} == {}
    links = [alert["annotations"]["runbook_url"] for alert in alerts]
    assert len(links) > 10
    assert [link for link in links if "/Airflow" not in link and "Watchdog" not in link] == []


def wait_for_rules(url: str, many: int) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Wait until all rules were evaluated; returns what vmalert reports of them, and the alerts that are active."""
    session = requests.Session()
    session.trust_env = False
    end = time.monotonic() + 240
    while time.monotonic() < end:
        time.sleep(1)
        try:
            found = session.get(f"{url}/api/v1/rules", timeout=60).json()["data"]["groups"]
        except requests.RequestException:
            continue
        rules = [rule for group in found for rule in group["rules"]]
        if len(rules) == many and all(not rule["lastEvaluation"].startswith("0001") for rule in rules):
            return rules, session.get(f"{url}/api/v1/alerts", timeout=60).json()["data"]["alerts"]
    raise AssertionError("vmalert did not evaluate all rules")


def moment(seconds: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def test_what_prometheus_sends_is_kept_over_a_restart(tmp_path: Path) -> None:
    """prometheus/longterm.yml with other addresses: Prometheus scrapes itself, VictoriaMetrics is started again."""
    binary = find_prometheus()
    if not binary:
        pytest.skip(f"{NOT_RUN}: prometheus")
    config = yaml.safe_load((FILES / "longterm.yml").read_text(encoding="utf-8"))
    victoria = VictoriaMetrics(program("victoria-metrics"), tmp_path, get_compose_options())
    config["remote_write"][0]["url"] = config["remote_write"][0]["url"].replace(
        "http://victoria-metrics:8428", victoria.url
    )
    config["rule_files"] = []
    config["global"]["scrape_interval"] = "1s"
    with victoria:
        prometheus = Prometheus(binary, tmp_path / "p", "{}")
        prometheus.close()
        config["scrape_configs"] = [
            {
                "job_name": "airflow",
                "static_configs": [{"targets": [f"127.0.0.1:{prometheus.port}"], "labels": {"airflow": AIRFLOW}}],
            }
        ]
        prometheus = Prometheus(
            binary, tmp_path / "p", yaml.safe_dump(config), f"--web.listen-address=127.0.0.1:{prometheus.port}"
        )
        try:
            before = wait_for(victoria)
        finally:
            prometheus.close()
    with victoria:
        again = victoria.query(f'count_over_time(up{{airflow="{AIRFLOW}"}}[10m])', int(time.time()))
        assert float(again[0]["value"][1]) >= before


def wait_for(victoria: VictoriaMetrics) -> float:
    """Wait until three samples have arrived; returns how many have."""
    end = time.monotonic() + 240
    while time.monotonic() < end:
        victoria.flush()
        found = victoria.query(f'count_over_time(up{{airflow="{AIRFLOW}"}}[10m])', int(time.time()))
        if found and float(found[0]["value"][1]) >= 3:
            return float(found[0]["value"][1])
        time.sleep(1)
    raise AssertionError("nothing arrived by remote write")


def test_the_long_term_configuration_differs_only_in_what_it_adds() -> None:
    usual, longterm = (
        yaml.safe_load((FILES / name).read_text(encoding="utf-8")) for name in ("prometheus.yml", "longterm.yml")
    )
    assert longterm.pop("remote_write")[0]["url"].startswith("http://victoria-metrics:8428/")
    assert longterm["rule_files"].pop() == "longterm/trends.yml"
    assert longterm == usual

"""From a clone to all healthy, to the first data, to the first alert: the shipped compose file on a real engine.

    make e2e-compose

First the file as it is; then once more, over the same data, with pauses cut short (hurried.yaml), for the alert that a
stopped component must bring. Leaves its table in .e2e/compose.md (or $E2E_FOLDER).
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from compose.passwords import SECRETS
from tests.e2e.compose.hurry import hurried
from tests.e2e.compose.report import Report
from tests.e2e.compose.stack import MORE, OURS, ROOT, EngineError, Stack, run, wait_for

pytestmark = pytest.mark.e2e

FOLDER = Path(os.environ.get("E2E_FOLDER", ".e2e")).resolve()
HURRIED = Path(__file__).resolve().parent / "hurried.yaml"
ENDED = {"passwords", "airflow-init"}
ALWAYS = {"exporter", "prometheus", "alertmanager", "inbox", "grafana"}
AIRFLOW = {
    "exporter-worker",
    "airflow-database",
    "airflow-api-server",
    "airflow-scheduler",
    "airflow-dag-processor",
    "airflow-triggerer",
}
TRIES = "sum(airflow_task_tries_total)"
FIRST = {"health of components": "sum(airflow_component_healthy)", "tries": f"{TRIES} > 0"}


@pytest.fixture(scope="module")
def report() -> Iterator[Report]:
    """Figures and what is no real image; printed at the end."""
    made = Report()
    yield made
    made.write(FOLDER / "compose.md")


@pytest.fixture(scope="module")
def stack(report: Report) -> Iterator[Stack]:
    """The project with the profile `airflow`, all healthy; gone with its data at the end."""
    found = Stack()
    found.down(volumes=True)
    try:
        with report.timing("build of our image"):
            found.build()
        with report.timing("up to all healthy"):
            found.up("airflow")
        report.origins = found.versions()
        if MORE:
            report.say("on top of docker-compose.yaml", MORE)
        yield found
    except EngineError:
        for name, container in found.containers().items():
            state = container["State"]
            print(f"==== {name}: {state['Status']}, {state.get('Health', {}).get('Status', 'no health check')}")
            print(found.logs(name)[-2000:])
        raise
    finally:
        found.down(volumes=True)


def first_told(stack: Stack) -> float:
    """When the inbox printed its first notification."""
    lines = stack.compose("logs", "--no-color", "--no-log-prefix", "--timestamps", "inbox").splitlines()
    stamp = next(line.split()[0] for line in lines if " firing " in line)
    return datetime.fromisoformat(stamp[:19] + "+00:00").timestamp()


# ---- the file as it is ---------------------------------------------------------------------------------


def test_every_service_is_healthy(stack: Stack) -> None:
    containers = stack.containers()
    health = {name: one["State"].get("Health", {}).get("Status") for name, one in stack.running().items()}
    assert health == dict.fromkeys(ALWAYS | AIRFLOW, "healthy")
    assert {name: containers[name]["State"]["ExitCode"] for name in ENDED} == dict.fromkeys(ENDED, 0)


def test_prometheus_scrapes_every_target(stack: Stack) -> None:
    def targets() -> dict[str, str] | None:
        found = stack.get("prometheus", "/api/v1/targets")["activeTargets"]
        health = {target["labels"]["instance"]: target["health"] for target in found}
        return health if set(health.values()) == {"up"} else None

    assert "exporter:10112" in wait_for("all targets up", targets, 60)


def test_every_rule_is_loaded_and_works(stack: Stack) -> None:
    def names_in(folder: str) -> set[str]:
        files = [yaml.safe_load(path.read_text()) for path in (ROOT / "prometheus" / folder).glob("*.yml")]
        rules = [rule for file in files for group in file["groups"] for rule in group["rules"]]
        return {rule.get("alert") or rule["record"] for rule in rules}

    def evaluated() -> list[dict[str, Any]] | None:
        groups = stack.get("prometheus", "/api/v1/rules")["groups"]
        each_minute = [rule for group in groups if group["interval"] <= 60 for rule in group["rules"]]
        if any(rule["health"] == "unknown" for rule in each_minute):
            return None
        return [rule for group in groups for rule in group["rules"]]

    rules = wait_for("all rules of groups with an interval of a minute", evaluated, 90)
    assert {rule["name"] for rule in rules} == names_in("rules") | names_in("alerts")
    assert [rule["lastError"] for rule in rules if rule["health"] == "err"] == []
    # The first turn of a group with a longer interval may come after the test: its queries are asked at once.
    for rule in rules:
        if rule["health"] == "unknown":
            stack.get("prometheus", "/api/v1/query", query=rule["query"])


def test_grafana_has_every_dashboard(stack: Stack, report: Report) -> None:
    committed = [json.loads(path.read_text()) for path in (ROOT / "grafana" / "dashboards").rglob("*.json")]
    found = {board["uid"]: board["title"] for board in stack.get("grafana", "/api/search", type="dash-db")}
    assert found == {board["uid"]: board["title"] for board in committed}
    version = stack.get("grafana", "/api/health")["version"]
    report.say("Grafana", f"{len(found)} dashboards provisioned; version {version}")


def test_tries_of_real_tasks_are_counted(stack: Stack, report: Report) -> None:
    wait_for("tries counted", lambda: stack.query(f"{TRIES} > 0"), 180)
    for what, promql in FIRST.items():
        seconds = stack.first_seen(promql, report.began) - report.began
        report.took(f"{what} in Prometheus, after the start", seconds)
    assert stack.get("airflow", "/api/v2/version")["version"] in stack.images()["airflow-scheduler"]


def test_events_of_the_scheduler_arrive_over_statsd(stack: Stack) -> None:
    heartbeats = "sum(airflow_scheduler_heartbeats_total)"
    wait_for("heartbeats of the scheduler", lambda: stack.query(f"{heartbeats} > 0"), 120)
    assert stack.query('airflow_exporter_source_up{source="statsd"}') == 1


@pytest.mark.parametrize(
    "promql",
    [
        'airflow_host:cpu_used:ratio_rate5m{airflow="demo"}',
        'airflow_host:memory_used:ratio{airflow="demo"}',
        'sum(airflow_component:process_memory_bytes:sum{airflow="demo", component="scheduler"}) > 0',
        'max(airflow_cgroup:memory_used:ratio{airflow="demo"}) > 0',
    ],
)
def test_the_machine_is_read_too(stack: Stack, promql: str) -> None:
    """What dashboards and alerts of the machine, of Airflow's processes and of its containers' limits look at."""
    assert stack.containers()["exporter-worker"]["HostConfig"]["CgroupnsMode"] == "host"
    wait_for(promql, lambda: stack.query(promql) is not None, 180)


def test_an_alert_is_delivered_to_a_webhook(stack: Stack, report: Report) -> None:
    wait_for("Watchdog in the inbox", lambda: "firing Watchdog" in stack.logs("inbox"), 180)
    after = first_told(stack) - report.began
    report.took("first notification delivered (Watchdog fires always), after the start", after)
    assert stack.text("exporter", "/runbooks/Watchdog.md").startswith("# Watchdog")


def test_our_image_is_what_it_says(stack: Stack, report: Report) -> None:
    image = json.loads(run(["docker", "image", "inspect", stack.images()["exporter"]]))[0]
    labels = image["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] in stack.images()["exporter"]
    assert image["Config"]["User"] == "10112:10112"
    assert image["Config"]["Healthcheck"]["Test"] == ["CMD", "airflow-exporter", "probe"]
    base = re.search(r"^ARG PYTHON_IMAGE=(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert base
    below = int(run(["docker", "image", "inspect", "--format", "{{.Size}}", base[1]]))
    report.say(
        "our image",
        f"{image['Size'] / 1e6:.0f} MB, of which {(image['Size'] - below) / 1e6:.0f} MB on top of {base[1]}",
    )


def test_no_service_is_root_or_has_a_capability(stack: Stack) -> None:
    for name, process in stack.processes().items():
        assert "0" not in process["Uid"].split(), name
        assert {process[kind].strip("0") for kind in ("CapEff", "CapPrm", "CapAmb")} == {""}, name
        assert process["NoNewPrivs"] == "1", name


def test_no_service_can_change_its_image(stack: Stack) -> None:
    for name, container in stack.containers().items():
        assert container["HostConfig"]["ReadonlyRootfs"], name
        assert container["HostConfig"]["CapDrop"] == ["ALL"], name
        assert not container["HostConfig"]["CapAdd"], name
        assert not container["HostConfig"]["Privileged"], name


def test_no_password_shows_from_outside(stack: Stack) -> None:
    secrets = stack.passwords()
    assert secrets.keys() == {secret.name for secret in SECRETS}
    seen = json.dumps(stack.containers()) + "".join(stack.logs(name) for name in stack.containers())
    assert not [name for name, secret in secrets.items() if secret in seen]


def test_a_crashed_exporter_comes_back_and_goes_on_counting(stack: Stack, report: Report) -> None:
    before = stack.query(TRIES)
    restarts = stack.containers()["exporter"]["RestartCount"]
    began = time.monotonic()
    stack.kill("exporter")
    assert before

    def healthy() -> bool:
        exporter = stack.containers()["exporter"]
        return bool(exporter["RestartCount"] == restarts + 1 and exporter["State"]["Health"]["Status"] == "healthy")

    wait_for("the exporter restarted by the engine", healthy, 60)
    report.took("crashed exporter healthy again", time.monotonic() - began)
    wait_for("counters that went on", lambda: stack.query(f"{TRIES} > {before}"), 180)
    assert stack.query("sum(resets(airflow_task_tries_total[10m]))") == 0


# ---- down, and up again over the same data ------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(stack: Stack, tmp_path_factory: pytest.TempPathFactory, report: Report) -> dict[str, Any]:
    """What was there before `down`; then the project is up again, hurried and with the profile `worker`."""
    before = {"moment": time.time(), "tries": stack.query(TRIES), "password": stack.grafana_password()}
    with report.timing("down"):
        stack.down()
    assert stack.containers() == {}
    stack.use(HURRIED, hurried(tmp_path_factory.mktemp("hurried")))
    with report.timing("up again over the same data"):
        stack.up("airflow")
    return before


def test_counters_go_on_over_down_and_up(stack: Stack, kept: dict[str, Any]) -> None:
    wait_for("counters that went on", lambda: stack.query(f"{TRIES} > {kept['tries']}"), 240)


def test_prometheus_keeps_its_data_over_down_and_up(stack: Stack, kept: dict[str, Any]) -> None:
    assert stack.query(TRIES, at=kept["moment"]) == kept["tries"]


def test_passwords_stay_what_they_were(stack: Stack, kept: dict[str, Any]) -> None:
    assert stack.grafana_password() == kept["password"]
    assert "nothing to create" in stack.logs("passwords")


def test_a_worker_tells_what_airflow_uses_on_this_machine(stack: Stack, kept: dict[str, Any]) -> None:
    by_component = 'sum(airflow_processes{component="scheduler"})'
    wait_for("Airflow's processes", lambda: stack.query(f"{by_component} > 0"), 120)
    worker = stack.processes()["exporter-worker"]
    assert (worker["Uid"].split()[0], worker["CapEff"].strip("0")) == ("50000", "")
    named = 'sum(airflow_task_cpu_seconds_total{dag_id!="_unknown"})'
    wait_for("CPU of named tasks", lambda: stack.query(f"{named} > 0"), 180)


def test_a_stopped_component_is_alerted_on_and_recovers(stack: Stack, kept: dict[str, Any], report: Report) -> None:
    began = time.monotonic()
    stack.compose("--profile", "airflow", "stop", "airflow-triggerer")
    told = re.compile(r"firing (\w+) \[.*triggerer")
    alert = wait_for("an alert on the triggerer", lambda: told.search(stack.logs("inbox")), 240)
    report.took(f"triggerer stopped, {alert[1]} delivered ({hurried.__doc__})", time.monotonic() - began)
    stack.compose("--profile", "airflow", "start", "airflow-triggerer")
    wait_for("the alert resolved", lambda: f"resolved {alert[1]}" in stack.logs("inbox"), 240)


def test_our_name_is_on_no_other_image(stack: Stack) -> None:
    ours = {name for name, image in stack.images().items() if image.startswith(OURS)}
    assert ours == {"exporter", "exporter-worker", "inbox", "longterm-volume", "passwords"}

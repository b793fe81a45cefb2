"""Advice from a real Prometheus, and from a real VictoriaMetrics: the same, and right."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from click.testing import CliRunner

from exporter.cli import main
from tests.conftest import NOT_RUN
from tests.integration.advise.openmetrics import write

pytestmark = pytest.mark.slow
END = int(time.time()) // 3600 * 3600
DAYS = 3


def find_program(name: str) -> str:
    found = shutil.which(name)
    if not found:
        pytest.skip(f"{NOT_RUN}: {name} is not in PATH")
    return found


def get_free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def start(command: list[str], url: str) -> Iterator[str]:
    """A server, until it is no longer needed."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            wait_until_ready(process, url)
            yield url
        finally:
            process.terminate()


def wait_until_ready(process: subprocess.Popen[bytes], url: str) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None
        try:
            if requests.get(f"{url}/api/v1/labels", timeout=5).ok:
                return
        except requests.RequestException:
            pass
        time.sleep(0.2)
    raise AssertionError("it does not become ready")


@pytest.fixture(scope="module")
def from_prometheus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    program, promtool = find_program("prometheus"), find_program("promtool")
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "data.om").write_text(write(END, DAYS), encoding="utf-8")
    (folder / "prometheus.yml").write_text("global: {}\n", encoding="utf-8")
    create = [promtool, "tsdb", "create-blocks-from", "openmetrics", str(folder / "data.om"), str(folder / "data")]
    subprocess.run(create, check=True, capture_output=True)
    address = f"127.0.0.1:{get_free_port()}"
    command = [program, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}"]
    with start([*command, f"--web.listen-address={address}"], f"http://{address}") as url:
        return advise(url)


@pytest.fixture(scope="module")
def from_victoria_metrics(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    program = find_program("victoria-metrics")
    address = f"127.0.0.1:{get_free_port()}"
    command = [program, f"-storageDataPath={tmp_path_factory.mktemp('victoria')}", f"-httpListenAddr={address}"]
    with start([*command, "-search.latencyOffset=0s"], f"http://{address}") as url:
        lines = (line for line in write(END, DAYS).splitlines() if not line.startswith("#"))
        body = "\n".join(f"{line}000" for line in lines)
        requests.post(f"{url}/api/v1/import/prometheus", data=body, timeout=60).raise_for_status()
        requests.get(f"{url}/internal/force_flush", timeout=60)
        requests.get(f"{url}/internal/resetRollupResultCache", timeout=60)
        return advise(url)


def advise(url: str) -> dict[str, object]:
    arguments = ["advise", f"--prometheus.url={url}", f"--window={DAYS}d", f"--end={END}", "--format=json"]
    done = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert isinstance(report, dict)
    return report


def get_values(report: dict[str, object]) -> dict[str, str]:
    answers = report["answers"]
    assert isinstance(answers, list)
    return {one["setting"]: one["value"] for answer in answers for one in answer["recommendations"]}


def test_prometheus_leads_to_the_known_optimum(from_prometheus: dict[str, object]) -> None:
    values = get_values(from_prometheus)
    assert 6.4 <= float(values.pop("[core] parallelism")) <= 9.6
    assert values == {"slots of the pool": "4", "retries": "0 for such failures"}


def test_victoria_metrics_leads_to_the_same(
    from_prometheus: dict[str, object], from_victoria_metrics: dict[str, object]
) -> None:
    assert get_values(from_victoria_metrics) == get_values(from_prometheus)
    assert from_victoria_metrics["ranking"] == from_prometheus["ranking"]


def test_runs_are_due_at_the_minute_of_their_schedule_whenever_rules_are_evaluated(
    from_prometheus: dict[str, object], from_victoria_metrics: dict[str, object]
) -> None:
    for report in (from_prometheus, from_victoria_metrics):
        answers = report["answers"]
        assert isinstance(answers, list)
        [text] = [one["nothing"] for one in answers if one["question"] == "schedule"]
        assert text == "Nothing to change: 12 runs are due at 12:00 UTC, and do not wait for it."


def test_every_question_is_answered(from_prometheus: dict[str, object]) -> None:
    answers = from_prometheus["answers"]
    assert isinstance(answers, list)
    assert all(one["recommendations"] or one["nothing"] or one["missing"] for one in answers)

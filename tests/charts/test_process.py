"""The exporter's process starts with what the chart renders: arguments, environment, configuration and files."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.charts.helm import ROOT, VALUES, Helm, Object, get_container, get_pod, read, select

HOST_FOLDERS = {"/host/proc": "/proc", "/host/sys": "/sys", "/host/root": "/"}
TOKEN = "a-token-of-the-secret"
FILES = {
    "celery.broker_url_file": "redis://127.0.0.1:1/0",
    "database.url_file": "postgresql://exporter:invented@127.0.0.1:1/airflow",
    "web.config.file": "{}\n",
}
WAIT = 40.0
"""Seconds until the process is ready, on a busy machine."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def make_file(option: str) -> str:
    """Content for a file that an option names."""
    if option.endswith("ca_file"):
        return trustme.CA().cert_pem.bytes().decode()
    return FILES.get(option, TOKEN)


class Container:
    """The container of a rendering as a process, with folders of this machine in place of its volumes.

    `translated` puts the paths of these folders into its configuration; a real container mounts them.
    """

    def __init__(self, objects: list[Object], kind: str, folder: Path, *, translated: bool = True) -> None:
        self._container = get_container(objects, kind)
        self._mounts = {mount["mountPath"]: mount["name"] for mount in self._container["volumeMounts"]}
        folders = {path: str(folder / name) for path, name in self._mounts.items()} | HOST_FOLDERS
        self._folders = folders if translated else {path: path for path in folders}
        for name in self._mounts.values():
            (folder / name).mkdir(exist_ok=True)
        for volume in get_pod(objects, kind)["volumes"]:
            for source in volume.get("projected", {}).get("sources", []):
                for item in next(iter(source.values()))["items"]:
                    (folder / volume["name"] / item["path"]).write_text(make_file(item["path"]), encoding="utf-8")
            if "configMap" in volume:
                (found,) = [
                    one
                    for one in select(objects, "ConfigMap")
                    if one["metadata"]["name"] == volume["configMap"]["name"]
                ]
                for name, text in found["data"].items():
                    (folder / volume["name"] / name).write_text(self.translate(text), encoding="utf-8")
        self.port = free_port()

    def translate(self, text: str) -> str:
        """Paths of the container as paths of this machine."""
        paths = re.compile("|".join(map(re.escape, self._folders)))
        return paths.sub(lambda found: self._folders[found[0]], text)

    @property
    def arguments(self) -> list[str]:
        return [self.translate(one) for one in self._container["args"]]

    @property
    def environment(self) -> dict[str, str]:
        image = (ROOT / "Dockerfile").read_text(encoding="utf-8")
        variables = dict(found.split("=", 1) for found in re.findall(r"(AIRFLOW_EXPORTER_\w+=\S+)", image))
        variables.update({one["name"]: self.translate(one["value"]) for one in self._container.get("env", [])})
        assert {"AIRFLOW_EXPORTER_WEB_LISTEN_ADDRESS", "AIRFLOW_EXPORTER_STATSD_LISTEN_UDP"} <= variables.keys()
        loopback = {"WEB_LISTEN_ADDRESS": self.port, "STATSD_LISTEN_UDP": free_port(), "STATSD_LISTEN_TCP": free_port()}
        variables.update({f"AIRFLOW_EXPORTER_{name}": f"127.0.0.1:{port}" for name, port in loopback.items()})
        return {"PATH": "/usr/bin:/bin", **variables}

    @contextmanager
    def run(self, log: Path) -> Iterator[subprocess.Popen[bytes]]:
        """Start it, and stop it as Kubernetes does."""
        with log.open("wb") as output:
            command = [sys.executable, "-m", "exporter", *self.arguments]
            process = subprocess.Popen(command, cwd=ROOT, env=self.environment, stdout=output, stderr=output)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=WAIT) == 0

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as reply:
            text: str = reply.read().decode()
            return text

    def wait(self, process: subprocess.Popen[bytes], path: str, log: Path) -> None:
        """Until a probe succeeds."""
        deadline = time.monotonic() + WAIT
        while time.monotonic() < deadline:
            assert process.poll() is None, log.read_text()
            try:
                self.get(path)
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                time.sleep(0.2)
            else:
                return
        pytest.fail(f"{path}: not within {WAIT:g} s\n{log.read_text()}")


@pytest.mark.parametrize("path", VALUES, ids=lambda path: path.stem)
def test_the_deployment_starts(helm: Helm, path: Path, tmp_path: Path) -> None:
    values = read(path)
    container = Container(helm.render(values), "Deployment", tmp_path)
    log = tmp_path / "log"
    with container.run(log) as process:
        container.wait(process, "/-/healthy", log)
        container.wait(process, "/-/ready", log)
        telemetry = values.get("config", {}).get("web", {}).get("telemetry_path", "/metrics")
        assert "airflow_exporter_build_info" in container.get(telemetry)
        assert TOKEN not in container.get("/config")
    assert ("level=error" in log.read_text()) is False, log.read_text()
    assert (tmp_path / "state" / "state.sqlite").exists()


@pytest.mark.parametrize("path", [path for path in VALUES if read(path).get("workers")], ids=lambda path: path.stem)
def test_the_daemon_set_starts(helm: Helm, path: Path, tmp_path: Path) -> None:
    container = Container(helm.render(read(path)), "DaemonSet", tmp_path)
    log = tmp_path / "log"
    with container.run(log) as process:
        container.wait(process, "/-/healthy", log)
        container.wait(process, "/-/ready", log)
        exposition = container.get("/metrics")
        assert 'airflow_exporter_source_up{source="host"} 1' in exposition
        assert ("airflow_host_cpu_seconds_total{" in exposition) == bool(read(path)["workers"].get("machine"))


def test_the_secret_is_what_airflow_is_asked_with(helm: Helm, tmp_path: Path, httpserver: HTTPServer) -> None:
    seen: list[str | None] = []

    def answer(request: Request) -> Response:
        seen.append(request.headers.get("Authorization"))
        return Response("{}", status=404)

    httpserver.expect_request(re.compile(".*")).respond_with_handler(answer)
    values: dict[str, Any] = {
        "config": {"airflow": {"url": httpserver.url_for("").rstrip("/"), "username": None}},
        "files": {"airflow.token_file": {"secret": "airflow-exporter", "key": "token"}},
    }
    container = Container(helm.render(values), "Deployment", tmp_path)
    log = tmp_path / "log"
    with container.run(log) as process:
        container.wait(process, "/-/ready", log)
    assert f"Bearer {TOKEN}" in seen

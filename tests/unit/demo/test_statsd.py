"""The demo's Airflow sends StatsD to the port where the demo's exporter listens."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from demo.__main__ import Demo
from demo.airflow import Airflow
from demo.processes import Processes
from demo.settings import of_statsd
from demo.statsd import send_statsd
from demo.workdir import free_port


def test_the_exporter_listens_where_airflow_sends(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    commands: list[Sequence[str]] = []
    settings: list[Mapping[str, str]] = []

    def start(_self: Processes, _name: str, command: Sequence[str], *_more: object) -> int:
        commands.append(command)
        return 1

    monkeypatch.setattr(Processes, "start", start)
    monkeypatch.setattr(Airflow, "up", lambda self: settings.append(self.environ()))
    monkeypatch.setattr(Demo, "_wait_ready", lambda _: None)
    demo = Demo(tmp_path / "demo")
    with demo._lock:
        demo.start()
    (airflow,), (exporter,) = settings, commands
    assert airflow["AIRFLOW__METRICS__STATSD_ON"] == "True"
    assert f"--statsd.listen-udp=127.0.0.1:{airflow['AIRFLOW__METRICS__STATSD_PORT']}" in exporter
    assert "--statsd.listen-tcp=" in exporter


def test_the_port_is_kept_from_start_to_start(tmp_path: Path) -> None:
    port = send_statsd(Airflow("3.3.2", tmp_path))
    assert port > 0
    assert send_statsd(Airflow("3.3.2", tmp_path)) == port


def test_a_taken_port_is_left_alone_unless_airflow_still_sends_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    port = send_statsd(Airflow("3.3.2", tmp_path))
    with socket.socket(type=socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", port))
        assert free_port(port, socket.SOCK_DGRAM) != port
        monkeypatch.setattr(Processes, "names", lambda _: ["scheduler"])
        monkeypatch.setattr(Processes, "pid", lambda *_: 1)
        assert send_statsd(Airflow("3.3.2", tmp_path)) == port
        monkeypatch.undo()
        assert send_statsd(Airflow("3.3.2", tmp_path)) != port


@pytest.mark.parametrize(("version", "knows_legacy_names"), [("2.11.2", False), ("3.2.2", False), ("3.3.2", True)])
def test_tags_are_sent_and_old_names_are_off_where_there_is_a_setting(version: str, knows_legacy_names: bool) -> None:
    settings = of_statsd(version, 9125)
    assert settings["AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED"] == "True"
    assert ("AIRFLOW__METRICS__LEGACY_NAMES_ON" in settings) == knows_legacy_names

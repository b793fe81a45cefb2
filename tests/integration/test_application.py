"""The process as a whole: starting, reloading, signals and the end, with no Airflow in sight."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.application import Application, StartError, scrape_once
from exporter.commands.diagnose import diagnose
from exporter.config import loader
from exporter.config.loader import ConfigError, Configuration
from exporter.config.settings import AirflowSettings, EventsSettings, Settings, StatsdSettings
from exporter.engine import Engine

NOWHERE = "http://127.0.0.1:1"


class Process:
    """`airflow-exporter` in a process of its own; `address` is where it listens."""

    def __init__(self, *arguments: str) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_EXPORTER_")}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "exporter", "--web.listen-address=127.0.0.1:0", *arguments],
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self.address = self.wait_for(r"msg=listening address=(\S+)")

    def wait_for(self, pattern: str) -> str:
        """Read the log up to a line that matches; returns its first group."""
        assert self._process.stderr
        for line in self._process.stderr:
            if found := re.search(pattern, line):
                return found[1] if found.re.groups else line
        raise AssertionError(f"the log ended without {pattern!r}")

    def get(self, path: str) -> str:
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=30) as reply:
            return str(reply.read().decode())

    def wait_until(self, path: str, text: str, seconds: float = 20.0) -> bool:
        """Ask until the page says this, and say whether it did in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if self.get(path) == text:
                    return True
            except urllib.error.HTTPError as error:
                error.close()
            time.sleep(0.05)
        return False

    def post(self, path: str) -> int:
        request = urllib.request.Request(f"http://{self.address}{path}", method="POST")
        with urllib.request.urlopen(request, timeout=30) as reply:
            return int(reply.status)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; returns its exit code."""
        if self._process.poll() is None:
            self.send(number)
        code = self._process.wait(timeout=60)
        assert self._process.stderr
        self._process.stderr.close()
        return code


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a configuration file that leaves everything off."""
    (tmp_path / "config.yml").write_text("collector: {airflow: false}\n", encoding="utf-8")
    return tmp_path


@pytest.fixture
def process(folder: Path) -> Iterator[Process]:
    running = Process(f"--config.file={folder / 'config.yml'}", "--web.enable-lifecycle")
    yield running
    running.end(signal.SIGKILL)


def read_value(text: str, name: str) -> float:
    found = re.search(rf"^{name} (\S+)$", text, re.MULTILINE)
    assert found, name
    return float(found[1])


def load_nothing(**flags: object) -> Configuration:
    return loader.load({"collector.airflow": "false", "web.listen_address": "127.0.0.1:0", **flags}, {})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_end_ends_it_in_order(process: Process, number: signal.Signals) -> None:
    assert process.get("/-/healthy") == "Healthy.\n"
    assert process.end(number) == 0


def test_a_hangup_reads_the_file_anew(process: Process, folder: Path) -> None:
    (folder / "config.yml").write_text("collector: {airflow: false}\nlog: {level: debug}\n", encoding="utf-8")
    process.send(signal.SIGHUP)
    process.wait_for("the configuration was reloaded")
    assert "config.yml:2" in process.get("/config")


def test_a_file_that_is_wrong_leaves_the_old_configuration_in_force(process: Process, folder: Path) -> None:
    assert process.post("/-/reload") == 200
    (folder / "config.yml").write_text("nonsense: true\n", encoding="utf-8")
    process.send(signal.SIGHUP)
    assert "nonsense: is not an option" in process.wait_for("the configuration was not reloaded")
    metrics = process.get("/metrics")
    assert read_value(metrics, "airflow_exporter_config_last_reload_successful") == 0
    (folder / "config.yml").write_text("collector: {airflow: false}\n", encoding="utf-8")
    assert process.post("/-/reload") == 200
    assert read_value(process.get("/metrics"), "airflow_exporter_config_last_reload_successful") == 1


def test_it_serves_and_is_ready_where_airflow_cannot_be_reached() -> None:
    process = Process(f"--airflow.url={NOWHERE}")
    try:
        process.wait_for("airflow/connection failed")
        assert process.wait_until("/-/ready", "Ready.\n")
        assert 'airflow_exporter_source_up{source="airflow"} 0\n' in process.get("/metrics")
    finally:
        assert process.end() == 0


def test_what_cannot_change_while_it_runs_is_said(caplog: pytest.LogCaptureFixture) -> None:
    application = Application(load_nothing(), lambda: load_nothing(**{"web.max_connections": "5"}))
    application.reload()
    assert "the change of web takes effect after a restart" in caplog.text


def test_a_collector_that_is_switched_on_waits_for_the_restart_at_each_reload(
    caplog: pytest.LogCaptureFixture,
) -> None:
    before = {"collector.statsd": "false", "collector.host": "true"}
    after = {**before, "collector.airflow": "true", "airflow.url": NOWHERE, "web.max_connections": "5"}
    application = Application(load_nothing(**before), lambda: load_nothing(**after))
    for _ in range(2):
        application.reload()
        assert list(application.engine.sources) == ["host"]
    assert application.engine.stop(10)
    assert caplog.text.count("the change of collector takes effect after a restart") == 2
    shown = {one.name: one.value for one in application._build_context().configuration()}
    assert (shown["collector.airflow"], shown["web.max_connections"]) == ("false", "512"), "what is in use"
    assert shown["airflow.url"] == NOWHERE


@pytest.mark.parametrize(
    ("section", "option", "url"),
    [
        ("celery", "celery.broker_url_file", "redis://127.0.0.1:1/0"),
        ("database", "database.url_file", "postgresql://airflow@127.0.0.1:1/airflow"),
    ],
)
def test_a_source_whose_url_is_removed_goes_on_until_the_restart(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, section: str, option: str, url: str
) -> None:
    path = tmp_path / "url"
    path.write_text(url, encoding="utf-8")
    others = {"collector.statsd": "false", "collector.host": "false"}
    application = Application(load_nothing(**others, **{option: str(path)}), lambda: load_nothing(**others))
    for _ in range(2):
        application.reload()
    assert list(application.engine.sources) == [section]
    application.engine.sources[section].prepare()  # type: ignore[attr-defined]
    assert application.engine.stop(10)
    assert caplog.text.count(f"the change of {section} takes effect after a restart") == 2
    assert {one.name: one.value for one in application._build_context().configuration()}[option] == str(path)


def test_a_source_whose_url_is_added_starts_with_the_next_process(
    caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    path = tmp_path / "url"
    path.write_text("redis://127.0.0.1:1/0", encoding="utf-8")
    others = {"collector.statsd": "false", "collector.host": "false"}
    after = {**others, "celery.broker_url_file": str(path)}
    application = Application(load_nothing(**others), lambda: load_nothing(**after))
    for _ in range(2):
        application.reload()
    assert not application.engine.sources
    assert caplog.text.count("the change of celery takes effect after a restart") == 2
    assert "the change of collector" not in caplog.text


def test_a_reload_that_fails_says_why() -> None:
    def refuse() -> Configuration:
        raise ConfigError(["config.yml:1: wrong"])

    with pytest.raises(ConfigError, match=r"config\.yml:1: wrong"):
        Application(load_nothing(), refuse).reload()


def test_a_file_that_changes_after_it_was_checked_leaves_the_old_configuration_in_force(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    collectors = {"collector.airflow": "false", "collector.statsd": "true", "statsd.listen_udp": "127.0.0.1:0"}
    before = load_nothing(**collectors)
    statsd = StatsdSettings(mapping_config=tmp_path / "gone.yml")
    application = Application(before, lambda: before._replace(settings=replace(before.settings, statsd=statsd)))
    with pytest.raises(ConfigError, match=r"gone\.yml"):
        application.reload()
    assert "the configuration was not reloaded" in caplog.text
    assert not application.engine.telemetry.reloaded
    assert application.engine.settings is before.settings


def test_a_state_file_that_cannot_be_used_is_a_reason_not_to_start(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_text("this is no database, and long enough not to look like an empty one\n" * 20, encoding="utf-8")
    with pytest.raises(StartError, match="state file"):
        Application(load_nothing(**{"state.file": str(path)}), load_nothing)


def test_one_scrape_of_nothing_tells_what_failed() -> None:
    text, problems = scrape_once(Settings(airflow=AirflowSettings(url=NOWHERE)))
    assert 'airflow_exporter_source_up{source="airflow"} 0' in text
    assert len(problems) == 1
    assert problems[0].startswith("airflow/connection: unreachable: ")


def test_commands_that_read_once_write_no_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    used: list[Settings] = []
    monkeypatch.setattr(Engine, "read_once", lambda engine: used.append(engine.settings))
    files = EventsSettings(tmp_path / "events.jsonl")
    given = Settings(airflow=AirflowSettings(url=NOWHERE), events=files, state_file=tmp_path / "state")
    scrape_once(given)
    diagnose(given)
    assert [(one.events.file, one.state_file) for one in used] == [(None, None)] * 2
    assert list(tmp_path.iterdir()) == []


def test_without_the_airflow_source_nothing_of_it_is_imported() -> None:
    script = """
import sys
from exporter.config import loader
from exporter.engine import Engine
Engine(loader.load({"collector.airflow": "false"}, {}).settings)
expensive = ("pydantic", "requests", "airflow_client", "prometheus_client", "sqlite3", "re2")
print([name for name in expensive if name in sys.modules])
"""
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout == "[]\n"

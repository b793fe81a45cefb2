"""A real Alertmanager with the shipped configuration, hurried, and the inbox that it notifies."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import requests
import yaml

from demo.workdir import free_port

SHIPPED = Path(__file__).resolve().parents[2] / "alertmanager"
LOCAL_RECEIVER = "127.0.0.1:9095"
Config = dict[str, Any]


def find_program(name: str) -> str | None:
    """A program by its name, from $ALERTMANAGER_BIN, $AMTOOL_BIN and the like, or from PATH."""
    named = os.environ.get(f"{name.upper()}_BIN")
    return named if named and Path(named).exists() else shutil.which(name)


def shipped_config(receivers: str | None = None) -> Config:
    """The shipped configuration; with `receivers` those of that example stand in the place of the local ones."""
    text = (SHIPPED / "alertmanager.yml").read_text(encoding="utf-8")
    if receivers:
        example = (SHIPPED / "receivers" / f"{receivers}.yml").read_text(encoding="utf-8")
        text = text[: text.index("\nreceivers:") + 1] + example
    config: Config = yaml.safe_load(text)
    config["templates"] = [str(SHIPPED / pattern) for pattern in config["templates"]]
    return config


def hurried(config: Config, wait: str = "1s", interval: str = "2s") -> Config:
    """The same configuration with short pauses: nothing else is changed."""
    config = copy.deepcopy(config)
    routes = [config["route"]]
    while routes:
        route = routes.pop()
        routes += route.get("routes", [])
        route.update({name: wait for name in ("group_wait",) if name in route})
        route.update({name: interval for name in ("group_interval",) if name in route})
        if "repeat_interval" in route and route.get("receiver") == "heartbeat":
            route["repeat_interval"] = interval
    return config


def readdressed(config: Config, inbox: str) -> Config:
    """The same configuration, with the local receiver at another address."""
    moved: Config = json.loads(json.dumps(config).replace(LOCAL_RECEIVER, inbox))
    return moved


class Notice(NamedTuple):
    """One notification, as the inbox recorded it."""

    received: float
    receiver: str
    notification: Mapping[str, Any]

    @property
    def alerts(self) -> Sequence[Mapping[str, Any]]:
        """The alerts that it is about."""
        alerts: Sequence[Mapping[str, Any]] = self.notification["alerts"]
        return alerts

    def names(self) -> set[str]:
        """The names of the alerts that it is about."""
        return {alert["labels"]["alertname"] for alert in self.alerts}


class Inbox:
    """The shipped local receiver as a process, and what it has recorded."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.record = folder / "inbox.jsonl"
        self.record.write_text("", encoding="utf-8")
        self.address = f"127.0.0.1:{free_port()}"
        command = [sys.executable, str(SHIPPED / "inbox.py"), "--listen", self.address, "--record", str(self.record)]
        with (folder / "inbox.log").open("wb") as log:
            self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def notices(self) -> list[Notice]:
        """All notifications so far, the oldest first."""
        lines = self.record.read_text(encoding="utf-8").splitlines()
        return [Notice(**json.loads(line)) for line in lines]

    def close(self) -> None:
        """End it."""
        end(self._child)


class Alertmanager:
    """One server on loopback whose data lie in `folder`."""

    def __init__(self, program: str, folder: Path, config: Config) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.log = folder / "alertmanager.log"
        file = folder / "alertmanager.yml"
        file.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        self.address = f"127.0.0.1:{free_port()}"
        command = [
            program,
            f"--config.file={file}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",
            "--log.level=debug",
        ]
        self._session = requests.Session()
        self._session.trust_env = False
        with self.log.open("wb") as log:
            self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def wait_ready(self, seconds: float = 30) -> None:
        """Wait until it answers."""
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            if self._child.poll() is not None:
                break
            try:
                if self._session.get(f"http://{self.address}/-/ready", timeout=5).ok:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.1)
        raise RuntimeError(f"Alertmanager did not become ready: {self.log.read_text(encoding='utf-8')[-2000:]}")

    def post(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Hand over alerts as Prometheus does."""
        reply = self._session.post(f"http://{self.address}/api/v2/alerts", json=list(alerts), timeout=30)
        reply.raise_for_status()

    def alerts(self) -> list[dict[str, Any]]:
        """What it holds, with the state of each: active or suppressed."""
        reply = self._session.get(f"http://{self.address}/api/v2/alerts", timeout=30)
        reply.raise_for_status()
        held: list[dict[str, Any]] = reply.json()
        return held

    def close(self) -> None:
        """End the server."""
        self._session.close()
        end(self._child)


def end(child: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and end it by force after a while."""
    child.terminate()
    try:
        child.wait(timeout=10)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()

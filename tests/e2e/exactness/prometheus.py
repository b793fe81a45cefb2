"""A real Prometheus that scrapes the exporter and answers PromQL queries."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import requests

from demo.workdir import free_port
from tests.e2e.exactness.subject import Series

SCRAPE_SECONDS = 2
CONFIG = """\
global:
  scrape_interval: {seconds}s
  scrape_timeout: {seconds}s
scrape_configs:
  - job_name: airflow
    static_configs:
      - targets: ["{target}"]
        labels: {{airflow: e2e}}
"""
OUR_LABELS = frozenset({"__name__", "job", "instance", "airflow"})


def scraping(target: str) -> str:
    """A configuration that only scrapes one exporter."""
    return CONFIG.format(seconds=SCRAPE_SECONDS, target=target)


def find_prometheus() -> str | None:
    """The path of the program, from $PROMETHEUS_BIN or PATH; None if there is none."""
    named = os.environ.get("PROMETHEUS_BIN")
    return named if named and Path(named).exists() else shutil.which("prometheus")


class Prometheus:
    """One server on loopback with its data in `folder`; `config` is the text of its configuration."""

    def __init__(self, program: str, folder: Path, config: str, *flags: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "prometheus.yml"
        file.write_text(config, encoding="utf-8")
        self.port = free_port()
        self._session = requests.Session()
        self._session.trust_env = False
        command = [
            program,
            f"--config.file={file}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
            *flags,
        ]
        with (folder / "prometheus.log").open("ab") as log:
            self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        """The process id, for measurements."""
        return self._child.pid

    def close(self) -> None:
        """Stop the server."""
        self._session.close()
        self._child.terminate()
        try:
            self._child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def wait_ready(self, seconds: float = 30) -> None:
        """Wait until the server is ready. Raises RuntimeError."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                if self._session.get(f"http://127.0.0.1:{self.port}/-/ready", timeout=5).ok:
                    return
            except requests.RequestException:
                pass
            time.sleep(0.2)
        raise RuntimeError("Prometheus did not become ready")

    def query(self, promql: str, at: float | None = None) -> dict[Series, float]:
        """The result of an instant query, without the labels of the scrape. Raises RuntimeError."""
        moment = {"time": f"{at:.3f}"} if at is not None else {}
        reply = self._session.post(
            f"http://127.0.0.1:{self.port}/api/v1/query", data={"query": promql, **moment}, timeout=60
        )
        if not reply.ok:
            raise RuntimeError(f"{promql}: {reply.text[:300]}")
        return {_series(sample["metric"]): float(sample["value"][1]) for sample in reply.json()["data"]["result"]}


def _series(metric: dict[str, Any]) -> Series:
    labels = frozenset((name, str(value)) for name, value in metric.items() if name not in OUR_LABELS)
    return Series(str(metric.get("__name__", "")), labels)

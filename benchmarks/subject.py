"""The exporter under test: the real command, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from demo.workdir import free_port
from exporter.metrics.reading import Memories
from exporter.store.persistence.state_file import StateFile

ROOT = Path(__file__).resolve().parents[1]
ALARMING = ("airflow_exporter_source_up", "airflow_exporter_reader_success")
PATIENCE = 120.0
"""How long the first poll may take, in seconds: it reads every DAG."""


class Exporter:
    """`airflow-exporter serve` against one Airflow, with a state file of its own, until the block is left."""

    def __init__(
        self,
        url: str,
        password_file: Path,
        workdir: Path,
        interval: float,
        flags: Sequence[str] = (),
        memories: Memories | None = None,
    ) -> None:
        """`flags` are further ones; `memories` is what its state file has at first."""
        self._memories = memories
        self._address = f"127.0.0.1:{free_port()}"
        self._log = workdir / "logs" / "exporter.log"
        self._state = workdir / "exporter.db"
        options = {
            "airflow.url": url,
            "airflow.username": "admin",
            "airflow.password-file": password_file,
            "airflow.interval": f"{interval:g}s",
            "web.listen-address": self._address,
            "state.file": self._state,
        }
        self._command = [
            sys.executable,
            "-m",
            "exporter",
            "serve",
            *(f"--{name}={value}" for name, value in options.items()),
            *flags,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process
        return self._process.pid

    def metrics(self) -> str:
        """What it exposes."""
        return self._get("/metrics")

    def problems(self) -> list[str]:
        """Sources and readers that do not work, as it says itself."""
        lines = self.metrics().splitlines()
        return [line for line in lines if line.startswith(ALARMING) and line.endswith(" 0")]

    def __enter__(self) -> Self:
        for leftover in self._state.parent.glob(f"{self._state.name}*"):
            leftover.unlink()
        if self._memories:
            state = StateFile(self._state)
            state.commit((), self._memories)
            state.close()
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW_EXPORTER_")}
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(self._command, cwd=ROOT, env=environment, stdout=log, stderr=log)
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None = None,
        error: BaseException | None = None,
        at: TracebackType | None = None,
    ) -> None:
        if self._process:
            self._process.terminate()
            self._process.wait(30)

    def _wait(self) -> None:
        end = time.monotonic() + PATIENCE
        while not self._ready():
            if time.monotonic() > end or (self._process and self._process.poll() is not None):
                raise RuntimeError(f"the exporter did not become ready: {self._log.read_text()[-2000:]}")
            time.sleep(0.5)

    def _ready(self) -> bool:
        try:
            self._get("/-/ready")
        except OSError:
            return False
        return True

    def _get(self, path: str) -> str:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://{self._address}{path}", timeout=10) as answer:
            text: str = answer.read().decode()
        return text

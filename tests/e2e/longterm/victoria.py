"""VictoriaMetrics and vmalert as processes on loopback."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests

from demo.workdir import free_port

FOLDER = "VICTORIA_METRICS"
"""The variable with the folder of the programs, where they are not in PATH."""


def find_program(name: str) -> Path | None:
    """A program of Debian's package victoria-metrics."""
    folder = os.environ.get(FOLDER)
    found = shutil.which(name, path=f"{folder}:{os.environ['PATH']}" if folder else None)
    return Path(found) if found else None


class VictoriaMetrics:
    """A single node with its data in a folder; starting it again finds what was written."""

    def __init__(self, program: Path, folder: Path, options: Sequence[str] = ()) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [
            str(program),
            *options,
            f"-storageDataPath={folder / 'data'}",
            f"-httpListenAddr=127.0.0.1:{self.port}",
        ]
        self._log = folder / "victoria-metrics.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._session = requests.Session()
        self._session.trust_env = False

    def __enter__(self) -> Self:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        end = time.monotonic() + 60
        while not self._ready():
            assert time.monotonic() < end, self._log.read_text()[-2000:]
            assert self._process.poll() is None, self._log.read_text()[-2000:]
            time.sleep(0.1)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process
        self._process.terminate()
        assert self._process.wait(60) == 0

    def _ready(self) -> bool:
        try:
            return self._session.get(f"{self.url}/health", timeout=5).ok
        except requests.ConnectionError:
            return False

    def flush(self) -> None:
        """Make everything that was written visible to queries."""
        self._session.get(f"{self.url}/internal/force_flush", timeout=60).raise_for_status()

    def query(self, expression: str, moment: int) -> list[dict[str, Any]]:
        """The answer to an instant query."""
        return query(self._session, self.url, expression, moment)


def query(session: requests.Session, url: str, expression: str, moment: int) -> list[dict[str, Any]]:
    """The answer of a server with Prometheus' API to an instant query. Raises AssertionError with its error."""
    reply = session.post(f"{url}/api/v1/query", data={"query": expression, "time": str(moment)}, timeout=60)
    assert reply.ok, f"{expression}: {reply.text[:500]}"
    found: list[dict[str, Any]] = reply.json()["data"]["result"]
    return found

"""A worker whose memory grows: hours of it written as history, and a target that goes on where history ends."""

from __future__ import annotations

import math
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self

from demo.settings import HOST
from demo.workdir import free_port

NAME = "e2e-history"
"""The label `airflow` of the leaking worker."""
JOB = "airflow"
START_BYTES = 400.0 * 2**20
STEP = 10
"""Seconds between two samples of the history."""


class LeakingWorker:
    """What an exporter beside a leaking Celery worker shows; `mend` is the restart that gives the memory back."""

    def __init__(self, hours: float, bytes_per_hour: float) -> None:
        self._began = time.time() - hours * 3600
        self._rate = bytes_per_hour / 3600
        self._mended_at: float | None = None
        self._port = free_port()
        self.address = f"{HOST}:{self._port}"

    def __enter__(self) -> Self:
        worker = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = worker.exposition(time.time()).encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words: object) -> None:
                pass

        self._server = ThreadingHTTPServer((HOST, self._port), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()

    def mend(self) -> None:
        """Restart the worker."""
        self._mended_at = time.time()

    def figures(self, at: float) -> dict[str, float]:
        """Its families at a moment."""
        restarted = self._mended_at if self._mended_at and at >= self._mended_at else None
        grown = 0.0 if restarted else (at - self._began) * self._rate
        return {
            "airflow_process_memory_growth_bytes": grown,
            "airflow_process_proportional_memory_bytes": START_BYTES + grown,
            "airflow_process_oldest_start_timestamp_seconds": restarted or self._began,
            "airflow_process_newest_start_timestamp_seconds": restarted or self._began,
            "airflow_processes": 1.0,
        }

    def exposition(self, at: float) -> str:
        """What is scraped."""
        lines = (f'{name}{{component="celery_worker"}} {value!r}' for name, value in self.figures(at).items())
        return "\n".join(lines) + "\n"

    def write_history(self, data: Path, scratch: Path) -> None:
        """Write what would have been scraped until now as blocks of a Prometheus that is yet to start."""
        labels = f'airflow="{NAME}",component="celery_worker",instance="{self.address}",job="{JOB}"'
        end = math.floor(time.time())
        moments = range(math.ceil(self._began), end, STEP)
        lines = []
        for name in self.figures(end):
            lines.append(f"# TYPE {name} gauge")
            lines += [f"{name}{{{labels}}} {self.figures(moment)[name]!r} {moment}" for moment in moments]
        scratch.write_text("\n".join([*lines, "# EOF"]) + "\n", encoding="utf-8")
        data.mkdir(parents=True, exist_ok=True)
        command = ["promtool", "tsdb", "create-blocks-from", "openmetrics", str(scratch), str(data)]
        subprocess.run(command, check=True, capture_output=True)

"""The leaking worker: its history and what is scraped of it are one line, until it is restarted."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import requests

from tests.e2e.alerts.history import LeakingWorker

GROWTH = "airflow_process_memory_growth_bytes"
HOUR = 3600.0


def test_it_grows_until_it_is_mended() -> None:
    worker = LeakingWorker(hours=2, bytes_per_hour=100.0)
    now = time.time()
    assert round(worker.figures(now)[GROWTH]) == 200
    assert round(worker.figures(now - HOUR)[GROWTH]) == 100
    worker.mend()
    assert worker.figures(time.time())[GROWTH] == 0
    assert round(worker.figures(now - 1)[GROWTH]) == 200


def test_it_is_scraped() -> None:
    with LeakingWorker(hours=1, bytes_per_hour=100.0) as worker, requests.Session() as session:
        session.trust_env = False
        reply = session.get(f"http://{worker.address}/metrics", timeout=5)
    assert f'{GROWTH}{{component="celery_worker"}} 1' in reply.text


def test_history_is_what_prometheus_takes_up(promtool: Path, tmp_path: Path) -> None:
    worker = LeakingWorker(hours=1, bytes_per_hour=100.0)
    worker.write_history(tmp_path / "data", tmp_path / "history.txt")
    listed = subprocess.run([promtool, "tsdb", "list", tmp_path / "data"], capture_output=True, text=True, check=True)
    assert len(listed.stdout.splitlines()) >= 2

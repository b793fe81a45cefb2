"""The epoch8 plugin, `airflow-exporter` on PyPI: the peer of poll.py. It runs inside Airflow's API server (its web
server on 2.x) and reads the metadata database at each scrape.
"""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from pathlib import Path

from demo.environment import release

PATIENCE = 600.0
"""Seconds that a scrape may take: it reads all that is in the database."""


def requirement(version: str) -> str:
    """The plugin for this release of Airflow."""
    return "airflow-exporter==2.1.0" if release(version) >= (3,) else "airflow-exporter==1.7.0"


def install(version: str, folder: Path) -> Path:
    """A folder with the plugin, for Airflow's PYTHONPATH: its environment, which others use, stays as it is."""
    target = folder / f"epoch8-{version}"
    if not target.exists():
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        subprocess.run([*command, "--target", str(target), requirement(version), "prometheus-client"], check=True)
    return target.resolve()


def scrape(url: str) -> bytes:
    """What the plugin exposes. Raises OSError if it does not answer, ValueError if it is not what it should be."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{url}/admin/metrics/", timeout=PATIENCE) as answer:
        body: bytes = answer.read()
    if b"airflow_task_status{" not in body:
        raise ValueError(f"no task is in what {url} exposes: {body[:200]!r}")
    return body

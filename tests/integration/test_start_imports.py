"""What is not imported before the first /metrics: exporters of StatsD and on workers must start soon and stay small."""

from __future__ import annotations

import re
import subprocess
import sys
import urllib.request

import pytest

IMPORTED = re.compile(r"import time: +\d+ \| +\d+ \| +(\S+)")
LISTENING = re.compile(r"msg=listening address=(\S+)")
STATSD_ONLY = (
    "--no-collector.airflow",
    "--no-collector.host",
    "--statsd.listen-udp=127.0.0.1:0",
    "--statsd.listen-tcp=",
)
WORKER = ("--no-collector.airflow", "--no-collector.statsd", "--host.task-names-from=http://127.0.0.1:1")
NEVER = {
    *("airflow_client", "pydantic", "requests", "urllib3", "msgspec", "celery", "sqlalchemy"),
    *("yaml", "sqlite3", "bcrypt", "markdown_it", "re2", "difflib"),
    *("exporter.diagnosis.findings", "exporter.diagnosis.situation", "exporter.diagnosis.costs.sizing"),
    *("exporter.sources.airflow", "exporter.sources.celery", "exporter.sources.database", "exporter.commands.check"),
}
"""Libraries that are slow to import or large, and parts of the exporter that are for other sources or for pages.

prometheus-client is not among them: the first scrape needs it for the metrics process_* and python_*.
"""


def list_imported(*arguments: str) -> set[str]:
    """The modules that the real command imports until it has answered its first scrape and ended."""
    command = [sys.executable, "-X", "importtime", "-m", "exporter", "--web.listen-address=127.0.0.1:0", *arguments]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        imported = set()
        for line in process.stderr:
            if found := IMPORTED.match(line):
                imported.add(found[1])
            elif found := LISTENING.search(line):
                with urllib.request.urlopen(f"http://{found[1]}/metrics", timeout=60) as reply:
                    assert b"airflow_exporter_build_info{" in reply.read()
                process.terminate()
    assert process.returncode == 0
    return imported


@pytest.mark.parametrize(
    ("arguments", "further"),
    [(STATSD_ONLY, {"psutil", "exporter.sources.host"}), (WORKER, {"exporter.sources.statsd"})],
)
def test_what_is_slow_to_import_is_not_imported_before_the_first_scrape(
    arguments: tuple[str, ...], further: set[str]
) -> None:
    imported = list_imported(*arguments)
    assert {"exporter.application", "uvicorn.config"} <= imported
    assert imported & (NEVER | further) == set()

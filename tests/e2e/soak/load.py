"""What the exporter has to do during the soak: StatsD lines of every kind, scrapes, pages, reloads."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
from collections.abc import Callable
from itertools import cycle
from pathlib import Path

import requests

from tests.e2e.exactness.subject import Subject
from tests.e2e.soak.airflow import ChangingAirflow

LINES_PER_BURST = 40
BURST_PAUSE = 0.1
SCRAPE_PAUSE = 0.5
RELOAD_EVERY = 3 * 3600.0
"""Seconds on Airflow's clock between two reloads of the configuration."""
LOOK_PAUSE = 0.5
PAGES = ("/metrics", "/diagnosis", "/metrics", "/", "/config", "/metrics", "/sources", "/nothing")
ACCEPT = ("text/plain", "application/openmetrics-text; version=1.0.0")
PLAIN = """\
airflow:
  intervals: {dags: 1s, health: 1s}
"""
FILTERED = """\
airflow:
  intervals: {dags: 1s, health: 2s}
  exclude_dags: ['dag_29_.*']
statsd:
  deny: ['airflow\\.soak.*']
"""


class Load:
    """Threads that work until they are told to stop."""

    def __init__(self, subject: Subject, airflow: ChangingAirflow, port: int, config: Path, seed: int) -> None:
        self._subject = subject
        self._airflow = airflow
        self._port = port
        self._config = config
        self._random = random.Random(seed)
        self._over = threading.Event()
        self.counts = dict.fromkeys(("lines", "scrapes", "reloads", "failures"), 0)
        self.exposed = 0
        """How many lines the last scrape had."""
        works = (self._send, self._scrape, self._reload)
        self._threads = [threading.Thread(target=work, daemon=True) for work in works]

    def start(self) -> None:
        """Start to work."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop."""
        self._over.set()
        for thread in self._threads:
            thread.join(timeout=60)

    def _reload(self) -> None:
        due = RELOAD_EVERY
        for text in cycle((FILTERED, PLAIN)):
            while self._airflow.clock.passed < due:
                if self._over.wait(LOOK_PAUSE):
                    return
            due += RELOAD_EVERY
            self._config.write_text(text)
            os.kill(self._subject.pid, signal.SIGHUP)
            self.counts["reloads"] += 1

    def _scrape(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            for page, accept in zip(cycle(PAGES), cycle(ACCEPT), strict=False):
                if self._over.wait(SCRAPE_PAUSE):
                    return
                try:
                    headers = {"Accept": accept, "Connection": "keep-alive" if page == "/metrics" else "close"}
                    reply = session.get(f"http://{self._subject.address}{page}", headers=headers, timeout=20)
                    failed = reply.status_code >= 500
                    self.exposed = reply.text.count("\n") if page == "/metrics" else self.exposed
                except requests.RequestException:
                    failed = True
                self.counts["failures" if failed else "scrapes"] += 1

    def _send(self) -> None:
        makers: tuple[Callable[[], str], ...] = (
            self._make_task_line,
            self._make_plain_line,
            self._make_gauge_line,
            self._make_custom_line,
            self._make_bad_line,
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as connection:
            while not self._over.wait(BURST_PAUSE):
                for _ in range(LINES_PER_BURST):
                    [make] = self._random.choices(makers, (6, 6, 6, 2, 1))
                    connection.sendto(make().encode(), ("127.0.0.1", self._port))
                self.counts["lines"] += LINES_PER_BURST

    def _dag(self) -> str:
        return self._random.choice(self._airflow.dag_ids(self._airflow.clock.now()))

    def _make_task_line(self) -> str:
        task = f"task_{self._random.randrange(3)}"
        return f"airflow.task.duration,dag_id={self._dag()},task_id={task}:{self._random.uniform(1, 9e4):.1f}|ms"

    def _make_plain_line(self) -> str:
        name = self._random.choice(("scheduler_heartbeat", "dag_processing.file_path_queue_update_count", "ti.finish"))
        return f"airflow.{name}:1|c"

    def _make_gauge_line(self) -> str:
        return f"airflow.pool.open_slots.pool_{self._random.randrange(20)}:{self._random.randrange(128)}|g"

    def _make_custom_line(self) -> str:
        return f"airflow.soak.{self._random.randrange(50)},part={self._random.randrange(20)}:1|c"

    def _make_bad_line(self) -> str:
        return self._random.choice(("airflow.x", "a:b|c", ":1|c", "airflow.y:1|q", "airflow.z:1|c|@0", "\x00"))

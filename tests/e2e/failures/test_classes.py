"""The class of each failed try of a real Airflow, held against the class with which the DAG names the task.

Two exporters read the same Airflow, one as administrator and one with a Viewer's rights.

    AIRFLOW_VERSIONS="3.3.2 2.11.2" python -m pytest tests/e2e/failures -m e2e -s

Leaves its tables in .e2e/ (or $E2E_FOLDER). 2.x needs PostgreSQL's server programs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from demo.airflow import Airflow
from tests.e2e.alerts.telling import FOLDER, say
from tests.e2e.exactness.console import Console
from tests.e2e.exactness.subject import Exposition, Subject

VERSIONS = os.environ.get("AIRFLOW_VERSIONS", "3.3.2 2.11.2").split()
DAGS = Path(__file__).resolve().parent / "dags"
DAG_IDS = ("every_failure", "retried_failures")
USERS = ("admin", "viewer")
CGROUPS = Path("/sys/fs/cgroup")
RUNNING_SECONDS = 600.0
NAMED_SECONDS = 230.0
"""After the last task: logs are read in a tenth of the time, some are read again, and the events file follows."""
INTERVAL = 5.0
BIRTH_SCRAPES = 5
"""The count of failed tries is by task, and a new series is zero at first: after so many scrapes it has its value."""
SECRET = "hunter2-in-a-log"
"""What the task `code__secret` writes to its log and has in its exception."""
OUTCOMES = ("failed", "retried")
FAILED = "airflow_task_tries_failed_total"
BY_CLASS, LOGS = "airflow_task_tries_failed_by_class_total", "airflow_task_logs_read_total"
PAGES = ("/", "/sources", "/config", "/metrics", "/diagnosis", "/diagnosis?dag_id=every_failure")


class Sums(NamedTuple):
    """What one scrape says of failed tries, over all DAGs."""

    failed: float
    by_class: float


class Reader:
    """One exporter, with the rights of one user, and all that it ever wrote."""

    def __init__(self, airflow: Airflow, folder: Path, user: str) -> None:
        self.user = user
        self.folder = folder / user
        self.events = self.folder / "events.jsonl"
        for left in self.folder.glob("events.jsonl*"):
            left.unlink()
        self.flags = [
            f"--airflow.url={airflow.url}",
            f"--airflow.username={user}",
            f"--airflow.password-file={airflow.password_file}",
        ]
        serving = [
            f"--airflow.interval={INTERVAL:.0f}s",
            "--exposition.birth-hold=1s",
            "--log.level=debug",
            "--airflow.exception-labels",
            f"--events.file={self.events}",
        ]
        self.subject = Subject(self.folder, [*self.flags, *serving])
        self.subject.log.unlink(missing_ok=True)
        self.sums: list[Sums] = []
        self.last: Exposition = {}

    def scrape(self) -> None:
        """Scrape once, and note the sums."""
        self.last = self.subject.scrape()
        self.sums.append(Sums(self.sum_up(FAILED), self.sum_up(BY_CLASS)))

    def sum_up(self, name: str, **labels: str) -> float:
        """All series of a family with these labels."""
        wanted = labels.items()
        return sum(value for one, value in self.last.items() if one.name == name and wanted <= dict(one.labels).items())

    def read_events(self) -> list[dict[str, Any]]:
        """The lines of tries."""
        lines = self.events.read_text(encoding="utf-8").splitlines() if self.events.exists() else []
        return [event for line in lines if (event := json.loads(line))["event"] == "task_try"]

    def list_texts(self) -> Iterator[tuple[str, bytes]]:
        """All that a user, a log shipper or a thief of files could read of it, by name."""
        for page in (*PAGES, "/failed?dag_id=every_failure&task_id=code__secret"):
            for accept in ("text/html", "application/json", "application/openmetrics-text"):
                yield page, self._get(page, accept)
        for file in self.folder.rglob("*"):
            if file.is_file():
                yield file.name, file.read_bytes()
        command = [sys.executable, "-m", "exporter", "diagnose", *self.flags, "--log.level=debug"]
        done = subprocess.run(command, capture_output=True, check=False, timeout=180)
        yield "diagnose", done.stdout + done.stderr

    def _get(self, page: str, accept: str) -> bytes:
        url, headers = f"http://{self.subject.address}{page}", {"Accept": accept}
        with requests.Session() as session:
            session.trust_env = False
            reply = session.get(url, headers=headers, timeout=30, allow_redirects=False)
        return repr(reply.headers).encode() + reply.content


class Run:
    """One Airflow, from its start to the last report of both exporters."""

    def __init__(self, version: str, folder: Path) -> None:
        settings = {"AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1"}
        self.airflow = Airflow(version, folder / "airflow", dags=DAGS, pools={}, settings=settings, port=21_510)
        self.console = Console(self.airflow)
        self.folder = folder
        self.readers: list[Reader] = []
        self.tries: list[dict[str, Any]] = []
        """The last try of each task instance, by Airflow's database."""
        self.texts: list[tuple[str, str, bytes]] = []
        """Everything that each user's exporter wrote: user, name and content."""

    def play(self) -> None:
        """Everything, in the order of events."""
        self.airflow.up()
        try:
            self._wait(lambda: set(DAG_IDS) <= self.console.dag_ids(), "the DAGs are there")
            self.readers = [Reader(self.airflow, self.folder, user) for user in USERS]
            for reader in self.readers:
                reader.subject.start()
            for reader in self.readers:
                reader.subject.wait_ready()
            self._watch(2 * INTERVAL)
            began = time.monotonic()
            for dag_id in DAG_IDS:
                self.console.trigger(dag_id)
            self._wait(self._have_ended, "all runs have ended")
            say(f"{self.airflow.version}: all tasks have ended after {time.monotonic() - began:.0f} s")
            self.tries = self.airflow.query("SELECT dag_id, task_id, state, try_number FROM task_instance")
            self._wait(self._is_told, "each try is in the events files", NAMED_SECONDS)
            self._watch(2 * INTERVAL)
            self.texts = [(one.user, name, text) for one in self.readers for name, text in one.list_texts()]
        finally:
            for reader in self.readers:
                reader.subject.close()
            self.console.close()
            self.airflow.down(remove=True)
            for group in (*CGROUPS.glob("exporter-e2e-*"), *CGROUPS.glob("memory/exporter-e2e-*")):
                group.rmdir()

    def _have_ended(self) -> bool:
        rows = self.airflow.query("SELECT dag_id FROM dag_run WHERE state IN ('success', 'failed')")
        return {row["dag_id"] for row in rows} == set(DAG_IDS)

    def _is_told(self) -> bool:
        wanted = sum(row["try_number"] for row in self.tries)
        return all(len(reader.read_events()) >= wanted for reader in self.readers)

    def _wait(self, done: Callable[[], bool], what: str, seconds: float = RUNNING_SECONDS) -> None:
        end = time.monotonic() + seconds
        while not done():
            if time.monotonic() > end:
                say(f"not in time: {what}")
                return
            self._watch(3) if self.readers else time.sleep(1)

    def _watch(self, seconds: float) -> None:
        """Scrape both for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for reader in self.readers:
                reader.scrape()
            time.sleep(1)


def expect_class(task_id: str, outcome: str) -> str | None:
    """The class of a try, with which the task's id begins; None for a try that did not fail."""
    return task_id.partition("__")[0] if outcome in OUTCOMES else None


def list_wrong(events: Sequence[dict[str, Any]]) -> list[str]:
    """The tries whose class is not what the task's name says."""
    return [
        f"{one['task_id']}, try {one['try_number']} ({one['outcome']}): {one['error_class']}, not {expected}"
        for one in events
        if one["error_class"] != (expected := expect_class(one["task_id"], one["outcome"]))
    ]


def write_report(run: Run) -> str:
    """The table of one Airflow: what each user's exporter said of each failed try."""
    lines = ["| task | try | expected | admin | viewer |", "| --- | --- | --- | --- | --- |"]
    said = [{(e["task_id"], e["try_number"]): e for e in reader.read_events()} for reader in run.readers]
    for (task, number), one in sorted(said[0].items()):
        others = [found.get((task, number), {}).get("error_class") for found in said]
        expected = expect_class(task, one["outcome"])
        lines.append(f"| {task} | {number} | {expected} | " + " | ".join(map(str, others)) + " |")
    return "\n".join(lines)


@pytest.mark.e2e
@pytest.mark.parametrize("version", VERSIONS)
def test_each_failed_try_has_the_class_that_its_task_names(version: str) -> None:
    run = Run(version, FOLDER.resolve() / f"failures-{version}")
    run.play()
    report = write_report(run)
    (FOLDER / f"failures-{version}.md").write_text(f"{report}\n", encoding="utf-8")
    say(f"failures-{version}\n{report}")
    assert [row["task_id"] for row in run.tries if row["state"] != "failed"] == ["network__recovers"]
    assert len(run.tries) > 35
    for reader in run.readers:
        check_reader(reader, run)
    found = sorted({(user, name) for user, name, text in run.texts if SECRET.encode() in text})
    assert found == [], "the secret of a log was written"
    assert {"diagnose", "/metrics", "events.jsonl", "exporter.log", "state.sqlite"} <= {
        name for _, name, _ in run.texts
    }


def check_reader(reader: Reader, run: Run) -> None:
    """One class for each failed try, as expected, at every moment; each log was read."""
    events = reader.read_events()
    assert list_wrong(events) == [], reader.user
    tries = sum(row["try_number"] for row in run.tries)
    assert len({(one["dag_id"], one["task_id"], one["try_number"]) for one in events}) == len(events) == tries
    failures = [one for one in events if one["error_class"] is not None]
    pairs = zip(reader.sums, [*reader.sums[BIRTH_SCRAPES:], *[reader.sums[-1]] * BIRTH_SCRAPES], strict=True)
    too_many = [(one, later) for one, later in pairs if one.by_class > later.failed]
    assert too_many == [], f"{reader.user}: more tries with a class than failed tries"
    assert [one.by_class for one in reader.sums] == sorted(one.by_class for one in reader.sums)
    assert reader.sums[-1] == Sums(len(failures), len(failures)), reader.user
    for dag_id in DAG_IDS:
        by_class = reader.sum_up(BY_CLASS, dag_id=dag_id)
        assert by_class == reader.sum_up(FAILED, dag_id=dag_id) == sum(one["dag_id"] == dag_id for one in failures)
    assert reader.sum_up(LOGS, outcome="forbidden") == 0

"""Every query of dashboards and rules returns data for a real Airflow with the demo's DAGs and others.

    E2E_BOARDS_MINUTES=15 python -m pytest tests/e2e/dashboards -m e2e -s

It ends when all queries that can return data have done so, or after E2E_BOARDS_MINUTES.
Needs PostgreSQL's server programs and Prometheus ($PROMETHEUS_BIN or in PATH).
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import psutil
import pytest
import requests

from demo.airflow import DAGS, Airflow
from demo.preparation import DEMO_POOLS, Pool
from demo.workdir import free_port
from tests.e2e.dashboards.answers import Answer, QueryLog, Question, of_dashboards, of_rules, of_variables
from tests.e2e.dashboards.broker import celery_broker
from tests.e2e.dashboards.expected import ABSENT, reason
from tests.e2e.exactness.console import Console
from tests.e2e.exactness.database import Database
from tests.e2e.exactness.prometheus import Prometheus, find_prometheus
from tests.e2e.exactness.subject import Subject

HERE = Path(__file__).resolve().parent
PROMETHEUS_FILES = HERE.parents[2] / "prometheus"
FOLDER = Path(os.environ.get("E2E_FOLDER", ".e2e"))
MINUTES = float(os.environ.get("E2E_BOARDS_MINUTES", "15"))
VERSION = "3.3.2"
BORROWED = ("e2e_compat.py", "waits.py", "assets.py", "broken.py", "failures.py")
"""DAG files of the exactness test: deferred tasks, asset schedules, an import error, and failures of every kind."""
POOLS = {**DEMO_POOLS, "patient": Pool(2, "deferred tasks hold a slot", include_deferred=True)}
SHARE_EMPTY = 0.1
PAUSE = 20.0
MINUTES_APART = re.compile(r"interval: \d+m")
QUIET_SECONDS = 90.0
"""How long everything runs before the first disturbance."""
AIRFLOW_LABEL = "e2e"
CONFIG = """\
global: {{scrape_interval: 5s, evaluation_interval: 10s}}
rule_files: ["{files}/rules/*.yml", "{files}/alerts/*.yml"]
scrape_configs:
  - job_name: airflow
    static_configs: [{{targets: ["{target}"], labels: {{airflow: {label}}}}}]
"""
VALUES = {
    "airflow": AIRFLOW_LABEL,
    "dag_id": "everything",
    "task_id": "work",
    "owner": ".*",
    "tag": ".*",
    "fleet": ".*",
    "pool": ".*",
    "component": ".*",
    "worker": ".*",
    "__rate_interval": "1m",
    "__range": "15m",
    "__range_s": "900",
}


def say(message: str) -> None:
    """Print progress, past pytest's capture."""
    print(message, file=sys.__stderr__, flush=True)


def gather_dags(folder: Path) -> Path:
    """The demo's DAGs, some of the exactness test's, and ours, in one folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    borrowed = [HERE.parent / "exactness" / "dags" / name for name in BORROWED]
    for file in (*DAGS.glob("*.py"), *borrowed, *(HERE / "dags").glob("*.py")):
        shutil.copy(file, folder)
    return folder


def copy_rules(folder: Path) -> Path:
    """The shipped rules; what is evaluated every five or fifteen minutes is evaluated every minute."""
    shutil.copytree(PROMETHEUS_FILES, folder)
    for file in folder.rglob("*.yml"):
        text = file.read_text(encoding="utf-8")
        file.write_text(MINUTES_APART.sub("interval: 1m", text), encoding="utf-8")
    return folder


class Rig:
    """Airflow, exporter and Prometheus with the shipped rules."""

    def __init__(self, folder: Path) -> None:
        self.statsd_port = free_port()
        settings = {
            "AIRFLOW__METRICS__STATSD_ON": "True",
            "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
            "AIRFLOW__METRICS__STATSD_PORT": str(self.statsd_port),
            "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
            "AIRFLOW__METRICS__LEGACY_NAMES_ON": "False",
            "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": "20",  # for the DAG file that never finishes loading
            # So that tasks of a killed scheduler are found within the run.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "45",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "10",
        }
        dags = gather_dags(folder / "dags")
        self.airflow = Airflow(
            VERSION,
            folder / "airflow",
            database="postgres",
            database_settings=["shared_preload_libraries=pg_stat_statements"],
            dags=dags,
            pools=POOLS,
            settings=settings,
            port=18280,
        )
        self._folder = folder

    @contextmanager
    def running(self, program: str) -> Iterator[tuple[Subject, Prometheus]]:
        """Start everything, and stop it at the end."""
        with ExitStack() as stack:
            stack.callback(self.airflow.down, remove=True)
            self.airflow.up()
            Database(self.airflow.database_url).execute("CREATE EXTENSION pg_stat_statements")
            broker = stack.enter_context(celery_broker(self._folder / "celery"))
            secret = self._folder / "database-url"
            secret.write_text(self.airflow.database_url, encoding="utf-8")
            secret.chmod(0o600)
            sources = (f"--celery.broker-url-file={broker}", f"--database.url-file={secret}")
            subject = Subject(self._folder, [*self._flags(), *sources])
            stack.callback(subject.close)
            subject.start()
            subject.wait_ready()
            config = CONFIG.format(
                files=copy_rules(self._folder / "rules"), target=subject.address, label=AIRFLOW_LABEL
            )
            prometheus = Prometheus(program, self._folder / "prometheus", config)
            stack.callback(prometheus.close)
            prometheus.wait_ready()
            say(f"  Airflow {self.airflow.url}, exporter {subject.address}, Prometheus 127.0.0.1:{prometheus.port}")
            yield subject, prometheus

    def _flags(self) -> list[str]:
        return [
            f"--airflow.url={self.airflow.url}",
            "--airflow.public-url=https://airflow.example.com",
            "--airflow.username=admin",
            f"--airflow.password-file={self.airflow.password_file}",
            "--airflow.interval=10s",
            "--airflow.task-histograms=.*",
            "--collector.statsd",
            "--exposition.birth-hold=6s",
            f"--statsd.listen-udp=127.0.0.1:{self.statsd_port}",
            "--statsd.listen-tcp=",
        ]


def handle(rig: Rig, attempt: int) -> None:
    """Do what an operator does: a backfill of a day, and clearing a run while its task runs."""
    console = Console(rig.airflow)
    day = (datetime.now(UTC) - timedelta(days=attempt)).date().isoformat()
    with suppress(requests.Timeout, requests.HTTPError):  # a DAG has one backfill at a time
        console.backfill("everything", day, day)
    with suppress(requests.Timeout):  # on a busy machine Airflow answers too late, and does it all the same
        run = console.trigger("everything")
        time.sleep(min(4 + 8 * attempt, 60))  # the busier the machine, the later the task runs
        console.clear("everything", run, ["work"])
    console.close()


def disturb(rig: Rig, subject: Subject) -> None:
    """Cause rare events, so that their panels have data: bad StatsD, a wrong password, restarts of Airflow."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"this is no StatsD", ("127.0.0.1", rig.statsd_port))
    with suppress(requests.RequestException):
        requests.get(f"http://{subject.address}/metrics", headers={"Authorization": "Basic bm9ib2R5"}, timeout=5)
    rig.airflow.stop("api-server")
    time.sleep(15)
    rig.airflow.start("api-server", wait=False)
    rig.airflow.stop("scheduler")
    time.sleep(15)
    rig.airflow.start("scheduler", wait=False)
    rig.airflow.wait_ready("api-server", "scheduler")  # on a busy machine it takes minutes


def kill_a_task(rig: Rig) -> None:
    """Kill a running task and its supervisor, so that its heartbeat stops."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for worker in psutil.Process(rig.airflow.processes.pid("scheduler")).children():
            title = " ".join(worker.cmdline())
            if "LocalExecutor: " in title and "idle" not in title:
                for process in (*worker.children(recursive=True), worker):
                    process.kill()
                return
        time.sleep(0.5)


def ask_until_answered(rig: Rig, log: QueryLog, questions: list[Question]) -> list[Answer]:
    """The newest answers, once none is missing or the time is up. Rare events are repeated until then."""
    end = time.monotonic() + MINUTES * 60
    for attempt in count(1):
        handle(rig, attempt)
        kill_a_task(rig)
        answers = log.ask_all(questions)
        missing = [answer for answer in answers if not answer.series and not reason(answer.question.where)]
        if not missing or time.monotonic() > end:
            return answers
        say(f"  {len(missing)} of {len(answers)} queries have no data yet, such as {missing[0].question.where}")
        time.sleep(PAUSE)
    raise AssertionError("counting has no end")


def say_slowest(answers: list[Answer]) -> None:
    """Print the slowest queries."""
    for answer in sorted(answers, key=lambda one: -one.seconds)[:5]:
        say(f"  {answer.seconds * 1000:5.0f} ms  {answer.question.where}")


@pytest.mark.e2e
def test_every_query_of_dashboards_and_rules_returns_data() -> None:
    program = find_prometheus()
    if not program:
        pytest.skip("Prometheus is not installed")
    folder = (FOLDER / "boards").resolve()
    shutil.rmtree(folder, ignore_errors=True)  # a Prometheus with a past would answer from it
    folder.mkdir(parents=True)
    rig = Rig(folder)
    with rig.running(program) as (subject, prometheus):
        log = QueryLog(f"http://127.0.0.1:{prometheus.port}")
        time.sleep(QUIET_SECONDS)
        disturb(rig, subject)
        answers = ask_until_answered(rig, log, [*of_dashboards(VALUES), *of_variables(VALUES), *of_rules()])
        log.close()
    say_slowest(answers)
    empty = [answer.question for answer in answers if not answer.series]
    excused = [question for question in empty if reason(question.where)]
    missing = [question for question in empty if not reason(question.where)]
    say(f"  {len(answers)} queries, {len(answers) - len(empty)} returned data, {len(excused)} are empty as expected")
    for question in excused:
        say(f"    {question.where}: {reason(question.where)}")
    for question in missing:
        say(f"  EMPTY {question.where}: {question.expression}")
    assert not missing
    absent = [question for question in excused if reason(question.where) in ABSENT]
    assert len(excused) - len(absent) <= SHARE_EMPTY * (len(answers) - len(absent))

"""The test environment: a real Airflow with our DAGs, the exporter that reads it through a proxy, and a Prometheus."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from demo.airflow import Airflow
from demo.preparation import Pool
from demo.workdir import free_port
from tests.e2e.exactness.audit import Audit, Cell, Poll, dump, polls
from tests.e2e.exactness.comparison import Verdict, compare
from tests.e2e.exactness.console import Console
from tests.e2e.exactness.database import Database
from tests.e2e.exactness.events import RunContext
from tests.e2e.exactness.gauges import Sampler
from tests.e2e.exactness.prometheus import Prometheus, find_prometheus, scraping
from tests.e2e.exactness.proxy import Proxy
from tests.e2e.exactness.subject import Exposition, Subject

HERE = Path(__file__).resolve().parent
Say = Callable[[str], None]

INTERVAL = 5
BIRTH_HOLD = 6
PARALLELISM = 12
MAX_PARSE_WAIT = 180.0
QUIET_SECONDS = 15.0
"""Seconds without a change after which Airflow counts as quiet."""
MAX_QUIET_WAIT = 300.0
MAX_POLL_WAIT = 600.0
DAG_COUNT = 22
POOLS = {
    "narrow": Pool(3, "few slots for many"),
    "patient": Pool(2, "deferred tasks hold a slot", include_deferred=True),
    "endless": Pool(-1, "no limit"),  # 2.x answers 500 to any list of pools with an unlimited one
}
SETTINGS = {
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",  # nothing may run before the audit is installed
    "AIRFLOW__CORE__PARALLELISM": str(PARALLELISM),
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",  # tasks that an outage orphaned fail within the run
    "AIRFLOW__SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD": "60",
    "AIRFLOW__SCHEDULER__ZOMBIE_DETECTION_INTERVAL": "10",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "10",
    "AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD": "600",  # 3.0 on a busy machine drops DAGs that it parses late
}
CONFIG = """\
airflow:
  intervals: {{dags: 30s}}
  limits: {{parallelism: {parallelism}}}
"""


class Environment(NamedTuple):
    """Everything that runs during a test."""

    context: RunContext
    audit: Audit
    sampler: Sampler
    prometheus: Prometheus | None

    def polls(self, endpoint: str) -> list[Poll]:
        """The polls in which the exporter read an endpoint."""
        return polls(self.context.proxy.exchanges(), endpoint, self.context.subject.unwritten)

    def walks(self) -> dict[str, list[Poll]]:
        """The polls of task instances and those of runs."""
        return {endpoint: self.polls(endpoint) for endpoint in ("/taskInstances", "/dagRuns")}


class AuditedAirflow(NamedTuple):
    """A real Airflow, and the audit that records every change in its database."""

    airflow: Airflow
    console: Console
    database: Database
    audit: Audit


@contextmanager
def start_audited_airflow(
    version: str,
    folder: Path,
    say: Say,
    settings: Mapping[str, str] = SETTINGS,
    *,
    dags: Path = HERE / "dags",
    dag_count: int = DAG_COUNT,
) -> Iterator[AuditedAirflow]:
    """Start an Airflow with paused DAGs and record every change of them; stop and delete it at the end."""
    with ExitStack() as stack:
        airflow = Airflow(
            version,
            folder / "airflow",
            database="postgres",
            dags=dags,
            pools=POOLS,
            settings=dict(settings),
            port=free_port(),
            report=say,
        )
        stack.callback(leave, airflow)
        airflow.up()
        console = Console(airflow)
        stack.callback(console.close)
        database = Database(airflow.database_url)
        audit = Audit(database)
        audit.install()
        wait_until(lambda: len(console.dag_ids()) >= dag_count, MAX_PARSE_WAIT, "the DAGs are parsed")
        yield AuditedAirflow(airflow, console, database, audit)


@contextmanager
def start_environment(version: str, folder: Path, say: Say) -> Iterator[Environment]:
    """Start everything but the exporter; stop everything at the end."""
    with ExitStack() as stack:
        airflow, console, database, audit = stack.enter_context(start_audited_airflow(version, folder, say))
        proxy = Proxy(airflow.url)
        stack.callback(proxy.close)
        subject = Subject(folder, flags(airflow, proxy, folder))
        stack.callback(subject.close)
        program = find_prometheus()
        prometheus = Prometheus(program, folder / "prometheus", scraping(subject.address)) if program else None
        if prometheus:
            stack.callback(prometheus.close)
            prometheus.wait_ready()
        sampler = Sampler(subject, proxy)
        yield Environment(RunContext(airflow, console, database, proxy, subject), audit, sampler, prometheus)


def leave(airflow: Airflow) -> None:
    """Stop and delete Airflow and its database; with $E2E_KEEP the database keeps running, for inspection."""
    if os.environ.get("E2E_KEEP"):
        airflow.stop(*airflow.parts)
    else:
        airflow.down(remove=True)


def flags(airflow: Airflow, proxy: Proxy, folder: Path) -> list[str]:
    """The exporter's command line."""
    config = folder / "exporter.yml"
    config.write_text(CONFIG.format(parallelism=PARALLELISM), encoding="utf-8")
    return [
        f"--config.file={config}",
        f"--airflow.url={proxy.url}",
        "--airflow.username=viewer",
        f"--airflow.password-file={airflow.password_file}",
        f"--airflow.interval={INTERVAL}s",
        f"--exposition.birth-hold={BIRTH_HOLD}s",
        "--log.level=debug",
    ]


def wait_until(done: Callable[[], bool], seconds: float, what: str) -> None:
    """Check every second. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"after {seconds:.0f} s still not true: {what}")
        time.sleep(1)


def wait_until_quiet(console: Console, database: Database, audit: Audit, say: Say) -> float:
    """Pause every DAG and wait until nothing changes any more; returns that time."""
    console.pause_all(True)
    working = "select count(*) from task_instance where state in ('running', 'queued', 'restarting')"

    def is_quiet() -> bool:
        return not database.value(working) and time.time() - audit.last_change() > QUIET_SECONDS

    try:
        wait_until(is_quiet, MAX_QUIET_WAIT, "nothing runs")
    except TimeoutError as error:
        say(f"  {error}; the comparison goes on while rows still change")
    return time.time()


def wait_polls(environment: Environment, since: float) -> None:
    """Wait for complete polls of everything that start after `since`, and for the end of the birth hold."""
    for endpoint, times in (("/taskInstances", 2), ("/dagRuns", 2), ("/pools", 1), ("/dags", 1)):

        def is_read(endpoint: str = endpoint, times: int = times) -> bool:
            return sum(poll.sound and poll.began > since for poll in environment.polls(endpoint)) >= times

        wait_until(is_read, MAX_POLL_WAIT, f"{endpoint} is read again")
    time.sleep(BIRTH_HOLD + 2 * INTERVAL + 2)


def keep(folder: Path, cells: Sequence[Cell], exposition: Exposition, environment: Environment) -> None:
    """Write what is needed to investigate a difference."""
    requests = (json.dumps(exchange) for exchange in environment.context.proxy.exchanges())
    (folder / "requests.jsonl").write_text("\n".join(requests) + "\n", encoding="utf-8")
    (folder / "cells.jsonl").write_text(dump(cells) + "\n", encoding="utf-8")
    wrong = [one.cell for one in compare(cells, exposition) if one.verdict is Verdict.WRONG]
    changes = [row for cell in wrong for row in environment.audit.changes(cell.labels)]
    (folder / "wrong.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in changes), encoding="utf-8")
    lines = (f"{key.name}{dict(sorted(key.labels))} {value!r}" for key, value in exposition.items())
    (folder / "exposition.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

"""One real Airflow with our DAGs, the exporter reading it through a proxy, a Prometheus scraping that."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from demo.airflow import Airflow
from demo.preparation import Pool
from demo.workdir import free_port
from tests.e2e.exactness.audit import Audit, Poll, polls
from tests.e2e.exactness.console import Console
from tests.e2e.exactness.database import Database
from tests.e2e.exactness.events import Stage
from tests.e2e.exactness.gauges import Sampler
from tests.e2e.exactness.prometheus import Prometheus, find_prometheus, scraping
from tests.e2e.exactness.proxy import Proxy
from tests.e2e.exactness.subject import Subject

HERE = Path(__file__).resolve().parent
Say = Callable[[str], None]

INTERVAL = 5
BIRTH_HOLD = 6
PARALLELISM = 12
PARSE_SECONDS = 180.0
QUIET = 15.0
"""Seconds without a change after which nothing runs any more."""
QUIET_SECONDS = 300.0
POLL_SECONDS = 600.0
DAG_COUNT = 22
POOLS = {
    "narrow": Pool(3, "few slots for many"),
    "patient": Pool(2, "whoever waits holds a slot", include_deferred=True),
    "endless": Pool(-1, "no limit"),  # 2.x answers 500 to any list of pools that holds such a one
}
SETTINGS = {
    "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",  # nothing may run before the audit watches
    "AIRFLOW__CORE__PARALLELISM": str(PARALLELISM),
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",  # what an outage orphaned is found within the run
    "AIRFLOW__SCHEDULER__SCHEDULER_ZOMBIE_TASK_THRESHOLD": "60",
    "AIRFLOW__SCHEDULER__ZOMBIE_DETECTION_INTERVAL": "10",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "10",
}
CONFIG = """\
airflow:
  intervals: {{dags: 30s}}
  limits: {{parallelism: {parallelism}}}
"""


class Arena(NamedTuple):
    """Everything that runs."""

    stage: Stage
    audit: Audit
    sampler: Sampler
    prometheus: Prometheus | None

    def polls(self, endpoint: str) -> list[Poll]:
        """When the exporter read an endpoint."""
        return polls(self.stage.proxy.exchanges(), endpoint, self.stage.subject.kills)

    def walks(self) -> dict[str, list[Poll]]:
        """When it read task instances and when it read runs."""
        return {endpoint: self.polls(endpoint) for endpoint in ("/taskInstances", "/dagRuns")}


class Ground(NamedTuple):
    """A real Airflow, and what watches it."""

    airflow: Airflow
    console: Console
    database: Database
    audit: Audit


@contextmanager
def open_ground(version: str, folder: Path, say: Say, settings: Mapping[str, str] = SETTINGS) -> Iterator[Ground]:
    """Start an Airflow with paused DAGs, every change of which is written down; stop and delete it at the end."""
    with ExitStack() as stack:
        airflow = Airflow(
            version,
            folder / "airflow",
            database="postgres",
            dags=HERE / "dags",
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
        wait_until(lambda: len(console.dag_ids()) >= DAG_COUNT, PARSE_SECONDS, "the DAGs are parsed")
        yield Ground(airflow, console, database, audit)


@contextmanager
def open_arena(version: str, folder: Path, say: Say) -> Iterator[Arena]:
    """Start an Airflow and all that reads it, but not yet the exporter; stop everything at the end."""
    with ExitStack() as stack:
        airflow, console, database, audit = stack.enter_context(open_ground(version, folder, say))
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
        yield Arena(Stage(airflow, console, database, proxy, subject), audit, sampler, prometheus)


def leave(airflow: Airflow) -> None:
    """Stop and delete Airflow and its database; with $E2E_KEEP the database stays up, to be looked at."""
    if os.environ.get("E2E_KEEP"):
        airflow.stop(*airflow.parts)
    else:
        airflow.down(remove=True)


def flags(airflow: Airflow, proxy: Proxy, folder: Path) -> list[str]:
    """How the exporter is started."""
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
    """Ask every second."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds:.0f} s in vain until {what}")
        time.sleep(1)


def calm_down(console: Console, database: Database, audit: Audit, say: Say) -> float:
    """Pause every DAG and wait until nothing changes any more; since when."""
    console.pause_all(True)
    working = "select count(*) from task_instance where state in ('running', 'queued', 'restarting')"

    def is_quiet() -> bool:
        return not database.value(working) and time.time() - audit.last_change() > QUIET

    try:
        wait_until(is_quiet, QUIET_SECONDS, "nothing runs")
    except TimeoutError as error:
        say(f"  {error}; what changes on is compared all the same")
    return time.time()


def wait_polls(arena: Arena, since: float) -> None:
    """Wait for two complete polls of everything that begin after a moment, and until what is new is shown."""
    for endpoint, times in (("/taskInstances", 2), ("/dagRuns", 2), ("/pools", 1), ("/dags", 1)):

        def is_read(endpoint: str = endpoint, times: int = times) -> bool:
            return sum(poll.sound and poll.began > since for poll in arena.polls(endpoint)) >= times

        wait_until(is_read, POLL_SECONDS, f"{endpoint} is read anew")
    time.sleep(BIRTH_HOLD + 2 * INTERVAL + 2)

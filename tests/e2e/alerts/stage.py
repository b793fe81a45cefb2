"""A real Airflow, the exporter reading it, Prometheus with the shipped rules, Alertmanager with the shipped routes."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import yaml

from demo.airflow import Airflow
from demo.environment import Executor
from demo.preparation import Pool
from demo.workdir import free_port
from tests.alertmanager.server import Alertmanager, Config, Inbox, find_program, readdressed, shipped_config
from tests.e2e.alerts import overrides
from tests.e2e.alerts.history import NAME as HISTORY
from tests.e2e.alerts.history import LeakingWorker
from tests.e2e.exactness.console import Console
from tests.e2e.exactness.database import Database
from tests.e2e.exactness.environment import leave, wait_until
from tests.e2e.exactness.prometheus import Prometheus, find_prometheus
from tests.e2e.exactness.subject import Subject

NAME = "e2e"
"""The label `airflow` of what our exporter tells."""
DATABASE_URL = "database-url"
"""The file with the URL of the metadata database."""
PARSE_SECONDS = 180.0
Say = Callable[[str], None]


class Plan(NamedTuple):
    """What differs between the two proofs."""

    version: str
    port: int
    dags: Path
    pools: Mapping[str, Pool]
    settings: Mapping[str, str]
    exporter_flags: tuple[str, ...]
    exporter_config: str
    change_rules: Callable[[overrides.Rules], overrides.Rules]
    change_routes: Callable[[Config], Config]
    seconds: int | None
    """Between two scrapes and evaluations, where they are not those of the shipped configuration."""
    executor: Executor = "LocalExecutor"
    user: str = "viewer"
    """Of Airflow, as whom the exporter reads."""
    exporter_module: str = "exporter"
    """What is run as the exporter."""
    reads_database: bool = False
    """Whether the exporter reads the metadata database, too."""


class Stage(NamedTuple):
    """Everything that runs, and where orders and DAG files lie."""

    airflow: Airflow
    console: Console
    exporter: Subject
    statsd_port: int
    prometheus: Prometheus
    alertmanager: Alertmanager
    inbox: Inbox
    orders: Path
    dags: Path


def programs_missing() -> list[str]:
    """What must be installed and is not."""
    found = {
        "prometheus": find_prometheus(),
        "alertmanager": find_program("alertmanager"),
        "promtool": shutil.which("promtool"),
    }
    return [name for name, path in found.items() if not path]


@contextmanager
def open_stage(plan: Plan, folder: Path, say: Say, worker: LeakingWorker | None = None) -> Iterator[Stage]:
    """Start all of it; stop all of it at the end. Of a worker Prometheus has the history, and goes on scraping it."""
    with ExitStack() as stack:
        orders, dags = fresh(folder / "orders"), folder / "dags"
        shutil.rmtree(dags, ignore_errors=True)
        shutil.copytree(plan.dags, dags, ignore=shutil.ignore_patterns("__pycache__"))
        port = free_port()
        airflow = start_airflow(plan, folder, port, say)
        stack.callback(leave, airflow)
        airflow.up()
        if plan.reads_database:
            add_reader(airflow, folder)
        console = Console(airflow)
        stack.callback(console.close)
        exporter = Subject(folder / "exporter", exporter_flags(plan, airflow, folder, port), plan.exporter_module)
        stack.callback(exporter.close)
        exporter.start()
        exporter.wait_ready()
        inbox = Inbox(folder / "inbox")
        stack.callback(inbox.close)
        alertmanager = start_alertmanager(plan, folder, inbox)
        stack.callback(alertmanager.close)
        targets = {exporter.address: NAME}
        place = fresh(folder / "prometheus")
        if worker:
            targets[worker.address] = HISTORY
            worker.write_history(place / "data", place / "history.txt")
        prometheus = start_prometheus(plan, place, targets, alertmanager.address)
        stack.callback(prometheus.close)
        prometheus.wait_ready()
        alertmanager.wait_ready()
        wanted = len(list(plan.dags.glob("*.py")))
        wait_until(lambda: len(console.dag_ids()) >= wanted, PARSE_SECONDS, "the DAGs are parsed")
        yield Stage(airflow, console, exporter, port, prometheus, alertmanager, inbox, orders, dags)


def fresh(folder: Path) -> Path:
    """The folder, made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def start_airflow(plan: Plan, folder: Path, statsd_port: int, say: Say) -> Airflow:
    """An Airflow that sends StatsD to the exporter."""
    settings = {
        "AIRFLOW__METRICS__STATSD_ON": "True",
        "AIRFLOW__METRICS__STATSD_HOST": "127.0.0.1",
        "AIRFLOW__METRICS__STATSD_PORT": str(statsd_port),
        "AIRFLOW__METRICS__STATSD_INFLUXDB_ENABLED": "True",
        "E2E_ORDERS": str(folder / "orders"),
        **plan.settings,
    }
    return Airflow(
        plan.version,
        folder / "airflow",
        database="postgres",
        executor=plan.executor,
        dags=folder / "dags",
        pools=plan.pools,
        settings=settings,
        port=plan.port,
        report=say,
    )


def exporter_flags(plan: Plan, airflow: Airflow, folder: Path, statsd_port: int) -> list[str]:
    """How the exporter is started: all three sources."""
    config = folder / "exporter.yml"
    config.write_text(plan.exporter_config, encoding="utf-8")
    return [
        f"--config.file={config}",
        f"--airflow.url={airflow.url}",
        f"--airflow.username={plan.user}",
        f"--airflow.password-file={airflow.password_file}",
        "--collector.statsd",
        f"--statsd.listen-udp=127.0.0.1:{statsd_port}",
        "--statsd.listen-tcp=",
        f"--statsd.release={airflow.version}",
        *celery_flags(airflow, folder),
        *([f"--database.url-file={folder / DATABASE_URL}", "--database.interval=5s"] if plan.reads_database else ()),
        *plan.exporter_flags,
    ]


def celery_flags(airflow: Airflow, folder: Path) -> list[str]:
    """How the exporter reads the broker, where there is one."""
    if airflow.executor != "CeleryExecutor":
        return []
    file = folder / "broker-url"
    file.write_text(airflow.environ()["AIRFLOW__CELERY__BROKER_URL"], encoding="utf-8")
    return [f"--celery.broker-url-file={file}"]


def add_reader(airflow: Airflow, folder: Path) -> None:
    """Give the exporter a user of its own in the metadata database, with the least rights."""
    password = secrets.token_urlsafe(16)
    role = f"CREATE ROLE exporter LOGIN PASSWORD '{password}'; GRANT pg_monitor TO exporter;"
    Database(airflow.database_url).execute(role)
    address = urlsplit(airflow.database_url)
    file = folder / DATABASE_URL
    file.touch(mode=0o600)
    file.write_text(f"postgresql://exporter:{password}@{address.hostname}:{address.port}{address.path}")


def start_alertmanager(plan: Plan, folder: Path, inbox: Inbox) -> Alertmanager:
    """The shipped routes, with our inbox in the place of the local receiver."""
    config = readdressed(plan.change_routes(shipped_config()), inbox.address)
    program = find_program("alertmanager")
    assert program
    return Alertmanager(program, fresh(folder / "alertmanager"), config)


def start_prometheus(plan: Plan, place: Path, targets: Mapping[str, str], alertmanager: str) -> Prometheus:
    """The shipped rules on a real Prometheus; history that lies in its folder already is taken up."""
    overrides.write_rules(place, plan.change_rules)
    config = overrides.prometheus_config(targets, alertmanager, plan.seconds)
    program = find_prometheus()
    assert program
    return Prometheus(program, place, yaml.safe_dump(config, sort_keys=False))

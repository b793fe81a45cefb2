"""The readers of what concerns an Airflow as a whole."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

from exporter.metrics.catalogue.api import instance
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Reading
from exporter.sources.airflow.api.models import BrokenFile, Component, Job
from exporter.sources.airflow.api.protocol import Airflow
from exporter.sources.airflow.shared import Overview

COMPONENT_OF_JOB = {"SchedulerJob": "scheduler", "TriggererJob": "triggerer", "DagProcessorJob": "dag_processor"}
FRESH = 60.0
"""How old a live job's heartbeat may be, in seconds: Airflow's own limit is 30 by default."""

LIMITS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "parallelism": (("core", "parallelism"),),
    "worker_concurrency": (("celery", "worker_concurrency"),),
    "triggerer_capacity": (("triggerer", "capacity"), ("triggerer", "default_capacity")),
}
"""Where Airflow's configuration has each limit; the newer place first."""
EXECUTOR = ("core", "executor")
"""Where it names the executors."""


class HealthReader:
    """Reads health and version."""

    name = "health"
    help = "Health and heartbeats of Airflow's components, its version"
    families: Sequence[Family] = (instance.INFO, instance.COMPONENT_HEALTHY, instance.COMPONENT_LAST_HEARTBEAT)

    def __init__(self, airflow: Airflow, interval: float) -> None:
        self.interval = interval
        self._airflow = airflow

    def read(self) -> Reading:
        """Read once. Raises ReaderError."""
        return Reading(health_tables(self._airflow.health()) | {instance.INFO: {(self._airflow.version,): 1}})


def health_tables(components: Sequence[Component]) -> dict[Family, dict[Labels, float]]:
    """What the health reply says; a part that is null there is absent, for it is unknown."""
    told = [part for part in components if part.status is not None]
    return {
        instance.COMPONENT_HEALTHY: {(part.name,): int(part.status == "healthy") for part in told},
        instance.COMPONENT_LAST_HEARTBEAT: {
            (part.name,): part.heartbeat for part in components if part.heartbeat is not None
        },
    }


class JobsReader:
    """Reads which schedulers, triggerers and DAG processors live (3.x)."""

    name = "jobs"
    help = "Live schedulers, triggerers and DAG processors (3.x)"
    families: Sequence[Family] = (instance.COMPONENT_INSTANCES,)

    def __init__(self, airflow: Airflow, overview: Overview, interval: float) -> None:
        self.interval = interval
        self._airflow = airflow
        self._overview = overview

    def read(self) -> Reading:
        """Read once. Raises ReaderError."""
        jobs = self._airflow.jobs()
        if jobs is None:
            return Reading(notes=["this Airflow's API has no jobs"])
        alive = count_alive(jobs, self._airflow.server_time())
        self._overview.live_schedulers = alive["scheduler"]
        return Reading({instance.COMPONENT_INSTANCES: {(name,): alive[name] for name in COMPONENT_OF_JOB.values()}})


def count_alive(jobs: Sequence[Job], now: float) -> Counter[str]:
    """How many instances of each component have a fresh heartbeat: the list holds dead jobs too."""
    return Counter(
        COMPONENT_OF_JOB[job.job_type]
        for job in jobs
        if job.job_type in COMPONENT_OF_JOB and job.heartbeat is not None and now - job.heartbeat <= FRESH
    )


class ImportErrorsReader:
    """Reads which DAG files cannot be imported."""

    name = "import_errors"
    help = "DAG files that cannot be imported"
    families: Sequence[Family] = (instance.IMPORT_ERRORS, instance.IMPORT_ERROR_TIMESTAMP)

    def __init__(self, airflow: Airflow, overview: Overview, interval: float) -> None:
        self.interval = interval
        self._airflow = airflow
        self._overview = overview

    def read(self) -> Reading:
        """Read once. Raises ReaderError."""
        broken = self._airflow.import_errors()
        self._overview.directory.tell_files("import_errors", ((file.bundle, file.file) for file in broken))
        return Reading(import_error_tables(broken))


def import_error_tables(files: Sequence[BrokenFile]) -> dict[Family, dict[Labels, float]]:
    """One series a broken file; of two errors of one file the newer counts."""
    newest: dict[Labels, float] = {}
    for file in files:
        labels = (file.bundle, file.file)
        newest[labels] = max(file.timestamp or 0.0, newest.get(labels, 0.0))
    return {instance.IMPORT_ERRORS: {(): len(newest)}, instance.IMPORT_ERROR_TIMESTAMP: newest}


class DagWarningsReader:
    """Reads warnings about DAGs."""

    name = "dag_warnings"
    help = "Warnings about DAGs"
    families: Sequence[Family] = (instance.DAG_WARNINGS,)

    def __init__(self, airflow: Airflow, interval: float) -> None:
        self.interval = interval
        self._airflow = airflow

    def read(self) -> Reading:
        """Read once. Raises ReaderError."""
        types: Counter[Labels] = Counter((warning.warning_type,) for warning in self._airflow.dag_warnings())
        return Reading({instance.DAG_WARNINGS: dict(types)})


class ConfigReader:
    """Reads the limits of the whole Airflow from its configuration, or takes them from ours."""

    name = "config"
    help = "Parallelism, executors, worker concurrency and triggerer capacity"
    families: Sequence[Family] = (
        instance.PARALLELISM_SLOTS,
        instance.EXECUTOR_INFO,
        instance.WORKER_CONCURRENCY,
        instance.TRIGGERER_CAPACITY,
    )

    def __init__(self, airflow: Airflow, overview: Overview, limits: Mapping[str, float], interval: float) -> None:
        self.interval = interval
        self._airflow = airflow
        self._overview = overview
        self._limits = limits

    def read(self) -> Reading:
        """Read once. Raises ReaderError."""
        told = self._airflow.config()
        if told is not None:
            self._overview.directory.tell_metrics(
                {key: told[section, key] for section, key in told if section == "metrics"}
            )
        limits = dict(self._limits) | find_limits(told or {})
        notes = [] if told is not None else ["/config is closed: limits come from the exporter's configuration"]
        tables = limit_tables(limits, self._overview.live_schedulers)
        tables[instance.EXECUTOR_INFO] = executor_table((told or {}).get(EXECUTOR, ""))
        return Reading(tables, notes=notes)


def find_limits(config: Mapping[tuple[str, str], str]) -> dict[str, float]:
    """The limits that Airflow's configuration tells; of an autoscaled worker ("16,4") the upper one."""
    limits = {}
    for name, places in LIMITS.items():
        text = next((config[place] for place in places if place in config), "")
        head = text.split(",")[0].strip()
        if head.lstrip("-").isdecimal():
            limits[name] = float(head)
    return limits


def limit_tables(limits: Mapping[str, float], schedulers: int | None) -> dict[Family, dict[Labels, float]]:
    """The limit families; parallelism holds for each scheduler, and 0 is unlimited."""
    tables: dict[Family, dict[Labels, float]] = {family: {} for family in ConfigReader.families}
    if "parallelism" in limits:
        each = limits["parallelism"] or math.inf
        count = limits.get("schedulers", 1) if schedulers is None else schedulers
        tables[instance.PARALLELISM_SLOTS][()] = each * count if count else 0
    if "worker_concurrency" in limits:
        tables[instance.WORKER_CONCURRENCY][()] = limits["worker_concurrency"]
    if "triggerer_capacity" in limits:
        tables[instance.TRIGGERER_CAPACITY][()] = limits["triggerer_capacity"]
    return tables


def executor_table(setting: str) -> dict[Labels, float]:
    """The executors that `[core] executor` names, as Airflow reads it.

    A list separated by commas, the default first; `;` separates the lists of teams, each as `team=list`. An executor
    is a class name, the path of a class, or `alias:` and one of these.
    """
    table: dict[Labels, float] = {}
    for part in setting.split(";"):
        team, _, names = part.rpartition("=")
        for number, name in enumerate(filter(None, (name.strip() for name in names.split(",")))):
            class_name = name.rpartition(":")[2].rpartition(".")[2]
            table[class_name, team.strip(), "true" if number == 0 else "false"] = 1
    return table

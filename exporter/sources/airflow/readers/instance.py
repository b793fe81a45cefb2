"""The readers of what concerns an Airflow as a whole: health, jobs, limits, import errors, DAG warnings."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial

from exporter.metrics.catalogue.api import instance
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Reading
from exporter.sources.airflow import executors
from exporter.sources.airflow.api.objects import config, dag_warnings, health, import_errors, jobs
from exporter.sources.airflow.api.objects.dag_warnings import DagWarning
from exporter.sources.airflow.api.objects.health import Component
from exporter.sources.airflow.api.objects.import_errors import BrokenFile
from exporter.sources.airflow.api.objects.jobs import Job
from exporter.sources.airflow.reader import RARE_INTERVAL, SLOW_INTERVAL, ApiReader, ReaderContext
from exporter.sources.airflow.shared import AirflowState

COMPONENT_OF_JOB = {"SchedulerJob": "scheduler", "TriggererJob": "triggerer", "DagProcessorJob": "dag_processor"}
MAX_HEARTBEAT_AGE = 60.0
"""Seconds since the heartbeat up to which a job counts as alive: Airflow's limit is 30 by default."""

LIMITS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "parallelism": (("core", "parallelism"),),
    "worker_concurrency": (("celery", "worker_autoscale"), ("celery", "worker_concurrency")),
    "triggerer_capacity": (("triggerer", "capacity"), ("triggerer", "default_capacity")),
}
"""Where Airflow's configuration has each limit; the place that counts if both are set first."""
POOL = "database_connections_per_process"
EXECUTOR = ("core", "executor")
"""Where it names the executors."""


class HealthReader(ApiReader):
    """Reads health and version."""

    name = "health"
    help = "Health and heartbeats of Airflow's components, its version"
    families = (instance.INFO, instance.COMPONENT_HEALTHY, instance.COMPONENT_LAST_HEARTBEAT)
    checks = (health.CHECK,)

    def __init__(self, read_health: Callable[[], Sequence[Component]], version: str, interval: float) -> None:
        self.interval = interval
        self._read_health = read_health
        self._version = version

    @classmethod
    def build(cls, context: ReaderContext, interval: float) -> HealthReader:
        """A reader for the Airflow that is connected now."""
        return cls(partial(health.read_health, context.airflow), context.airflow.version, interval)

    def read(self) -> Reading:
        """Read once. Raises ReaderError."""
        return Reading(health_tables(self._read_health()) | {instance.INFO: {(self._version,): 1}})


def health_tables(components: Sequence[Component]) -> dict[Family, dict[Labels, float]]:
    """The families of the health reply; a component that is null there is absent, because its health is unknown."""
    known = [part for part in components if part.status is not None]
    return {
        instance.COMPONENT_HEALTHY: {(part.name,): int(part.status == "healthy") for part in known},
        instance.COMPONENT_LAST_HEARTBEAT: {
            (part.name,): part.heartbeat for part in components if part.heartbeat is not None
        },
    }


class JobsReader(ApiReader):
    """Reads which schedulers, triggerers and DAG processors live (3.x)."""

    name = "jobs"
    help = "Live schedulers, triggerers and DAG processors (3.x)"
    families = (instance.COMPONENT_INSTANCES,)
    min_interval = SLOW_INTERVAL
    checks = (jobs.CHECK,)

    def __init__(
        self,
        read_jobs: Callable[[], Sequence[Job] | None],
        server_time: Callable[[], float],
        shared: AirflowState,
        interval: float,
    ) -> None:
        """`server_time` is Airflow's clock in Unix seconds."""
        self.interval = interval
        self._read_jobs = read_jobs
        self._server_time = server_time
        self._shared = shared

    @classmethod
    def build(cls, context: ReaderContext, interval: float) -> JobsReader:
        """A reader for the Airflow that is connected now."""
        airflow = context.airflow
        return cls(partial(jobs.read_jobs, airflow), airflow.server_time, context.shared, interval)

    def read(self) -> Reading:
        """Read once. Raises ReaderError."""
        found = self._read_jobs()
        if found is None:
            return Reading(notes=["this Airflow's API has no jobs"])
        alive = count_alive(found, self._server_time())
        self._shared.live_schedulers = alive["scheduler"]
        self._shared.live_triggerers = alive["triggerer"]
        return Reading({instance.COMPONENT_INSTANCES: {(name,): alive[name] for name in COMPONENT_OF_JOB.values()}})


def count_alive(found: Sequence[Job], now: float) -> Counter[str]:
    """How many instances of each component have a fresh heartbeat: the list holds dead jobs too."""
    return Counter(
        COMPONENT_OF_JOB[job.job_type]
        for job in found
        if job.job_type in COMPONENT_OF_JOB and job.heartbeat is not None and now - job.heartbeat <= MAX_HEARTBEAT_AGE
    )


class ImportErrorsReader(ApiReader):
    """Reads which DAG files cannot be imported."""

    name = "import_errors"
    help = "DAG files that cannot be imported"
    families = (instance.IMPORT_ERRORS, instance.IMPORT_ERROR_TIMESTAMP)
    min_interval = SLOW_INTERVAL
    checks = (import_errors.CHECK,)

    def __init__(
        self, read_import_errors: Callable[[], Sequence[BrokenFile]], shared: AirflowState, interval: float
    ) -> None:
        self.interval = interval
        self._read_import_errors = read_import_errors
        self._shared = shared

    @classmethod
    def build(cls, context: ReaderContext, interval: float) -> ImportErrorsReader:
        """A reader for the Airflow that is connected now."""
        return cls(partial(import_errors.read_import_errors, context.airflow), context.shared, interval)

    def read(self) -> Reading:
        """Read once. Raises ReaderError."""
        broken = self._read_import_errors()
        self._shared.broken_files = frozenset((file.bundle, file.file) for file in broken)
        self._shared.directory.set_files("import_errors", ((file.bundle, file.file) for file in broken))
        return Reading(import_error_tables(broken))


def import_error_tables(files: Sequence[BrokenFile]) -> dict[Family, dict[Labels, float]]:
    """One series a broken file; of two errors of one file the newer counts."""
    newest: dict[Labels, float] = {}
    for file in files:
        labels = (file.bundle, file.file)
        newest[labels] = max(file.timestamp or 0.0, newest.get(labels, 0.0))
    return {instance.IMPORT_ERRORS: {(): len(newest)}, instance.IMPORT_ERROR_TIMESTAMP: newest}


class DagWarningsReader(ApiReader):
    """Reads warnings about DAGs."""

    name = "dag_warnings"
    help = "Warnings about DAGs"
    families = (instance.DAG_WARNINGS,)
    min_interval = SLOW_INTERVAL
    checks = (dag_warnings.CHECK,)

    def __init__(self, read_dag_warnings: Callable[[], Sequence[DagWarning]], interval: float) -> None:
        self.interval = interval
        self._read_dag_warnings = read_dag_warnings

    @classmethod
    def build(cls, context: ReaderContext, interval: float) -> DagWarningsReader:
        """A reader for the Airflow that is connected now."""
        return cls(partial(dag_warnings.read_dag_warnings, context.airflow), interval)

    def read(self) -> Reading:
        """Read once. Raises ReaderError."""
        types: Counter[Labels] = Counter((warning.warning_type,) for warning in self._read_dag_warnings())
        return Reading({instance.DAG_WARNINGS: dict(types)})


class ConfigReader(ApiReader):
    """Reads the limits of the whole Airflow from its configuration, or takes them from ours."""

    name = "config"
    help = "Parallelism, executors, worker concurrency, triggerer capacity and the pool of database connections"
    families = (
        instance.PARALLELISM_SLOTS,
        instance.EXECUTOR_INFO,
        instance.WORKER_CONCURRENCY,
        instance.TRIGGERER_CAPACITY,
        instance.DATABASE_CONNECTIONS,
    )
    needs = ("jobs",)
    min_interval = RARE_INTERVAL
    checks = (config.CHECK,)

    def __init__(
        self,
        read_config: Callable[[], Mapping[tuple[str, str], str] | None],
        shared: AirflowState,
        limits: Mapping[str, float],
        interval: float,
    ) -> None:
        """`limits` are those of the exporter's configuration, by name: used where Airflow hides its own."""
        self.interval = interval
        self._read_config = read_config
        self._shared = shared
        self._limits = limits

    @classmethod
    def build(cls, context: ReaderContext, interval: float) -> ConfigReader:
        """A reader for the Airflow that is connected now."""
        read = partial(config.read_config, context.airflow)
        return cls(read, context.shared, context.settings.limits, interval)

    def read(self) -> Reading:
        """Read once. Raises ReaderError."""
        found = self._read_config()
        if found is not None:
            self._shared.directory.set_metrics_config(
                {key: found[section, key] for section, key in found if section == "metrics"}
            )
        limits = dict(self._limits) | read_limits(found or {})
        notes = [] if found is not None else ["Airflow hides its configuration: limits come from the exporter's"]
        tables = limit_tables(limits, self._shared.live_schedulers)
        named = list(executors.parse_executors((found or {}).get(EXECUTOR, "")))
        tables[instance.EXECUTOR_INFO] = executors.build_table(named)
        self._shared.scheduler_parallelism = get_parallelism(limits)
        self._shared.triggerer_capacity = limits.get("triggerer_capacity")
        self._shared.executors = executors.list_class_names(named)
        self._shared.executor_aliases = executors.map_aliases(named)
        return Reading(tables, notes=notes)


def read_limits(settings: Mapping[tuple[str, str], str]) -> dict[str, float]:
    """The limits in Airflow's configuration; of an autoscaled worker ("16,4") the upper one, as Celery takes it."""
    limits = {}
    for name, places in LIMITS.items():
        text = next((settings[place] for place in places if settings.get(place)), "")
        with suppress(ValueError):
            limits[name] = float(max(map(int, text.split(","))))
    return limits | read_pool(settings)


def read_pool(settings: Mapping[tuple[str, str], str]) -> dict[str, float]:
    """How many connections the pool of one process may hold; 0 and -1 are unlimited."""
    size, overflow = (settings.get(("database", f"sql_alchemy_{key}"), "") for key in ("pool_size", "max_overflow"))
    is_used = settings.get(("database", "sql_alchemy_pool_enabled"), "").lower() != "false"
    if not is_used or not size.isdecimal() or not overflow.lstrip("-").isdecimal():
        return {}
    is_limited = int(size) > 0 and int(overflow) >= 0
    return {POOL: float(size) + float(overflow) if is_limited else math.inf}


def get_parallelism(limits: Mapping[str, float]) -> float | None:
    """The slots of each executor for one scheduler: 0 is unlimited. None where they are not known."""
    return limits["parallelism"] or math.inf if "parallelism" in limits else None


def limit_tables(limits: Mapping[str, float], schedulers: int | None) -> dict[Family, dict[Labels, float]]:
    """The limit families; parallelism holds for each scheduler."""
    tables: dict[Family, dict[Labels, float]] = {family: {} for family in ConfigReader.families}
    each = get_parallelism(limits)
    if each is not None:
        count = 1 if schedulers is None else schedulers
        tables[instance.PARALLELISM_SLOTS][()] = each * count if count else 0
    if "worker_concurrency" in limits:
        tables[instance.WORKER_CONCURRENCY][()] = limits["worker_concurrency"]
    if "triggerer_capacity" in limits:
        tables[instance.TRIGGERER_CAPACITY][()] = limits["triggerer_capacity"]
    if POOL in limits:
        tables[instance.DATABASE_CONNECTIONS][()] = limits[POOL]
    return tables

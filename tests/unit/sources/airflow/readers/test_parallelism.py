"""Parallelism and the number of live schedulers: what the readers of both share, as the diagnosis sees it."""

from __future__ import annotations

import math

from exporter.diagnosis.findings import Finding
from exporter.metrics.catalogue.api import instance, object_limits
from exporter.metrics.reading import Reading
from exporter.sources.airflow.api.objects.jobs import Job
from exporter.sources.airflow.api.objects.pools import Pool
from exporter.sources.airflow.api.paging import Rows
from exporter.sources.airflow.readers.instance import ConfigReader, JobsReader
from exporter.sources.airflow.readers.waits import WaitsReader
from exporter.sources.airflow.shared import AirflowState
from exporter.sources.airflow.waits.asks import Asks
from exporter.store.persistence.state_file import StateFile
from tests.unit.diagnosis.rows import NOW, run, task


class Airflow:
    """One scheduled task instance that no pool stops."""

    def __init__(self, parallelism: str = "32") -> None:
        self.shared = AirflowState()
        self.shared.pools = {"default_pool": Pool(name="default_pool", slots=128)}
        self.shared.active_tasks = [task("scheduled", scheduled_when=NOW - 30)]
        self.shared.active_dag_runs = [run()]
        self.shared.tasks_read_at = NOW
        self.schedulers = 0
        self.config = ConfigReader(lambda: {("core", "parallelism"): parallelism}, self.shared, {}, 300.0)
        self.jobs = JobsReader(self.list_jobs, lambda: NOW, self.shared, 60.0)
        asks = Asks(lambda *_: (), lambda *_: Rows(), lambda _: (), lambda _: (), lambda _: None)
        self.waits = WaitsReader(self.shared, (3, 3, 2), 10.0, complete=True, asks=asks, memory=StateFile())

    def list_jobs(self) -> list[Job]:
        return [Job(id=number, job_type="SchedulerJob", heartbeat=NOW) for number in range(self.schedulers)]

    def start(self, schedulers: int) -> None:
        self.schedulers = schedulers
        self.jobs.read()

    def diagnose(self) -> list[Finding]:
        self.waits.read()
        assert self.shared.directory.diagnosis is not None
        return list(self.shared.directory.diagnosis.findings)

    def configure(self) -> Reading:
        return self.config.read()


def test_without_a_live_scheduler_tasks_wait_for_it_and_no_limit() -> None:
    airflow = Airflow()
    airflow.start(0)
    assert airflow.configure().tables[instance.PARALLELISM_SLOTS] == {(): 0}
    [found] = airflow.diagnose()
    assert (found.reason.name, found.limit) == ("scheduler", None)
    assert not any(airflow.waits.read().tables[family] for family in object_limits.FAMILIES)
    assert "parallelism" not in found.suggestion


def test_the_number_of_schedulers_is_that_of_now_not_of_when_the_configuration_was_read() -> None:
    airflow = Airflow()
    airflow.start(0)
    airflow.configure()
    airflow.start(1)
    airflow.shared.active_tasks = [task("running", f"r{number}") for number in range(32)] + [task("scheduled", "a")]
    [found] = airflow.diagnose()
    assert (found.reason.name, found.limit) == ("parallelism", 32)
    airflow.start(2)
    assert [one.reason.name for one in airflow.diagnose()] == ["scheduler"]


def share(parallelism: str, schedulers: int | None) -> float | None:
    airflow = Airflow(parallelism)
    airflow.configure()
    if schedulers is not None:
        airflow.start(schedulers)
    return airflow.shared.parallelism


def test_parallelism_that_is_unlimited_or_not_known() -> None:
    assert Airflow().shared.parallelism is None
    assert share("0", 2) == math.inf
    assert share("0", 0) is None


def test_where_schedulers_cannot_be_counted_one_is_assumed() -> None:
    assert share("32", None) == 32

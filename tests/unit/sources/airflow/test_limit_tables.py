"""Limits with their size, use, holders and a value to try; what has no limit has no series."""

from __future__ import annotations

from exporter.diagnosis.findings import build_findings
from exporter.diagnosis.waits.waiting import explain
from exporter.metrics.catalogue.api import object_limits
from exporter.metrics.family import Family, Labels
from exporter.sources.airflow.api.objects.dags import Dag
from exporter.sources.airflow.api.objects.pools import Pool
from exporter.sources.airflow.api.objects.task_instances import TaskInstance
from exporter.sources.airflow.limit_tables import build_limit_tables
from tests.unit.diagnosis.rows import situation, task

POOL = ("pool", "narrow")


def tables_of(*rows: TaskInstance, slots: int = 2) -> dict[Family, dict[Labels, float]]:
    pools = {"narrow": Pool(name="narrow", slots=slots), "default_pool": Pool(name="default_pool", slots=128)}
    dags = {"orders": Dag(dag_id="orders", max_active_runs=16, max_active_tasks=2)}
    given = situation(*rows, pools=pools, dags=dags)
    return build_limit_tables(build_findings(given, explain(given)))


def test_a_full_pool_has_all_four() -> None:
    running = [task("running", f"r{number}", pool="narrow", dag_id="moves") for number in range(2)]
    tables = tables_of(*running, task("scheduled", pool="narrow"))
    assert tables == {
        object_limits.LIMIT: {POOL: 2},
        object_limits.USED: {POOL: 2},
        object_limits.SUGGESTED: {POOL: 3},
        object_limits.HELD: {(*POOL, "moves"): 2},
    }


def test_the_holder_of_a_limit_of_a_dag_is_not_repeated() -> None:
    tables = tables_of(task("running", "a"), task("running", "b"), task("scheduled", "c"))
    assert tables[object_limits.LIMIT] == {("max_active_tasks", "orders"): 2}
    assert not tables[object_limits.HELD]


def test_what_waits_for_no_limit_has_no_series() -> None:
    assert not any(tables_of(task("deferred"), task("up_for_retry", "b")).values())


def test_an_unlimited_pool_is_never_waited_for() -> None:
    assert not any(tables_of(task("scheduled", pool="narrow"), slots=-1)[object_limits.SUGGESTED].values())

"""Compare limits and other gauges that seldom change with Airflow's database, while nothing runs."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tests.e2e.exactness.comparison import DAG
from tests.e2e.exactness.database import Database
from tests.e2e.exactness.gauges import Check
from tests.e2e.exactness.subject import Exposition

Expected = tuple[str, tuple[str, ...], tuple[str, ...], float]
"""A family, its labels' names and values, and the value that it must have."""


def check(database: Database, exposition: Exposition, *, is_3: bool, parallelism: int, at: float) -> list[Check]:
    """Compare what the exporter shows with the database, series by series."""
    expected = {
        (family, frozenset(zip(names, values, strict=True))): value
        for family, names, values, value in expect(database, is_3=is_3, parallelism=parallelism)
    }
    families = {family for family, _ in expected}
    shown = {(series.name, series.labels): value for series, value in exposition.items() if series.name in families}
    checks = []
    for family, labels in sorted({*expected, *shown}, key=lambda key: (key[0], sorted(key[1]))):
        true = expected.get((family, labels), math.nan)
        value = shown.get((family, labels), math.nan)
        checks.append(Check(at, family, tuple(value for _, value in sorted(labels)), value, true, true))
    return checks


def expect(database: Database, *, is_3: bool, parallelism: int) -> Iterator[Expected]:
    """Every series that the exporter must show."""
    # 2.x cannot serve an unlimited pool: it answers 500.
    for row in database.rows("select pool, slots from slot_pool" + ("" if is_3 else " where slots <> -1")):
        yield "airflow_pool_slots", ("pool",), (row["pool"],), math.inf if row["slots"] == -1 else row["slots"]
    stale = "is_stale" if is_3 else "not is_active"
    per_dag = "airflow_dag_run_active_tasks_max" if is_3 else "airflow_dag_max_active_tasks"
    dags = database.rows(f"select dag_id, max_active_runs, max_active_tasks, is_paused from dag where not ({stale})")
    for row in dags:
        yield "airflow_dag_max_active_runs", DAG, (row["dag_id"],), row["max_active_runs"]
        yield per_dag, DAG, (row["dag_id"],), row["max_active_tasks"]
        yield "airflow_dag_paused", DAG, (row["dag_id"],), int(row["is_paused"])
    paused = sum(row["is_paused"] for row in dags)
    gone = database.value(f"select count(*) from dag where {stale}")
    for state, number in (("paused", paused), ("active", len(dags) - paused), ("stale", gone)):
        yield "airflow_dags", ("state",), (state,), number
    yield "airflow_import_errors", (), (), database.value("select count(*) from import_error")
    yield "airflow_parallelism_slots", (), (), parallelism

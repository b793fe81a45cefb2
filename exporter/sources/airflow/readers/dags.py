"""The reader of DAGs: what describes each, its limits and its next run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from exporter.config.dag_filter import Scope
from exporter.config.values import parse_duration
from exporter.metrics.catalogue.api import dags
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Reading
from exporter.sources.airflow.api.models import Dag
from exporter.sources.airflow.api.protocol import Airflow
from exporter.sources.airflow.readers import history
from exporter.sources.airflow.shared import Overview

MANY = 500
"""From how many DAGs on they are read seldom: each hundred costs Airflow a request."""
SELDOM = 300.0
"""How often then, in seconds."""
OBJECTIVE = "slo:"
"""How a tag begins by which owners say when their DAG is late."""


class DagsReader:
    """Reads all DAGs and makes them known to the other readers."""

    name = "dags"
    help = "DAGs: state, owners and tags, next run, limits, parse duration"
    families: Sequence[Family] = (
        dags.DAGS,
        dags.DAG_INFO,
        dags.DAG_PAUSED,
        dags.DAG_NEXT_RUN,
        dags.DAG_OBJECTIVE,
        dags.DAG_PARSE_DURATION,
        dags.DAG_MAX_ACTIVE_RUNS,
        dags.DAG_MAX_ACTIVE_TASKS,
        dags.RUN_ACTIVE_TASKS_MAX,
        dags.MAX_CONSECUTIVE_FAILED_RUNS,
    )

    def __init__(
        self, airflow: Airflow, overview: Overview, scope: Scope, interval: float, *, adapts: bool = True
    ) -> None:
        self.interval = interval
        self._often = interval
        self._adapts = adapts
        self._airflow = airflow
        self._overview = overview
        self._scope = scope

    def read(self) -> Reading:
        """Read once. Raises ReaderError."""
        rows = self._airflow.dags()
        found = self._scope.select(rows)
        listed = {dag.dag_id: dag for dag in found}
        # What cannot be read now is not gone.
        self._overview.dags = listed if rows.complete else {**(self._overview.dags or {}), **listed}
        self._overview.directory.tell_dags(listed)
        self._overview.directory.tell_files("dags", ((dag.bundle, dag.file) for dag in self._overview.dags.values()))
        if self._adapts:
            self.interval = max(self._often, SELDOM) if len(found) > MANY else self._often
        return Reading(
            dag_tables(found, self._airflow.major),
            dags=frozenset(listed) if rows.complete else None,
            dag_spaces=(history.SPACE,),
        )


def state_of(dag: Dag) -> str:
    """A stale DAG is stale, paused or not."""
    if dag.is_stale:
        return "stale"
    return "paused" if dag.is_paused else "active"


def describe(dag: Dag) -> Labels:
    """The labels of the info family."""
    return (dag.dag_id, ",".join(sorted(dag.owners)), ",".join(sorted(dag.tags)), dag.schedule, dag.bundle, dag.file)


def find_objective(dag: Dag) -> float | None:
    """The seconds after which its owners call a run late: of several tags the strictest, of none and of others None."""
    found = []
    for tag in dag.tags:
        if tag.startswith(OBJECTIVE):
            with suppress(ValueError):
                found.append(parse_duration(tag.removeprefix(OBJECTIVE).strip()))
    return min((seconds for seconds in found if seconds), default=None)


def dag_tables(found: Sequence[Dag], major: int) -> dict[Family, dict[Labels, float]]:
    """The families of all DAGs; what describes one is told only while its file is there."""
    states = Counter(map(state_of, found))
    present = [dag for dag in found if not dag.is_stale]
    limit = dags.DAG_MAX_ACTIVE_TASKS if major < 3 else dags.RUN_ACTIVE_TASKS_MAX
    tables: dict[Family, dict[Labels, float]] = {family: {} for family in DagsReader.families}
    tables[dags.DAGS] = {(state,): states[state] for state in ("active", "paused", "stale")}
    tables[dags.DAG_INFO] = {describe(dag): 1 for dag in present}
    tables[dags.DAG_PAUSED] = {(dag.dag_id,): int(dag.is_paused) for dag in present}
    objectives = {dag.dag_id: find_objective(dag) for dag in present}
    tables[dags.DAG_OBJECTIVE] = {(dag_id,): value for dag_id, value in objectives.items() if value}
    optional: tuple[tuple[Family, str], ...] = (
        (dags.DAG_NEXT_RUN, "next_run"),
        (dags.DAG_PARSE_DURATION, "last_parse_duration"),
        (dags.DAG_MAX_ACTIVE_RUNS, "max_active_runs"),
        (limit, "max_active_tasks"),
    )
    for family, field in optional:
        values = ((dag.dag_id, getattr(dag, field)) for dag in present)
        tables[family] = {(dag_id,): value for dag_id, value in values if value is not None}
    pausing = {dag.dag_id: dag.max_consecutive_failed_dag_runs for dag in present}
    tables[dags.MAX_CONSECUTIVE_FAILED_RUNS] = {(dag_id,): value for dag_id, value in pausing.items() if value}
    return tables

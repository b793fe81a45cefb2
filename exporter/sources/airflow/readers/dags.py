"""The reader of DAGs: what describes each, its limits and its next run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from exporter.config.dag_filter import DagFilter
from exporter.config.values import parse_duration
from exporter.metrics.catalogue.api import dags
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Reading
from exporter.sources.airflow.api.objects.dags import CHECK, Dag, read_dags
from exporter.sources.airflow.api.paging import Rows
from exporter.sources.airflow.ended import last_failed
from exporter.sources.airflow.reader import RARE_INTERVAL, SLOW_INTERVAL, ApiReader, ReaderContext
from exporter.sources.airflow.readers import history
from exporter.sources.airflow.shared import AirflowState

MANY_DAGS = 500
"""With more DAGs than this they are read every RARE_INTERVAL: each hundred costs Airflow a request."""
OBJECTIVE_PREFIX = "slo:"
"""Prefix of the tag with which owners say after how long a run of their DAG is late."""


class DagsReader(ApiReader):
    """Reads all DAGs, and shares them with the other readers."""

    name = "dags"
    help = "DAGs: state, owners and tags, next run, limits, parse duration"
    families = (
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
    min_interval = SLOW_INTERVAL
    checks = (CHECK,)

    def __init__(
        self,
        read_dags: Callable[[], Rows[Dag]],
        major: int,
        shared: AirflowState,
        dag_filter: DagFilter,
        interval: float,
        *,
        adapts: bool = True,
    ) -> None:
        """`major` is Airflow's major version; `adapts` allows a longer interval where there are many DAGs."""
        self.interval = interval
        self._short_interval = interval
        self._adapts = adapts
        self._read_dags = read_dags
        self._major = major
        self._shared = shared
        self._dag_filter = dag_filter

    @classmethod
    def build(cls, context: ReaderContext, interval: float) -> DagsReader:
        """A reader for the Airflow that is connected now."""
        airflow, adapts = context.airflow, cls.name not in context.settings.intervals
        read = partial(read_dags, airflow)
        return cls(read, airflow.major, context.shared, context.dag_filter, interval, adapts=adapts)

    def read(self) -> Reading:
        """Read once. Raises ReaderError."""
        rows = self._read_dags()
        found = self._dag_filter.select(rows)
        listed = {dag.dag_id: dag for dag in found}
        # A DAG that is missing from an incomplete list still exists.
        self._shared.dags = listed if rows.complete else {**(self._shared.dags or {}), **listed}
        self._shared.directory.set_dags(listed)
        self._shared.directory.set_files("dags", ((dag.bundle, dag.file) for dag in self._shared.dags.values()))
        if self._adapts:
            self.interval = max(self._short_interval, RARE_INTERVAL) if len(found) > MANY_DAGS else self._short_interval
        return Reading(
            dag_tables(found, self._major),
            dags=frozenset(listed) if rows.complete else None,
            dag_spaces=(history.SPACE, last_failed.SPACE),
        )


def get_state(dag: Dag) -> str:
    """A stale DAG is stale, paused or not."""
    if dag.is_stale:
        return "stale"
    return "paused" if dag.is_paused else "active"


def make_info_labels(dag: Dag) -> Labels:
    """The labels of the info family."""
    return (dag.dag_id, ",".join(sorted(dag.owners)), ",".join(sorted(dag.tags)), dag.schedule, dag.bundle, dag.file)


def parse_objective(dag: Dag) -> float | None:
    """Seconds after which a run is late, by the DAG's `slo:` tags: the shortest of several, None without one."""
    found = []
    for tag in dag.tags:
        if tag.startswith(OBJECTIVE_PREFIX):
            with suppress(ValueError):
                found.append(parse_duration(tag.removeprefix(OBJECTIVE_PREFIX).strip()))
    return min((seconds for seconds in found if seconds), default=None)


def dag_tables(found: Sequence[Dag], major: int) -> dict[Family, dict[Labels, float]]:
    """The families of all DAGs; a stale DAG only counts as such."""
    states = Counter(map(get_state, found))
    present = [dag for dag in found if not dag.is_stale]
    limit = dags.DAG_MAX_ACTIVE_TASKS if major < 3 else dags.RUN_ACTIVE_TASKS_MAX
    tables: dict[Family, dict[Labels, float]] = {family: {} for family in DagsReader.families}
    tables[dags.DAGS] = {(state,): states[state] for state in ("active", "paused", "stale")}
    tables[dags.DAG_INFO] = {make_info_labels(dag): 1 for dag in present}
    tables[dags.DAG_PAUSED] = {(dag.dag_id,): int(dag.is_paused) for dag in present}
    objectives = {dag.dag_id: parse_objective(dag) for dag in present}
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

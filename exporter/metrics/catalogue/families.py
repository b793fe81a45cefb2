"""Every family that can be exposed, one declaration each: exposition, docs and checks derive from it."""

from exporter.metrics.catalogue import celery, database, exporter
from exporter.metrics.catalogue.api import costs, dags, failures, instance, object_limits, pools, runs, tasks, waits
from exporter.metrics.catalogue.host import machine, processes, task_resources
from exporter.metrics.catalogue.statsd import (
    agents,
    custom,
    dag_processor,
    edge,
    executor,
    internals,
    jobs,
    scheduler,
    triggerer,
)
from exporter.metrics.catalogue.statsd import (
    tasks as execution,
)

FAMILIES = (
    *instance.FAMILIES,
    *dags.FAMILIES,
    *runs.FAMILIES,
    *tasks.FAMILIES,
    *pools.FAMILIES,
    *waits.FAMILIES,
    *failures.FAMILIES,
    *object_limits.FAMILIES,
    *costs.FAMILIES,
    *execution.FAMILIES,
    *scheduler.FAMILIES,
    *executor.FAMILIES,
    *edge.FAMILIES,
    *dag_processor.FAMILIES,
    *triggerer.FAMILIES,
    *jobs.FAMILIES,
    *internals.FAMILIES,
    *agents.FAMILIES,
    *custom.FAMILIES,
    *processes.FAMILIES,
    *task_resources.FAMILIES,
    *machine.FAMILIES,
    *celery.FAMILIES,
    *database.FAMILIES,
    *exporter.FAMILIES,
)

COARSE = (runs.DURATION,)
"""Histograms that have a sum and a count only, unless configured, where tasks are not told apart."""

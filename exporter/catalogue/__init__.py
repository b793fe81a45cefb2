"""Every family that can be exposed, one declaration each: exposition, docs and checks derive from it."""

from exporter.catalogue import (
    custom,
    dag_processor,
    dags,
    edge,
    execution,
    executor,
    instance,
    internals,
    jobs,
    own,
    pools,
    runs,
    scheduler,
    tasks,
    triggerer,
)

FAMILIES = (
    *instance.FAMILIES,
    *dags.FAMILIES,
    *runs.FAMILIES,
    *tasks.FAMILIES,
    *pools.FAMILIES,
    *execution.FAMILIES,
    *scheduler.FAMILIES,
    *executor.FAMILIES,
    *edge.FAMILIES,
    *dag_processor.FAMILIES,
    *triggerer.FAMILIES,
    *jobs.FAMILIES,
    *internals.FAMILIES,
    *custom.FAMILIES,
    *own.FAMILIES,
)

COARSE = (runs.DURATION,)
"""Histograms that have a sum and a count only, unless configured, where tasks are not told apart."""

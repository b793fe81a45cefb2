"""Every family that can be exposed, one declaration each: exposition, docs and checks derive from it."""

from exporter.catalogue import (
    agents,
    components,
    custom,
    dag_processor,
    dags,
    edge,
    execution,
    executor,
    host,
    instance,
    internals,
    jobs,
    own,
    pools,
    runs,
    scheduler,
    tasks,
    triggerer,
    usage,
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
    *agents.FAMILIES,
    *custom.FAMILIES,
    *components.FAMILIES,
    *usage.FAMILIES,
    *host.FAMILIES,
    *own.FAMILIES,
)

COARSE = (runs.DURATION,)
"""Histograms that have a sum and a count only, unless configured, where tasks are not told apart."""

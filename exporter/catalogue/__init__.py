"""Every family that can be exposed, one declaration each: exposition, docs and checks derive from it."""

from exporter.catalogue import components, dags, host, instance, own, pools, runs, tasks, usage

FAMILIES = (
    *instance.FAMILIES,
    *dags.FAMILIES,
    *runs.FAMILIES,
    *tasks.FAMILIES,
    *pools.FAMILIES,
    *components.FAMILIES,
    *usage.FAMILIES,
    *host.FAMILIES,
    *own.FAMILIES,
)

COARSE = (runs.DURATION,)
"""Histograms that have a sum and a count only, unless configured, where tasks are not told apart."""

"""Every family that can be exposed, one declaration each: exposition, docs and checks derive from it."""

from exporter.catalogue import dags, instance, own, pools, runs, tasks

FAMILIES = (
    *instance.FAMILIES,
    *dags.FAMILIES,
    *runs.FAMILIES,
    *tasks.FAMILIES,
    *pools.FAMILIES,
    *own.FAMILIES,
)

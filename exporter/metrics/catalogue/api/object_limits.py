"""Limits that something waits for: size, use, who holds them, and a value to try."""

from functools import partial

from exporter.metrics.family import Family, Kind

ORIGIN = "computed from active task instances and runs, pools, DAGs and limits: see docs/diagnosis.md"
gauge = partial(
    Family,
    kind=Kind.GAUGE,
    source="airflow",
    reader="waits",
    origin=ORIGIN,
    cap=2_000,
)

LIMIT = gauge(
    "airflow_object_limit",
    help="Limit of an object that something waits for, in slots, task instances or runs; +Inf if it is unlimited, "
    "absent if it is not known",
    labels=("reason", "object"),
)
USED = gauge(
    "airflow_object_limit_used",
    help="How much of the limit of an object is in use, in slots, task instances or runs; absent if it is not known",
    labels=("reason", "object"),
)
SUGGESTED = gauge(
    "airflow_object_suggested_limit",
    help="Value to try for the limit: with it everything that waits for the object now could start, but never more "
    "than twice the present limit; absent if nothing can be computed",
    labels=("reason", "object"),
)
HELD = gauge(
    "airflow_object_held",
    help="How much of the limit each of the DAGs holds that hold most of it",
    labels=("reason", "object", "dag_id"),
)

FAMILIES = (LIMIT, USED, SUGGESTED, HELD)

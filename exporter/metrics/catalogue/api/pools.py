"""Pools: slots, and the task instances that hold them and wait for them, from the API."""

from functools import partial

from exporter.metrics.family import Family, Kind

gauge = partial(Family, kind=Kind.GAUGE, source="airflow", reader="pools", labels=("pool",), cap=2_000)
waiting = partial(gauge, reader="tasks")

SLOTS = gauge(
    "airflow_pool_slots",
    help="Number of slots of the pool; +Inf if unlimited",
    origin="/pools: slots",
)
OCCUPIED = gauge(
    "airflow_pool_occupied_slots",
    help="Number of slots in use, by state of the task instance; deferred only if the pool counts deferred tasks",
    labels=("pool", "state"),
    origin="/pools: running_slots, queued_slots, deferred_slots",
    ttl=120.0,
)
WAITING = gauge(
    "airflow_pool_waiting_slots",
    help="Number of slots that scheduled task instances are waiting for; these slots are not occupied",
    origin="/pools: scheduled_slots",
    ttl=120.0,
)
OLDEST_WAITING = waiting(
    "airflow_pool_oldest_waiting_timestamp_seconds",
    help="Time since which the longest waiting task instance of the pool has been scheduled; absent if none is",
    origin="/taskInstances?state=scheduled: scheduled_when",
    since="3.0",
)
WAITING_PRIORITY_MIN = waiting(
    "airflow_pool_waiting_priority_weight_min",
    help="Lowest priority weight of the scheduled task instances of the pool",
    origin="/taskInstances?state=scheduled: priority_weight",
)
WAITING_PRIORITY_MAX = waiting(
    "airflow_pool_waiting_priority_weight_max",
    help="Highest priority weight of the scheduled task instances of the pool",
    origin="/taskInstances?state=scheduled: priority_weight",
)

FAMILIES = (SLOTS, OCCUPIED, WAITING, OLDEST_WAITING, WAITING_PRIORITY_MIN, WAITING_PRIORITY_MAX)

"""Pools: their slots, who holds them and who waits for them."""

from functools import partial

from exporter.metrics.family import Family, Kind

gauge = partial(Family, kind=Kind.GAUGE, source="airflow", reader="pools", labels=("pool",), cap=2_000)
waiting = partial(gauge, reader="tasks")

SLOTS = gauge(
    "airflow_pool_slots",
    help="Slots that the pool has; +Inf where it is unlimited",
    origin="/pools: slots",
)
OCCUPIED = gauge(
    "airflow_pool_occupied_slots",
    help="Slots in use, by the state of the task that holds them; deferred only where the pool counts them",
    labels=("pool", "state"),
    origin="/pools: running_slots, queued_slots, deferred_slots",
    ttl=120.0,
)
WAITING = gauge(
    "airflow_pool_waiting_slots",
    help="Slots that scheduled task instances wait for; they occupy none",
    origin="/pools: scheduled_slots",
    ttl=120.0,
)
OLDEST_WAITING = waiting(
    "airflow_pool_oldest_waiting_timestamp_seconds",
    help="Since when the task instance that is longest scheduled in the pool has been",
    origin="/taskInstances?state=scheduled: scheduled_when",
    since="3.0",
)
WAITING_PRIORITY_MIN = waiting(
    "airflow_pool_waiting_priority_weight_min",
    help="The smallest priority weight of the scheduled task instances of the pool",
    origin="/taskInstances?state=scheduled: priority_weight",
)
WAITING_PRIORITY_MAX = waiting(
    "airflow_pool_waiting_priority_weight_max",
    help="The largest priority weight of the scheduled task instances of the pool",
    origin="/taskInstances?state=scheduled: priority_weight",
)

FAMILIES = (SLOTS, OCCUPIED, WAITING, OLDEST_WAITING, WAITING_PRIORITY_MIN, WAITING_PRIORITY_MAX)

"""The reader of pools."""

from __future__ import annotations

import math
from collections.abc import Sequence

from exporter.metrics.catalogue.api import pools
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Reading
from exporter.sources.airflow.api.models import Pool
from exporter.sources.airflow.api.protocol import Airflow


class PoolsReader:
    """Reads pools as Airflow sums them up."""

    name = "pools"
    help = "Pools: slots, who holds them, what waits for them"
    families: Sequence[Family] = (pools.SLOTS, pools.OCCUPIED, pools.WAITING)

    def __init__(self, airflow: Airflow, interval: float) -> None:
        self.interval = interval
        self._airflow = airflow

    def read(self) -> Reading:
        """Read once. Raises ReaderError."""
        return Reading(pool_tables(self._airflow.pools()))


def pool_tables(found: Sequence[Pool]) -> dict[Family, dict[Labels, float]]:
    """The families of all pools; -1 slots are unlimited."""
    occupied: dict[Labels, float] = {}
    for pool in found:
        occupied[(pool.name, "queued")] = pool.queued_slots
        occupied[(pool.name, "running")] = pool.running_slots
        if pool.include_deferred:
            occupied[(pool.name, "deferred")] = pool.deferred_slots
    return {
        pools.SLOTS: {(pool.name,): math.inf if pool.slots < 0 else pool.slots for pool in found},
        pools.OCCUPIED: occupied,
        pools.WAITING: {(pool.name,): pool.scheduled_slots for pool in found},
    }

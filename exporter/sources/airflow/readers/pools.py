"""The reader of pools."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

from exporter.metrics.catalogue.api import pools
from exporter.metrics.family import Family, Labels
from exporter.metrics.reading import Reading
from exporter.sources.airflow.api.objects.pools import CHECK, Pool, read_pools
from exporter.sources.airflow.reader import ApiReader, ReaderContext
from exporter.sources.airflow.shared import AirflowState


class PoolsReader(ApiReader):
    """Reads pools as Airflow sums them up."""

    name = "pools"
    help = "Pools: slots, what holds them, what waits for them"
    families = (pools.SLOTS, pools.OCCUPIED, pools.WAITING)
    checks = (CHECK,)

    def __init__(self, read_pools: Callable[[], Sequence[Pool]], shared: AirflowState, interval: float) -> None:
        self.interval = interval
        self._shared = shared
        self._read_pools = read_pools

    @classmethod
    def build(cls, context: ReaderContext, interval: float) -> PoolsReader:
        """A reader for the Airflow that is connected now."""
        return cls(partial(read_pools, context.airflow), context.shared, interval)

    def read(self) -> Reading:
        """Read once. Raises ReaderError."""
        found = self._read_pools()
        self._shared.pools = {pool.name: pool for pool in found}
        return Reading(pool_tables(found))


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

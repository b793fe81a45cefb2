"""A change to try: pool:forklifts=4, parallelism=8, max_active_tasks:DAG=4, max_active_runs:DAG=2. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from exporter.tuning.simulation.recorded import RecordedTry
from exporter.tuning.simulation.settings import SimulatedSettings

WITH_OBJECT = ("pool", "max_active_tasks", "max_active_runs")
"""Settings of a pool or of a DAG."""
WITH_OR_WITHOUT = ("worker_concurrency",)
"""Settings of the whole Airflow, or of the workers of one queue."""
WITHOUT_OBJECT = ("parallelism",)
"""Settings of the whole Airflow."""
MAX_VALUE = 1_000_000
FORMS = (
    "pool:NAME=N, max_active_tasks:DAG=N, max_active_runs:DAG=N, parallelism=N, worker_concurrency=N, "
    "worker_concurrency:QUEUE=N"
)


class ChangeError(ValueError):
    """The text of a change cannot be understood."""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """One setting and the value to try."""

    setting: str
    object: str
    """The pool or the DAG; empty for settings of the whole Airflow."""
    value: float

    @property
    def name(self) -> str:
        """The setting with its object."""
        return f"{self.setting}:{self.object}" if self.object else self.setting

    def __str__(self) -> str:
        return f"{self.name}={self.value:g}"

    def apply(self, settings: SimulatedSettings) -> SimulatedSettings:
        """The settings with this value."""
        return APPLY[self.setting](settings, self)

    def get_current(self, settings: SimulatedSettings) -> float:
        """The value in the settings; infinite where there is no such limit."""
        if self.setting == "parallelism":
            return settings.parallelism
        if self.setting == "worker_concurrency":
            return get_concurrency(settings, self.object)
        limits = {
            "pool": settings.pools,
            "max_active_tasks": settings.max_active_tasks,
            "max_active_runs": settings.max_active_runs,
        }
        return limits[self.setting].get(self.object, math.inf)

    def concerns(self, one: RecordedTry) -> bool:
        """Whether a try is under this limit."""
        if self.setting == "pool":
            return one.pool == self.object
        if self.setting == "worker_concurrency" and self.object:
            return one.queue == self.object
        return not self.object or one.dag_id == self.object


def parse_change(text: str) -> WhatIf:
    """Read a change. Raises ChangeError with what is wrong."""
    name, found, number = text.partition("=")
    setting, _, target = name.strip().partition(":")
    if setting not in WITH_OBJECT + WITH_OR_WITHOUT + WITHOUT_OBJECT or not found:
        raise ChangeError(f"{text!r} is not a change that can be simulated: use one of {FORMS}")
    if setting not in WITH_OR_WITHOUT and (setting in WITH_OBJECT) != bool(target):
        needs = "needs the name of a pool or DAG" if setting in WITH_OBJECT else "has no object"
        raise ChangeError(f"{text!r}: {setting} {needs}: use one of {FORMS}")
    try:
        value = int(number)
    except ValueError:
        raise ChangeError(f"{text!r}: {number!r} is not a whole number") from None
    if value < 1:
        raise ChangeError(f"{text!r}: with less than 1 nothing would run")
    if value > MAX_VALUE:
        raise ChangeError(f"{name}: the value may be at most {MAX_VALUE:,}")
    return WhatIf(setting, target, float(value))


def apply_all(changes: Iterable[WhatIf], settings: SimulatedSettings) -> SimulatedSettings:
    """The settings with all the changes."""
    for change in changes:
        settings = change.apply(settings)
    return settings


def set_parallelism(settings: SimulatedSettings, change: WhatIf) -> SimulatedSettings:
    """Another parallelism; the LocalExecutor has as many workers."""
    workers = settings.default_workers
    if settings.is_local:
        workers = replace(workers, concurrency=change.value)
    return replace(settings, parallelism=change.value, default_workers=workers)


def get_concurrency(settings: SimulatedSettings, queue: str) -> float:
    """The highest worker_concurrency of those that serve a queue, or of all; infinite where no worker is known."""
    if settings.celery_workers is not None:
        known = [one for one in settings.celery_workers if not queue or one.serves(queue)]
        return max((one.concurrency for one in known if not math.isinf(one.concurrency)), default=math.inf)
    if queue:
        return settings.get_workers(queue).concurrency
    return max((one.concurrency for one in settings.workers.values()), default=settings.default_workers.concurrency)


def set_concurrency(settings: SimulatedSettings, change: WhatIf) -> SimulatedSettings:
    """Another worker_concurrency: of all workers, or of those that serve a queue."""
    if settings.celery_workers is not None:
        changed = [
            replace(one, concurrency=change.value)
            if not math.isinf(one.concurrency) and (not change.object or one.serves(change.object))
            else one
            for one in settings.celery_workers
        ]
        return replace(settings, celery_workers=changed)
    workers = {
        queue: replace(one, concurrency=change.value) if change.object in ("", queue) else one
        for queue, one in settings.workers.items()
    }
    default = settings.default_workers
    if not settings.is_local and not math.isinf(default.concurrency) and change.object not in workers:
        default = replace(default, concurrency=change.value)
    return replace(settings, workers=workers, default_workers=default)


def set_pool(settings: SimulatedSettings, change: WhatIf) -> SimulatedSettings:
    """Another number of slots of a pool."""
    return replace(settings, pools={**settings.pools, change.object: change.value})


def set_tasks(settings: SimulatedSettings, change: WhatIf) -> SimulatedSettings:
    """Another max_active_tasks of a DAG."""
    return replace(settings, max_active_tasks={**settings.max_active_tasks, change.object: change.value})


def set_runs(settings: SimulatedSettings, change: WhatIf) -> SimulatedSettings:
    """Another max_active_runs of a DAG."""
    return replace(settings, max_active_runs={**settings.max_active_runs, change.object: change.value})


APPLY: dict[str, Callable[[SimulatedSettings, WhatIf], SimulatedSettings]] = {
    "parallelism": set_parallelism,
    "worker_concurrency": set_concurrency,
    "pool": set_pool,
    "max_active_tasks": set_tasks,
    "max_active_runs": set_runs,
}

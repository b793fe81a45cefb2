"""The rows from which costs are computed, and costs: any objects with these attributes will do."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, Protocol


class InstanceRow(Protocol):
    """A task instance, or a try of one: what is known in any state. Times are Unix seconds."""

    @property
    def dag_id(self) -> str: ...
    @property
    def task_id(self) -> str: ...
    @property
    def run_id(self) -> str: ...
    @property
    def map_index(self) -> int: ...
    @property
    def state(self) -> str | None: ...
    @property
    def try_number(self) -> int: ...
    @property
    def pool_slots(self) -> int: ...
    @property
    def operator(self) -> str: ...
    @property
    def scheduled_when(self) -> float | None: ...
    @property
    def queued_when(self) -> float | None: ...
    @property
    def start_date(self) -> float | None: ...
    @property
    def end_date(self) -> float | None: ...


class RunRow(Protocol):
    """A DAG run."""

    @property
    def dag_id(self) -> str: ...
    @property
    def run_id(self) -> str: ...
    @property
    def run_type(self) -> str: ...
    @property
    def state(self) -> str | None: ...
    @property
    def start_date(self) -> float | None: ...
    @property
    def end_date(self) -> float | None: ...
    @property
    def logical_date(self) -> float | None: ...


class CostKind(StrEnum):
    """What a cost is: each has a counter."""

    OVERHEAD = "overhead"
    """Seconds."""
    SENSOR = "sensor"
    """Seconds of slots."""
    SHORT_TRY = "short_try"
    RUN_WITHOUT_WORK = "run_without_work"
    SKIPPED_INTERVAL = "skipped_interval"


class Cost(NamedTuple):
    """What a DAG has cost: seconds, or a number of things."""

    kind: CostKind
    dag_id: str
    value: float = 1.0
    mode: str = ""
    """Of sensors."""


class MemoryGrowth(NamedTuple):
    """How the peak memory of a task has grown over its last tries."""

    oldest: float
    """Bytes, the mean of the oldest peaks that are remembered."""
    newest: float
    """Bytes, the mean of the newest peaks."""
    tries: int
    steady: bool
    """Whether it grows from try to try, and not by a single odd one."""

    @property
    def ratio(self) -> float:
        """The newest over the oldest."""
        return self.newest / self.oldest


def get_duration(row: InstanceRow) -> float | None:
    """How long a try ran, in seconds; None where start or end is not known."""
    if row.start_date is None or row.end_date is None:
        return None
    return max(0.0, row.end_date - row.start_date)


def is_sensor(row: InstanceRow) -> bool:
    """Whether the operator's class is a sensor, by its name: PythonSensor, DateTimeSensorAsync, _SensorOperator."""
    return "sensor" in row.operator.lower()

"""How a reader of Airflow's API describes itself, what it is built from, and in which order readers run."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from exporter.config.dag_filter import DagFilter
from exporter.config.settings import AirflowSettings
from exporter.metrics.family import Family
from exporter.metrics.reading import Memory, Reading
from exporter.sources.airflow.api.airflow_api import AirflowApi
from exporter.sources.airflow.api.check_step import CheckStep
from exporter.sources.airflow.shared import AirflowState

SLOW_INTERVAL = 60.0
"""Seconds between reads of what changes rarely, if the configured interval is not longer."""
RARE_INTERVAL = 300.0
"""Seconds between reads of what hardly ever changes."""


@dataclass(frozen=True, slots=True)
class ReaderContext:
    """What readers are built from."""

    airflow: AirflowApi
    settings: AirflowSettings
    memory: Memory
    shared: AirflowState
    dag_filter: DagFilter

    def get_interval(self, reader: str, at_least: float) -> float:
        """The seconds between reads: as configured for this reader, else the common interval or `at_least`."""
        return self.settings.intervals.get(reader, max(self.settings.interval, at_least))


class ApiReader(ABC):
    """Reads one thing from Airflow's API; `interval` is the seconds between two reads."""

    name: str
    help: str
    families: Sequence[Family] = ()
    """The state families that it feeds: they go when it fails."""
    needs: Sequence[str] = ()
    """Names of the readers whose results it uses: they run before it."""
    min_interval: float = 0.0
    """Seconds: the common interval is raised to this; an interval that is configured for the reader is not."""
    checks: Sequence[CheckStep] = ()
    """The endpoints that it reads, as `airflow-exporter check` tries them."""
    interval: float

    @classmethod
    @abstractmethod
    def build(cls, context: ReaderContext, interval: float) -> Self:
        """A reader for the Airflow that is connected now."""

    @abstractmethod
    def read(self) -> Reading:
        """Read once. Raises ReaderError."""


def order_by_needs(readers: Sequence[type[ApiReader]]) -> list[type[ApiReader]]:
    """The readers, each after those that it needs, otherwise in the order given.

    Raises ValueError where a needed reader does not exist, or readers need each other in a circle.
    """
    names = {reader.name for reader in readers}
    for reader in readers:
        if unknown := set(reader.needs) - names:
            raise ValueError(f"reader {reader.name} needs {', '.join(sorted(unknown))}, which does not exist")
    ordered: list[type[ApiReader]] = []
    done: set[str] = set()
    while len(ordered) < len(readers):
        ready = [reader for reader in readers if reader.name not in done and done.issuperset(reader.needs)]
        if not ready:
            raise ValueError(f"readers need each other in a circle: {', '.join(sorted(names - done))}")
        ordered.append(ready[0])
        done.add(ready[0].name)
    return ordered

"""What the engine gives a source to build itself, as protocols: a source imports neither the engine nor the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from exporter.config.settings import Settings
from exporter.metrics.family import Family, Labels
from exporter.metrics.family_spec import FamilySpec
from exporter.metrics.reading import Memory, Reader, Source
from exporter.sources.directory import Directory


class SeriesCell(Protocol):
    """The part of a series that a source of events changes. A series that expired has a negative `exposed_at`."""

    value: float | list[float]
    exposed_at: float


class EventTables(Protocol):
    """The store's tables for events; a series that they return is passed back to them as it is."""

    @property
    def clock(self) -> Callable[[], float]:
        """Monotonic seconds."""

    def get_or_create(self, family: Family, labels: Labels) -> SeriesCell | None:
        """The series with these labels, created if new; None if there is no room for it."""

    def bounds(self, family: Family) -> tuple[float, ...]:
        """Upper bounds of a histogram's buckets, as configured."""

    def set(self, family: Family, series: Any, sender: bytes, value: float, *, relative: bool) -> bool:  # noqa: ANN401
        """Set a sender's value of a gauge; False if the value was not accepted."""

    def observe(self, series: Any, value: float, weight: float) -> bool:  # noqa: ANN401
        """Observe a value in a summary; False if the value was not accepted."""

    def touch(self, family: Family, series: Any) -> None:  # noqa: ANN401
        """Restart the expiry time of a series."""

    def sweep(self) -> bool:
        """Remove expired series; True if any was removed."""

    def pop_expired_families(self) -> list[Family]:
        """Families that are not in the catalogue and whose last series expired, each returned once."""

    def respell(self, correct: Callable[[tuple[str, ...], Labels], Labels]) -> None:
        """Move series to corrected labels."""

    def clear(self, reader: str | None = None) -> None:
        """Remove every family."""


class EventSaver(Reader, Protocol):
    """Writes the counters of event tables to the state file; one more reader of the source that feeds them."""

    configuration: bytes
    """Digest of the settings that decide which families are fed. If it changes, saved series wait for an event."""

    def restore(self, configuration: bytes, find_family: Callable[[FamilySpec], Family | None]) -> None:
        """Restore what an earlier process saved, before the first event. Raises StateError."""

    def finish(self) -> None:
        """Write the last changes, after the last event."""


@dataclass(frozen=True, slots=True)
class SourceContext:
    """The parts of the exporter that a source may use. They outlive the source and are the same after a reload."""

    memory: Memory
    directory: Directory
    count_request: Callable[[str, str, float], None]
    """Counts a request to Airflow's API: the endpoint's short name, the HTTP status or "error", the seconds it took."""
    tables: EventTables
    saver: EventSaver | None
    """None without a state file."""
    read_gauges: Callable[[Family], Mapping[Labels, float]]
    """Returns the values of a family of gauges, whatever source they come from."""
    configure_tables: Callable[[Settings], None]
    """Applies the settings (buckets, birth hold, reserved names) to `tables`; only for the thread that feeds them."""


class Previous(NamedTuple):
    """What runs when the configuration is reloaded. At the start there are no sources."""

    settings: Settings
    sources: Mapping[str, Source]
    """By name. A factory that returns one of them keeps it running."""


class SourceFactory(Protocol):
    """The function `build` of a source's module `source.py`."""

    def __call__(self, settings: Settings, context: SourceContext, previous: Previous, /) -> list[Source]:
        """The sources to run with these settings. Raises StateError or ValueError if they cannot be built."""

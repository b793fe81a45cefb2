"""Finds the event of a StatsD name, by its modern name or by a legacy name with ids in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from exporter.sources.statsd.airflow_names.event import Event, LegacyPattern
from exporter.sources.statsd.airflow_names.events.table import EVENTS

SHARED_FIRST_PARTS = frozenset({"airflow", "task", "records_processed"})
"""First parts of Airflow's names that users' names may have as well."""
RESERVED_FIRST_PARTS = frozenset({"dag_bag"})
"""First parts that belong to Airflow although no event is declared with them."""
ONLY_DAG = ("dag_id",)


class LegacyName:
    """A legacy name of an event, with the event's other legacy names of the same prefix and suffix."""

    __slots__ = ("event", "fixed", "only_dag", "patterns", "prefix", "suffix")

    def __init__(self, event: Event, pattern: LegacyPattern) -> None:
        self.event = event
        self.prefix, self.suffix = pattern.prefix, pattern.suffix
        self.fixed = len(pattern.prefix) + len(pattern.suffix)
        """The number of characters that are not part of ids."""
        self.patterns = tuple(
            one for one in event.patterns if (one.prefix, one.suffix) == (pattern.prefix, pattern.suffix)
        )
        """The legacy names that match, the most likely first."""
        self.only_dag = any(one.variables == ONLY_DAG for one in self.patterns)
        """Whether the name may contain the id of a DAG and nothing else, so that it teaches that id."""


class EventMatch(NamedTuple):
    """An event, with the legacy name and the ids in it; None if the event came under its modern name."""

    event: Event
    legacy: LegacyName | None = None
    ids: str = ""


class EventLookup:
    """Finds events by names."""

    def __init__(self, events: Iterable[Event] = EVENTS) -> None:
        known = tuple(events)
        self.modern = {event.name: EventMatch(event) for event in known}
        """The events by their modern names."""
        self.legacy_names: list[LegacyName] = []
        """The legacy names of all events, in the order in which they are tried."""
        self._legacy: dict[str, tuple[LegacyName, ...]] = {}
        patterns = [(pattern, event) for event in known for pattern in event.patterns]
        for pattern, owner in sorted(patterns, key=lambda one: -len(one[0].prefix + one[0].suffix)):
            head, legacy = get_first_part(pattern.prefix), LegacyName(owner, pattern)
            self.legacy_names.append(legacy)
            self._legacy[head] = (*self._legacy.get(head, ()), legacy)
        self._headless = self._legacy.pop("", ())
        self._legacy = {head: (*found, *self._headless) for head, found in self._legacy.items()}
        names = (text for event in known for text in (event.name, *event.legacy))
        self._heads = {
            name.partition(".")[0] for name in names if "." in name
        } - SHARED_FIRST_PARTS | RESERVED_FIRST_PARTS

    def find(self, name: str) -> EventMatch | None:
        """The event with that name (without prefix); None if it is not a name of Airflow."""
        found = self.modern.get(name)
        if found is not None:
            return found
        for legacy in self._legacy.get(get_first_part(name), self._headless):
            if name.startswith(legacy.prefix) and name.endswith(legacy.suffix) and len(name) > legacy.fixed:
                return EventMatch(legacy.event, legacy, name[len(legacy.prefix) : len(name) - len(legacy.suffix)])
        return None

    def is_reserved(self, name: str) -> bool:
        """Whether the first part of a name belongs to Airflow, so that it cannot be a user's metric."""
        return name.partition(".")[0] in self._heads


def get_first_part(name: str) -> str:
    """The first part of a name, by which legacy names are indexed; empty if the name has no dot."""
    head, dot, _ = name.partition(".")
    return head if dot else ""

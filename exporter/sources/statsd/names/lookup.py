"""Which event a name is: by its modern name, or by a legacy name with ids in it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from exporter.sources.statsd.names.table import EVENTS
from exporter.sources.statsd.names.terms import Event, Pattern

OPEN_HEADS = frozenset({"airflow", "task", "records_processed"})
"""First parts of Airflow's names that users' names may have too."""
FURTHER_HEADS = frozenset({"dag_bag"})
"""First parts of names that are Airflow's though none of them feeds anything."""


class Found(NamedTuple):
    """An event, and what its legacy name holds; None where it came under its modern name."""

    event: Event
    ids: str | None = None
    patterns: tuple[Pattern, ...] = ()
    """The legacy names that fit, the likeliest first."""


class Lookup:
    """Finds events by names."""

    def __init__(self, events: Iterable[Event] = EVENTS) -> None:
        known = tuple(events)
        self._modern = {event.name: event for event in known}
        self._legacy: dict[str, list[tuple[Pattern, Event]]] = {}
        patterns = [(pattern, event) for event in known for pattern in event.patterns]
        for pattern, owner in sorted(patterns, key=lambda one: -len(one[0].prefix + one[0].suffix)):
            self._legacy.setdefault(find_head(pattern.prefix), []).append((pattern, owner))
        names = (text for event in known for text in (event.name, *event.legacy))
        self._heads = {name.partition(".")[0] for name in names if "." in name} - OPEN_HEADS | FURTHER_HEADS

    def find(self, name: str) -> Found | None:
        """The event of that name, without Airflow's prefix; None where it is none of Airflow's."""
        event = self._modern.get(name)
        if event is not None:
            return Found(event)
        for pattern, candidate in (*self._legacy.get(find_head(name), ()), *self._legacy.get("", ())):
            ids = pattern.extract(name)
            if ids is not None:
                same = tuple(one for one in candidate.patterns if one.extract(name) == ids)
                return Found(candidate, ids, same)
        return None

    def is_reserved(self, name: str) -> bool:
        """Whether a name is one that Airflow would choose, so that it is not taken for one of users'."""
        return name.partition(".")[0] in self._heads


def find_head(name: str) -> str:
    """What legacy names are kept by: the first part, or nothing where it is not fixed."""
    head, dot, _ = name.partition(".")
    return head if dot else ""

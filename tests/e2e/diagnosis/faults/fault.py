"""A fault, what must be said of it, and whether a page of the diagnosis and a set of firing alerts say it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from tests.e2e.diagnosis.faults.play import Play

Row = Mapping[str, Any]
"""One finding of the page, as JSON."""
Labels = Mapping[str, str]
"""Labels of a firing alert."""

CAUSES = ("reason", "error_class", "name")
"""Where a finding says what kind it is, by the part of the page."""
KNOBS = ("setting", "suggestion", "meaning", "evidence")
COMMON = {"alertname", "alertstate", "severity", "component", "airflow"}
"""Labels that every alert has."""
MISLEADING = frozenset({"AirflowNoProgress"})
"""Alerts that say that nothing explains the waiting: wrong wherever something does."""


class Fault(NamedTuple):
    """Something that is wrong, and what must be said of it."""

    name: str
    causes: frozenset[str]
    """The reasons, error classes or costs that name it, one suffices; none where its alert is enough."""
    names: tuple[str, ...]
    """The objects that the same finding must name, the most important first."""
    knob: str
    """A word of what to change that must be in the finding."""
    begin: Callable[[Play], None]
    """Makes it happen, and returns when it has."""
    alerts: frozenset[str] | None = frozenset()
    """Alerts that name it besides those that have the cause as a label; None where no alert is meant to fire."""
    seconds: float = 300.0
    """How long it may take until it is on the page and its alert fires."""
    releases: tuple[int, ...] = (2, 3)
    """Major releases of Airflow in which it can happen."""


def make_fault(
    name: str,
    causes: str,
    names: str,
    knob: str,
    begin: Callable[[Play], None],
    alerts: str | None = "",
    releases: tuple[int, ...] = (2, 3),
    seconds: float = 300.0,
) -> Fault:
    """A row of the table of faults; causes, names and alerts are separated by spaces."""
    meant = None if alerts is None else frozenset(alerts.split())
    return Fault(name, frozenset(causes.split()), tuple(names.split()), knob, begin, meant, seconds, releases)


@dataclass
class Seen:
    """What was seen of a fault so far. Times are Unix seconds."""

    fault: Fault
    began: float | None = None
    failure: str = ""
    """Why it could not be made to happen."""
    named_at: float | None = None
    named_by: str = ""
    alerted_at: float | None = None
    alerted_by: str = ""
    mentions: set[str] = field(default_factory=set)
    """Findings and alerts that name its objects, whatever they say of it."""
    misled_by: set[str] = field(default_factory=set)

    @property
    def is_complete(self) -> bool:
        """Whether all that must be said of it has been."""
        is_named = self.named_at is not None or not self.fault.causes
        return is_named and (self.alerted_at is not None or self.fault.alerts is None)

    def look(self, page: Sequence[Row], alerts: Sequence[Labels], now: float) -> None:
        """Take note of what the page and the firing alerts say at this moment."""
        for row in page:
            if not self._mentions(row):
                continue
            self.mentions.add(describe(row))
            if self.named_at is None and names_fault(self.fault, row):
                self.named_at, self.named_by = now, describe(row)
        for alert in alerts:
            if self._mentions(alert):
                self.mentions.add(alert["alertname"])
            if self.alerted_at is None and tells_fault(self.fault, alert):
                self.alerted_at, self.alerted_by = now, alert["alertname"]
            if alert["alertname"] in MISLEADING - (self.fault.alerts or frozenset()):
                self.misled_by.add(alert["alertname"])

    def _mentions(self, row: Mapping[str, Any]) -> bool:
        return contains(json.dumps(row), self.fault.names[0])

    @property
    def score(self) -> int:
        """2: cause, object and knob named, and the alert fired; 1: a symptom of it; 0: nothing, or misleading."""
        if self.failure:
            return 0
        if self.is_complete:
            return 2
        return 1 if self.mentions and (self.named_at is not None or not self.misled_by) else 0


def list_rows(page: Mapping[str, Any]) -> list[Row]:
    """All findings of a page: what waits, what fails, what costs."""
    return [row for part in ("findings", "failures", "costs") for row in page.get(part, ())]


def contains(text: str, name: str) -> bool:
    """Whether a text has this name as a whole: `pool` is not in `pool_holder`."""
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text) is not None


def get_cause(row: Row) -> str:
    """The reason, error class or kind of cost of a finding."""
    return next((str(row[key]) for key in CAUSES if key in row), "")


def describe(row: Row) -> str:
    """Cause and object of a finding, for tables."""
    return f"{get_cause(row)}({row.get('object') or ', '.join(list(row.get('dags', ()))[:2])})"


def names_fault(fault: Fault, row: Row) -> bool:
    """Whether one finding names cause, objects and knob."""
    text = json.dumps(row)
    advice = json.dumps([row.get(key, "") for key in KNOBS])
    return (
        get_cause(row) in fault.causes
        and all(contains(text, name) for name in fault.names)
        and fault.knob.lower() in advice.lower()
    )


def tells_fault(fault: Fault, alert: Labels) -> bool:
    """Whether a firing alert has the cause as a label, or is one of those that mean it; and names the object.

    An alert about the whole Airflow has no label for an object.
    """
    is_meant = alert["alertname"] in (fault.alerts or ())
    said = {alert.get(key, "") for key in (*CAUSES, "cost", "kind")}
    task = f"{alert.get('dag_id', '')}.{alert.get('task_id', '')}"
    named = any(contains(value, name) for value in (*alert.values(), task) for name in fault.names)
    return (is_meant and (named or not alert.keys() - COMMON)) or (bool(said & fault.causes) and named)


def list_mentions(seen: Seen) -> Iterator[str]:
    """What mentioned a fault, for tables: what named it first."""
    yield from filter(None, [seen.named_by])
    yield from sorted(seen.mentions - {seen.named_by, seen.alerted_by})

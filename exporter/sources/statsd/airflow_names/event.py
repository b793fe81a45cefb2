"""A StatsD event of Airflow, declared once: its modern name, its legacy twin names, labels, unit and families."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property, lru_cache
from typing import NamedTuple

from exporter.metrics.family import Family
from exporter.sources.statsd.model import MetricType

Release = tuple[int, ...]
"""A release of Airflow as numbers: (3, 3, 2)."""

NEWEST_RELEASE: Release = (3, 3, 2)
"""The release that is assumed if it is not known."""


class TimerUnit(Enum):
    """How Airflow measures a timer. The unit of the value depends on it, on the release and on the client."""

    NONE = "not a time"
    SPAN = "a difference of two moments, handed to the client"
    STOPWATCH = "measured by the client's own stopwatch"
    WAIT = "task.queued_duration and task.scheduled_duration"
    TASK = "task.duration"
    FILE = "dag_processing.last_duration"
    CUSTOM = "a timer of users"
    SECONDS = "seconds, in every release"


class Part(Enum):
    """Whether a family uses the value, or only counts that there was one."""

    VALUE = "the value"
    COUNT = "that there was one"


@dataclass(frozen=True, slots=True, eq=False)
class FamilyBinding:
    """One family that an event feeds. A label has its value from `const`, or from the variable with its name."""

    family: Family
    const: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    """The states for which it is fed; empty for all."""
    part: Part = Part.VALUE
    stands_in_for: Family | None = None
    """A family of the API that reports the same better: this one is not fed while the API feeds that one."""
    releases: str = ""
    """Releases in which the event has this meaning; empty for all."""
    percent: bool = False
    """Whether the value is a percentage."""


class LegacyPattern(NamedTuple):
    """A legacy name: variables joined by dots, between a fixed prefix and a fixed suffix."""

    prefix: str
    variables: tuple[str, ...]
    suffix: str


@dataclass(frozen=True, eq=False)
class Event:
    """One StatsD name of Airflow.

    `legacy` are its names with ids in them. `variables` are what the tags of the modern name contain. Without the
    variables in `needs` the event has no meaning.
    """

    name: str
    type: MetricType
    bindings: tuple[FamilyBinding, ...] = ()
    legacy: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    """Variables that only tags contain, in addition to those of the legacy names."""
    releases: str = ""
    """Releases that send it: `2.x`, `3.0+`, `3.1.6-3.1.7`, joined by commas; empty for all."""
    unit: TimerUnit = TimerUnit.NONE
    twins: bool = True
    """Whether Airflow sends both names, so that only one of them counts."""
    modern_only_releases: str = ""
    """Releases that send only the modern name if there is one executor."""
    tags_optional: bool = False
    """Whether the modern name may have no tags although Airflow sends tags."""
    legacy_may_come_alone: bool = False
    """Whether the legacy name may be sent without the modern one although Airflow sends tags."""
    needs: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    """States that are known to mean nothing: Airflow sends a zero for them."""
    drop: str = ""
    """Why it never feeds a family, one of DROP_REASONS; empty if it does."""
    note: str = ""
    """What users should know, for the docs and `explain`."""

    @cached_property
    def patterns(self) -> tuple[LegacyPattern, ...]:
        """The legacy names, parsed."""
        return tuple(parse_pattern(text) for text in self.legacy)

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """All variables of the modern name, each once."""
        named = [variable for pattern in self.patterns for variable in pattern.variables]
        return tuple(dict.fromkeys([*named, *self.tags]))

    @cached_property
    def by_state(self) -> bool:
        """Whether the families that it feeds depend on its state."""
        return bool(self.states) or any(binding.only for binding in self.bindings)

    @cached_property
    def complete_without_tags(self) -> bool:
        """Whether the modern name without tags contains everything that is used of the event."""
        labels = {label for binding in self.bindings for label in binding.family.labels if label not in binding.const}
        return not self.needs and not labels.intersection(self.variables)


VARIABLE = re.compile(r"\{(\w+)\}")


def parse_pattern(text: str) -> LegacyPattern:
    """Parse a legacy name as it is declared: `ti.finish.{dag_id}.{task_id}.{state}`."""
    start, end = text.index("{"), text.rindex("}") + 1
    return LegacyPattern(text[:start], tuple(VARIABLE.findall(text)), text[end:])


def parse_release(text: str) -> Release:
    """The leading numbers of a release: (3, 3, 2) for 3.3.2rc1; empty if there are none."""
    match = re.match(r"\d{1,6}(\.\d{1,6})*", text.strip())
    return tuple(int(part) for part in match[0].split(".")[:3]) if match else ()


@lru_cache(maxsize=1_000)
def covers_release(releases: str, release: Release) -> bool:
    """Whether a text such as `2.x, 3.1.6+` contains a release. An incomplete release stands for its newest."""
    return not releases or any(matches_range(part.strip(), release) for part in releases.split(","))


def matches_range(text: str, release: Release) -> bool:
    """Whether one part of such a text contains a release."""
    if text.endswith(".x"):
        return release[:1] == parse_release(text)[:1]
    low, dash, high = text.partition("-")
    full = release + (99,) * (3 - len(release))
    if not dash:
        return full >= parse_release(text.rstrip("+"))
    return parse_release(low) <= full <= (*parse_release(high), 99)


def parse_single_major(releases: str) -> int:
    """2 or 3 if all releases of a text such as `3.1.6+` have that major version; 0 otherwise."""
    majors = {part.strip()[:1] for part in releases.split(",")}
    return int(majors.pop()) if majors in ({"2"}, {"3"}) else 0

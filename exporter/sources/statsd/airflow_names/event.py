"""What an event of Airflow is: everything that is known of one StatsD name, declared once."""

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
"""Airflow's release as numbers: (3, 3, 2)."""

NEWEST_RELEASE: Release = (3, 3, 2)
"""What a release that is not known is taken for."""


class TimerUnit(Enum):
    """What the number behind `|ms` is: it depends on how Airflow measures it, on the release and on the client."""

    NONE = "not a time"
    SPAN = "a difference of two moments, handed to the client"
    STOPWATCH = "measured by the client's own stopwatch"
    WAIT = "task.queued_duration and task.scheduled_duration"
    TASK = "task.duration"
    FILE = "dag_processing.last_duration"
    CUSTOM = "a timer of users"
    SECONDS = "seconds, in every release"


class Part(Enum):
    """What of a value a family takes."""

    VALUE = "the value"
    COUNT = "that there was one"


@dataclass(frozen=True, slots=True, eq=False)
class FamilyBinding:
    """One family that an event feeds. A label takes its value from `const`, or from the variable of its name."""

    family: Family
    const: Mapping[str, str] = field(default_factory=dict)
    only: tuple[str, ...] = ()
    """The states for which it is fed; all where none is named."""
    part: Part = Part.VALUE
    stands_in_for: Family | None = None
    """A family of the API that says the same better: while the API feeds that, this is not fed."""
    releases: str = ""
    """Where the event means this only in some releases."""
    percent: bool = False
    """The value is in hundredths."""


class LegacyPattern(NamedTuple):
    """A legacy name: variables joined by dots, between two fixed parts."""

    prefix: str
    variables: tuple[str, ...]
    suffix: str

    def extract(self, name: str) -> str | None:
        """What stands between the fixed parts, or None where the name is another."""
        end = len(name) - len(self.suffix)
        if end <= len(self.prefix) or not name.startswith(self.prefix) or not name.endswith(self.suffix):
            return None
        return name[len(self.prefix) : end]


@dataclass(frozen=True, eq=False)
class Event:
    """One name under which Airflow reports something.

    `legacy` are the names with ids in them; `variables` is what tags tell under the modern name.
    `needs` are variables without which the event cannot be understood.
    """

    name: str
    type: MetricType
    bindings: tuple[FamilyBinding, ...] = ()
    legacy: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    """Variables that only tags tell, beside those of the legacy names."""
    releases: str = ""
    """Which releases send it: `2.x`, `3.0+`, `3.1.6-3.1.7`, joined by commas; empty for all."""
    unit: TimerUnit = TimerUnit.NONE
    twins: bool = True
    """Both names are sent, so that only one of them counts."""
    modern_only_releases: str = ""
    """Releases that send the modern name alone where there is one executor only."""
    tags_optional: bool = False
    """The modern name may come without tags even where tags are sent."""
    legacy_may_come_alone: bool = False
    """The legacy name may come without its twin even where tags are sent."""
    needs: tuple[str, ...] = ()
    states: tuple[str, ...] = ()
    """States that are known to carry nothing."""
    drop: str = ""
    """Why it never feeds anything, one of DROP_REASONS."""
    note: str = ""
    """What users should know, for the docs."""

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
        """Whether what it feeds depends on the state in it."""
        return bool(self.states) or any(binding.only for binding in self.bindings)

    @cached_property
    def complete_without_tags(self) -> bool:
        """Whether the modern name without tags says all that is taken of it, in every mode."""
        labels = {label for binding in self.bindings for label in binding.family.labels if label not in binding.const}
        return not self.needs and not labels.intersection(self.variables)


VARIABLE = re.compile(r"\{(\w+)\}")


def parse_pattern(text: str) -> LegacyPattern:
    """A legacy name as it is declared: `ti.finish.{dag_id}.{task_id}.{state}`."""
    start, end = text.index("{"), text.rindex("}") + 1
    return LegacyPattern(text[:start], tuple(VARIABLE.findall(text)), text[end:])


def parse_release(text: str) -> Release:
    """The leading numbers of a release: (3, 3, 2) for 3.3.2rc1; empty where there are none."""
    match = re.match(r"\d{1,6}(\.\d{1,6})*", text.strip())
    return tuple(int(part) for part in match[0].split(".")[:3]) if match else ()


@lru_cache(maxsize=1_000)
def covers_release(releases: str, release: Release) -> bool:
    """Whether the releases that are told as text hold that one; a release told in part stands for its newest."""
    return not releases or any(matches_range(part.strip(), release) for part in releases.split(","))


def matches_range(text: str, release: Release) -> bool:
    if text.endswith(".x"):
        return release[:1] == parse_release(text)[:1]
    low, dash, high = text.partition("-")
    full = release + (99,) * (3 - len(release))
    if not dash:
        return full >= parse_release(text.rstrip("+"))
    return parse_release(low) <= full <= (*parse_release(high), 99)


def parse_single_major(releases: str) -> int:
    """2 or 3 where every release that is told is one of 2.x or of 3.x; 0 otherwise."""
    majors = {part.strip()[:1] for part in releases.split(",")}
    return int(majors.pop()) if majors in ({"2"}, {"3"}) else 0

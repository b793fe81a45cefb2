"""What advice consists of: recommendations with their evidence, what is missing, and the one ranking of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from exporter.tuning.charts import ChartSpec
from exporter.tuning.series import HOUR

LEAST_HOURS = 0.05
"""Less is not worth a number."""


class Confidence(IntEnum):
    """How sure a recommendation is."""

    LOW = 1
    MEDIUM = 2
    HIGH = 3

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Savings:
    """Hours of waiting or of work that a change saves in a window as long as the one observed."""

    expected: float = 0.0
    least: float = 0.0
    most: float = 0.0

    @classmethod
    def of_seconds(cls, least: float, most: float) -> Savings:
        """From a range in seconds; the middle is expected."""
        return cls((least + most) / 2 / HOUR, least / HOUR, most / HOUR)

    @property
    def cell(self) -> str:
        """What a table says; a dash where it is not time that the change saves."""
        return str(self) if self.most >= LEAST_HOURS else "-"

    def __str__(self) -> str:
        if self.most < LEAST_HOURS:
            return f"less than {format_hours(LEAST_HOURS)}"
        return f"about {format_hours(self.expected)} ({format_hours(self.least)} to {format_hours(self.most)})"


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One change, with all that is needed to judge it."""

    title: str
    setting: str
    """The setting or argument, as Airflow calls it."""
    object: str
    """The pool, DAG, task, machine or Airflow that it belongs to."""
    current: str
    """Its value now; empty where it is not known."""
    value: str
    """The value to set, or what to do instead."""
    seen: Sequence[str]
    """What was seen, one sentence each, with numbers."""
    change: str
    """What to do, one sentence or two."""
    effect: str
    """What it brings, with its range."""
    savings: Savings
    counter_check: str
    """What must hold before the change, and what to look at after it."""
    risk: str
    confidence: Confidence
    reason: str
    """Why the confidence is not higher."""
    queries: Sequence[str]
    """PromQL that shows the same."""


@dataclass(frozen=True, slots=True)
class Shortfall:
    """Something that is not known, so that no advice is given."""

    what: str
    have: str
    need: str
    how: str
    """What would make it known."""

    def __str__(self) -> str:
        return f"{self.what}: {self.have}, needed: {self.need}. To change that: {self.how}."


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question."""

    question: str
    """A short name: parallelism, pools, ..."""
    title: str
    """The question as people ask it."""
    recommendations: Sequence[Recommendation] = ()
    nothing: str = ""
    """Why nothing is to be changed, where that is the answer."""
    missing: Sequence[Shortfall] = ()
    charts: Sequence[ChartSpec] = ()


@dataclass(frozen=True, slots=True)
class AdviceReport:
    """All answers about one Airflow."""

    airflow: str
    begin: float
    end: float
    window: str
    answers: Sequence[Answer]
    labels: Mapping[str, str] = field(default_factory=dict)
    """Further labels of the Airflow."""
    problems: Sequence[str] = ()
    """What could not be read, or only in part."""

    @property
    def ranking(self) -> list[tuple[Answer, Recommendation]]:
        """All recommendations, most hours saved first; of equals the surest first."""
        found = [(answer, one) for answer in self.answers for one in answer.recommendations]
        return sorted(found, key=lambda pair: (-pair[1].savings.expected, -pair[1].confidence, pair[1].title))


def format_hours(hours: float) -> str:
    """Hours for people: 12 min, 3.5 h, 212 h."""
    if hours < 2:
        return f"{hours * 60:.0f} min"
    return f"{hours:.1f} h" if hours < 10 else f"{hours:.0f} h"


def format_seconds(seconds: float) -> str:
    """A duration for people: 45 s, 12 min, 3.5 h."""
    return f"{seconds:.0f} s" if seconds < 120 else format_hours(seconds / HOUR)


def format_bytes(count: float) -> str:
    """Memory for people."""
    for unit, size in (("GiB", 1024.0**3), ("MiB", 1024.0**2)):
        if count >= size:
            return f"{count / size:.1f} {unit}" if count < 100 * size else f"{count / size:.0f} {unit}"
    return f"{count / 1024:.0f} KiB"


def format_number(value: float) -> str:
    """A number without needless digits."""
    return f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.1f}"

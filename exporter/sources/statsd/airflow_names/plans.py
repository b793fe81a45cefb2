"""What becomes of an event, computed once for all names that differ only in ids.

A plan is valid until something new is learned about the stream as a whole. Only the ids are read from each name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from exporter.metrics.family import Family
from exporter.sources.statsd.airflow_names.event import Event, TimerUnit
from exporter.sources.statsd.model import Action, MetricType, Resolution, Target

MAX_PLANS = 2_000
"""Plans that are cached. States as they were sent are part of their keys."""

LabelSource = tuple[str, str]
"""The variable of a label, and its default. Without a variable the label always has the default."""


class PlannedTarget(NamedTuple):
    """A target whose labels are not filled in yet."""

    family: Family
    labels: tuple[LabelSource, ...]
    action: Action
    scale: float = 1.0
    plus: float = 0.0


class EventPlan:
    """What becomes of all names of an event, as long as the sender's context is the same."""

    __slots__ = ("counts", "drop", "note", "rule", "targets")

    def __init__(
        self,
        rule: str,
        targets: tuple[PlannedTarget, ...] = (),
        drop: str = "",
        note: str = "",
        *,
        counts: bool = False,
    ) -> None:
        self.rule = rule
        self.targets = targets
        self.drop = drop
        self.note = note
        self.counts = counts or bool(targets)
        """Whether the name counts, so that an ambiguous split of its ids matters."""

    def resolve(self, values: Mapping[str, str], *, ambiguous: bool = False) -> Resolution:
        """The resolution for these ids."""
        if self.drop:
            return Resolution(self.rule, (), self.drop, self.note, ambiguous and self.counts)
        get = values.get
        targets = [
            Target(family, tuple([get(variable, other) for variable, other in labels]), action, scale, plus)
            for family, labels, action, scale, plus in self.targets
        ]
        return Resolution(self.rule, tuple(targets), "", self.note, ambiguous, self)


class PlanKey(NamedTuple):
    """Everything that a plan depends on, except the stream as a whole."""

    event: Event
    legacy: bool
    """Whether the event came under its legacy name."""
    type: MetricType
    tagged: bool
    """Whether its tags contain a variable."""
    state: str
    """Its state, if the plan depends on it."""
    bundle: bool
    """Whether a bundle is named, if the plan depends on it."""


def build_plan_key(event: Event, values: Mapping[str, str], kind: MetricType, *, legacy: bool, tagged: bool) -> PlanKey:
    """The key of an event's plan."""
    state = values.get("state", "") if event.by_state else ""
    return PlanKey(event, legacy, kind, tagged, state, event.unit is TimerUnit.FILE and bool(values.get("bundle")))

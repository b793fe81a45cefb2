"""What becomes of an event, worked out once for all of its names, which differ in nothing but ids.

A plan holds as long as nothing new is known of the stream as a whole. Only the ids are read from each name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from exporter.metrics.family import Family
from exporter.sources.statsd.airflow_names.event import Event, TimerUnit
from exporter.sources.statsd.model import Action, MetricType, Resolution, Target

MAX_PLANS = 2_000
"""How many plans are remembered: what is sent as a state is in their keys."""

LabelSource = tuple[str, str]
"""The variable that a label's value is, and what it is where that is not known; no variable where it is always this."""


class PlannedTarget(NamedTuple):
    """A Target whose labels are still to be filled in."""

    family: Family
    labels: tuple[LabelSource, ...]
    action: Action
    scale: float = 1.0
    plus: float = 0.0


class EventPlan:
    """What becomes of all names of an event, under the sender_context that it was worked out for."""

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
        """It is no twin, so that it matters where its ids are parted."""

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
    """All that a plan depends on beside the stream as a whole."""

    event: Event
    legacy: bool
    """It came under its legacy name."""
    type: MetricType
    tagged: bool
    """Its tags say something of it."""
    state: str
    """Its state, where it matters."""
    bundle: bool
    """Whether a bundle is named, where it matters."""


def build_plan_key(event: Event, values: Mapping[str, str], kind: MetricType, *, legacy: bool, tagged: bool) -> PlanKey:
    """The key of an event's plan."""
    state = values.get("state", "") if event.by_state else ""
    return PlanKey(event, legacy, kind, tagged, state, event.unit is TimerUnit.FILE and bool(values.get("bundle")))

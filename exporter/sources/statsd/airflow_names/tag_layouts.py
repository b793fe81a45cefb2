"""Where the labels of tagged names stand: worked out for one name and its tag keys, then used for every line like it.

Names of one kind differ in the values of their tags only. A layout says which tag is which label, so that a new line
needs no search for variables.
"""

from __future__ import annotations

from collections.abc import Sequence

from exporter.sources.statsd.airflow_names.custom import MAX_VALUE_LENGTH
from exporter.sources.statsd.airflow_names.event import Event
from exporter.sources.statsd.airflow_names.plans import EventPlan, PlannedTarget
from exporter.sources.statsd.airflow_names.targets import TAG_NAMES
from exporter.sources.statsd.label_getter import GetLabels, build_label_getter
from exporter.sources.statsd.model import Resolution, Tags, Target

MAX_LAYOUTS = 2_000
"""Names with their tag keys, for which a layout is remembered."""
MAX_STATES = 50
"""Values of `state` for which a layout remembers what becomes of the event."""

PlacedTarget = tuple[PlannedTarget, GetLabels]


class TagLayout:
    """A name with its tag keys; valid as long as `known` is what is known of the stream."""

    __slots__ = ("_plans", "_positions", "_state", "dag_id", "event", "known")

    def __init__(self, event: Event, keys: Sequence[str], known: object) -> None:
        self.event = event
        self.known = known
        self._positions = find_positions(event, keys)
        self.dag_id = self._positions.get("dag_id", -1)
        """The place of the DAG's id among the tags; -1 if there is none."""
        self._state = self._positions.get("state", -1) if event.by_state else -1
        self._plans: dict[str, tuple[Resolution, list[PlacedTarget], tuple[str, ...]]] = {}

    def add_plan(self, values: Sequence[str], plan: EventPlan) -> None:
        """Remember the plan of the event for the state among these values of tags."""
        if len(self._plans) >= MAX_STATES:
            return
        constants: list[str] = []
        placed = [(target, self._place(target, len(values), constants)) for target in plan.targets]
        resolution = Resolution(plan.rule, (), plan.drop, plan.note, plan=None if plan.drop else plan)
        self._plans[values[self._state] if self._state >= 0 else ""] = resolution, placed, tuple(constants)

    def resolve(self, values: Sequence[str]) -> Resolution | None:
        """The resolution for these values of the tags; None if the state among them is new."""
        known = self._plans.get(values[self._state] if self._state >= 0 else "")
        if known is None:
            return None
        resolution, placed, constants = known
        if not placed:
            return resolution
        cells = [value[:MAX_VALUE_LENGTH] for value in values]
        cells += constants
        targets = [
            Target(family, get_labels(cells), action, scale, plus)
            for (family, _, action, scale, plus), get_labels in placed
        ]
        return Resolution(resolution.rule, tuple(targets), "", resolution.note, False, resolution.plan)

    def _place(self, target: PlannedTarget, count: int, constants: list[str]) -> GetLabels:
        """A function that picks the labels of a target from the values of the tags, followed by the constants."""
        places = []
        for variable, default in target.labels:
            place = self._positions.get(variable)
            if place is None:
                place = count + len(constants)
                constants.append(default)
            places.append(place)
        return build_label_getter(places)


def find_positions(event: Event, keys: Sequence[str]) -> dict[str, int]:
    """The place of each variable of an event among the keys of its tags."""
    positions = {}
    for variable in (*event.variables, "team"):
        tag = next((tag for tag in TAG_NAMES.get(variable) or (variable,) if tag in keys), None)
        if tag is not None:
            positions[variable] = keys.index(tag)
    return positions


def has_layout(event: Event, tags: Tags) -> bool:
    """Whether tags of that event can be read by position: each key once, and no file, whose path is looked up."""
    return "file" not in event.variables and len({key for key, _ in tags}) == len(tags)

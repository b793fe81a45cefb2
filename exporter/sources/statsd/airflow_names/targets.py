"""From an event and the values of its variables to the series that it feeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from exporter.metrics.family import Family, Kind
from exporter.sources.statsd.airflow_names.custom import MAX_VALUE_LENGTH
from exporter.sources.statsd.airflow_names.event import Event, FamilyBinding, Part, TimerUnit, covers_release
from exporter.sources.statsd.airflow_names.plans import EventPlan, LabelSource, PlannedTarget
from exporter.sources.statsd.airflow_names.units import SenderContext, get_scale
from exporter.sources.statsd.model import Action

TAG_NAMES = {
    "executor": ("executor_class_name", "executor", "name"),
    "operator": ("operator_name", "operator", "task_type"),
    "team": ("team_name",),
    "pool": ("pool_name",),
    "worker": ("worker_name",),
    "bundle": ("bundle_name",),
    "file": ("file_name", "file_path"),
    "transport": ("transport_type",),
    "state": ("state", "prior_state"),
}
"""The tags that contain a variable, the newest name first; other variables have a tag with their own name."""
DAG_FILE_SUFFIXES = (".py", ".zip")
"""Suffixes of the files in which Airflow searches for DAGs."""
DROP_PRIORITY = ("fed_by_api", "unclear", "denied")
"""Drop reasons, the most important first."""


class TargetBuilder:
    """Builds plans. `api_feeds` are the families that the API feeds, so that StatsD must not."""

    def __init__(self, api_feeds: frozenset[Family], *, task_labels: bool) -> None:
        self._api_feeds = api_feeds
        self._task_labels = task_labels

    def build_plan(self, event: Event, rule: str, values: Mapping[str, str], now: SenderContext) -> EventPlan:
        """The plan of an event that counts. It depends on the state in `values`, not on ids."""
        scale = get_scale(event.unit, now)
        bindings: list[PlannedTarget] = []
        refused: Counter[str] = Counter()
        for binding in event.bindings:
            if binding.only and values.get("state", "") not in binding.only:
                continue
            reason = self._refuse(binding, now)
            if reason:
                refused[reason] += 1
            else:
                bindings.append(build_planned_target(binding, self._pick_labels(binding), scale))
        if bindings:
            return EventPlan(rule, tuple(bindings), note=format_unit_note(event.unit, scale))
        drop = next((reason for reason in DROP_PRIORITY if refused[reason]), "")
        return EventPlan(rule, drop=drop or get_unfed_reason(event, values), counts=True)

    def _refuse(self, binding: FamilyBinding, now: SenderContext) -> str:
        """Why a binding is left out, one of DROP_REASONS; empty where it is not."""
        if binding.family in self._api_feeds or binding.stands_in_for in self._api_feeds:
            return "fed_by_api"
        if not covers_release(binding.releases, now.release):
            return "unclear"
        # Tasks that are not told apart would overwrite each other's gauges.
        merged = not self._task_labels and binding.family.kind is Kind.GAUGE and "task_id" in binding.family.labels
        return "denied" if merged else ""

    def _pick_labels(self, binding: FamilyBinding) -> tuple[LabelSource, ...]:
        hidden = () if self._task_labels else ("task_id",)
        return tuple(
            (label, "") if label not in binding.const and label not in hidden else ("", binding.const.get(label, ""))
            for label in binding.family.labels
        )


def get_unfed_reason(event: Event, values: Mapping[str, str]) -> str:
    """The drop reason of an event whose state feeds no family."""
    return "zero_series" if values.get("state") in event.states else "unmapped"


def build_planned_target(binding: FamilyBinding, labels: tuple[LabelSource, ...], scale: float) -> PlannedTarget:
    if binding.part is Part.COUNT:
        return PlannedTarget(binding.family, labels, Action.ADD, 0.0, 1.0)
    action = {Kind.COUNTER: Action.ADD, Kind.GAUGE: Action.SET}.get(binding.family.kind, Action.OBSERVE)
    return PlannedTarget(binding.family, labels, action, scale * 0.01 if binding.percent else scale)


def format_unit_note(unit: TimerUnit, scale: float) -> str:
    """The note of `explain` about the unit of a timer; empty for other types."""
    if unit in (TimerUnit.NONE, TimerUnit.SECONDS):
        return ""
    return "sent in seconds" if scale == 1 else "sent in milliseconds, converted to seconds"


def extract_variables(event: Event, tags: Mapping[str, str]) -> dict[str, str]:
    """The variables of an event that its tags contain."""
    values: dict[str, str] = {}
    for variable in event.variables:
        for tag in TAG_NAMES.get(variable) or (variable,):
            if tag in tags:
                values[variable] = clean_value(variable, tags[tag])
                break
    return values


def extract_team(tags: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The team of a line, which Airflow adds in multi-team mode even if it sends no other tags."""
    for tag, value in tags:
        if tag == "team_name" and value:
            return {"team": clean_value("team", value)}
    return {}


def clean_value(variable: str, value: str) -> str:
    """A value as a label: of a file only its name with its suffix, and never longer than Airflow's ids."""
    if variable == "file":
        value = PurePosixPath(value).name
        # Most of Airflow's names leave the ending out, and nearly all DAG files have this one.
        value += "" if value.endswith(DAG_FILE_SUFFIXES) or not value else ".py"
    return value[:MAX_VALUE_LENGTH]


def merge_values(ids: dict[str, str], tags: dict[str, str], text: str) -> dict[str, str]:
    """The ids of a legacy name (`text` contains them) and its tags, which take precedence."""
    if "file" in ids or len(text) > MAX_VALUE_LENGTH:
        ids = {name: clean_value(name, value) for name, value in ids.items()}
        # In a tag that is left over, "_" stands for each "/" of the path.
        tags = {name: value for name, value in tags.items() if name != "file" or name not in ids}
    return ids | tags

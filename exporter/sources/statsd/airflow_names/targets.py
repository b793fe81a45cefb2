"""From an event and the values of its variables to the series that it feeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from exporter.metrics.family import Family, Kind
from exporter.sources.statsd.airflow_names.custom import LONGEST_VALUE
from exporter.sources.statsd.airflow_names.event import Event, Feed, Part, Unit, covers
from exporter.sources.statsd.airflow_names.plans import LabelSource, Plan, PlannedFeed
from exporter.sources.statsd.airflow_names.units import Circumstances, find_scale
from exporter.sources.statsd.model import Action

TAGS = {
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
"""Under which tags a variable is sent, the newest first; others under their own names."""
ENDINGS = (".py", ".zip")
"""Endings of the files in which Airflow looks for DAGs."""
ORDER = ("fed_by_api", "unclear", "denied")
"""Why nothing is fed, the weightiest first."""


class Feeding:
    """Makes plans. `api_feeds` are families that the API feeds, so that StatsD must not."""

    def __init__(self, api_feeds: frozenset[Family], *, task_labels: bool) -> None:
        self._api_feeds = api_feeds
        self._task_labels = task_labels

    def plan(self, event: Event, rule: str, values: Mapping[str, str], now: Circumstances) -> Plan:
        """What becomes of an event that counts, whatever its ids: only the state in `values` matters here."""
        scale = find_scale(event.unit, now)
        feeds: list[PlannedFeed] = []
        refused: Counter[str] = Counter()
        for feed in event.feeds:
            if feed.only and values.get("state", "") not in feed.only:
                continue
            reason = self._refuse(feed, now)
            if reason:
                refused[reason] += 1
            else:
                feeds.append(plan_feed(feed, self._pick_labels(feed), scale))
        if feeds:
            return Plan(rule, tuple(feeds), note=describe_unit(event.unit, scale))
        drop = next((reason for reason in ORDER if refused[reason]), "")
        return Plan(rule, drop=drop or say_unfed(event, values), counts=True)

    def _refuse(self, feed: Feed, now: Circumstances) -> str:
        """Why a feed is left out, one of DROPS; empty where it is not."""
        if feed.family in self._api_feeds or feed.stands_in_for in self._api_feeds:
            return "fed_by_api"
        if not covers(feed.releases, now.release):
            return "unclear"
        # Tasks that are not told apart would overwrite each other's gauges.
        merged = not self._task_labels and feed.family.kind is Kind.GAUGE and "task_id" in feed.family.labels
        return "denied" if merged else ""

    def _pick_labels(self, feed: Feed) -> tuple[LabelSource, ...]:
        hidden = () if self._task_labels else ("task_id",)
        return tuple(
            (label, "") if label not in feed.const and label not in hidden else ("", feed.const.get(label, ""))
            for label in feed.family.labels
        )


def say_unfed(event: Event, values: Mapping[str, str]) -> str:
    return "zero_series" if values.get("state") in event.states else "unmapped"


def plan_feed(feed: Feed, labels: tuple[LabelSource, ...], scale: float) -> PlannedFeed:
    if feed.part is Part.COUNT:
        return PlannedFeed(feed.family, labels, Action.ADD, 0.0, 1.0)
    action = {Kind.COUNTER: Action.ADD, Kind.GAUGE: Action.SET}.get(feed.family.kind, Action.OBSERVE)
    return PlannedFeed(feed.family, labels, action, scale * 0.01 if feed.percent else scale)


def describe_unit(unit: Unit, scale: float) -> str:
    if unit in (Unit.NONE, Unit.SECONDS):
        return ""
    return "sent in seconds" if scale == 1 else "sent in milliseconds, made seconds"


def read_tags(event: Event, tags: Mapping[str, str]) -> dict[str, str]:
    """The variables of an event that its tags tell."""
    values: dict[str, str] = {}
    for variable in event.variables:
        for tag in TAGS.get(variable) or (variable,):
            if tag in tags:
                values[variable] = clean(variable, tags[tag])
                break
    return values


def read_team(tags: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The team of a line, which Airflow adds in multi-team mode. It says nothing of whether other tags are sent."""
    for tag, value in tags:
        if tag == "team_name" and value:
            return {"team": clean("team", value)}
    return {}


def clean(variable: str, value: str) -> str:
    """A value as a label has it: of a file only its name, with its ending; nothing longer than Airflow's ids."""
    if variable == "file":
        value = PurePosixPath(value).name
        # Most of Airflow's names leave the ending out, and nearly all DAG files have this one.
        value += "" if value.endswith(ENDINGS) or not value else ".py"
    return value[:LONGEST_VALUE]


def merge(ids: dict[str, str], tags: dict[str, str], text: str) -> dict[str, str]:
    """Ids of a legacy name, which stand in this text, and what its tags say: they win."""
    if "file" in ids or len(text) > LONGEST_VALUE:
        ids = {name: clean(name, value) for name, value in ids.items()}
        # In a tag that is left over, "_" stands for each "/" of the path.
        tags = {name: value for name, value in tags.items() if name != "file" or name not in ids}
    return ids | tags

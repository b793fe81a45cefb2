"""Decides what becomes of an event: whether this name of it counts, and which families it feeds."""

from __future__ import annotations

from exporter.sources.statsd.airflow_names.event import Event, TimerUnit, covers_release
from exporter.sources.statsd.airflow_names.plans import EventPlan, PlanKey
from exporter.sources.statsd.airflow_names.stream_hints import StreamHints
from exporter.sources.statsd.airflow_names.targets import TargetBuilder

MODE_UNKNOWN = "not counted until it is known whether Airflow sends tags; set --statsd.mode to avoid this"
UNIT_UNKNOWN = "not counted until its unit is known; set --statsd.release and --statsd.mode to avoid this"


class EventPlanner:
    """Builds plans by what is known about the stream. A plan is valid as long as that does not change."""

    def __init__(self, stream: StreamHints, target_builder: TargetBuilder) -> None:
        self._stream = stream
        self._target_builder = target_builder

    def build_plan(self, key: PlanKey, values: dict[str, str]) -> EventPlan:
        """The plan for an event with that key; of the values only the state and the bundle matter."""
        return self._plan_legacy(key, values) if key.legacy else self._plan_modern(key, values)

    def _plan_modern(self, key: PlanKey, values: dict[str, str]) -> EventPlan:
        event = key.event
        if event.unit is TimerUnit.FILE and key.bundle:
            self._stream.record_release("3.2+")
        if key.tagged or event.complete_without_tags:
            return self._plan_bindings(event, event.name, values)
        if event.needs:
            return EventPlan(event.name, drop="unclear", note=event.note)
        if not event.legacy or not event.twins or self._stream.tagged:
            return self._plan_bindings(event, event.name, values)
        if self._stream.tagged is None:
            return EventPlan(event.name, drop="undecided", note=MODE_UNKNOWN)
        if event.modern_only_releases:
            return self._plan_single(event)
        return EventPlan(
            event.name, drop="twin", note="without tags the legacy name counts, because it contains the ids"
        )

    def _plan_single(self, event: Event) -> EventPlan:
        """The name without the executor counts if Airflow sends no other."""
        release = self._stream.known_release
        if self._stream.has_seen(event, legacy=True) or (
            release and not covers_release(event.modern_only_releases, release)
        ):
            return EventPlan(event.name, drop="twin", note="the name with the executor counts")
        if self._stream.undecided and not release:
            return EventPlan(
                event.name,
                drop="undecided",
                note="not counted until it is known whether the name with the executor comes too",
            )
        return self._plan_bindings(event, event.name, {})

    def _plan_legacy(self, key: PlanKey, values: dict[str, str]) -> EventPlan:
        event, rule = key.event, format_legacy_rule(key.event)
        if self.counts_legacy(event):
            return self._plan_bindings(event, rule, values)
        if self._stream.tagged is None and not event.complete_without_tags:
            return EventPlan(rule, drop="undecided", note=MODE_UNKNOWN)
        return EventPlan(rule, drop="twin", note=f"{event.name} counts")

    def counts_legacy(self, event: Event) -> bool:
        """Whether the legacy name of an event counts."""
        if not event.twins:
            return True
        if event.complete_without_tags:
            return False
        if self._stream.tagged and event.legacy_may_come_alone:
            return not self._stream.has_seen(event, legacy=False)
        return self._stream.tagged is False

    def _plan_bindings(self, event: Event, rule: str, values: dict[str, str]) -> EventPlan:
        if event.unit is TimerUnit.FILE and not values.get("bundle"):
            self._stream.record_release("2.x")
        if not self._stream.is_scale_known(event.unit):
            return EventPlan(rule, drop="unknown_unit", note=UNIT_UNKNOWN, counts=True)
        return self._target_builder.build_plan(event, rule, values, self._stream.sender_context)


def format_legacy_rule(event: Event) -> str:
    """The rule that `explain` shows for a legacy name."""
    return f"{event.name} (legacy name)"
